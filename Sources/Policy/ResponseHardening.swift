internal import Settings
package import Wire

/// Fields that tell browsers to be careful, for answers that lack them. What the backend wrote stands: it knows its pages.
package struct ResponseHardening: Sendable {
    private struct Line: Sendable {
        let name: [UInt8]
        let bytes: [UInt8]
        /// RFC 6797 §7.2: not to be sent over a connection that is not secure.
        let needsTLS: Bool

        init(_ name: String, _ value: String, needsTLS: Bool = false) {
            self.name = Array(name.lowercased().utf8)
            bytes = Array("\(name): \(value)\r\n".utf8)
            self.needsTLS = needsTLS
        }
    }

    private let lines: [Line]

    init(_ configuration: Configuration) {
        var lines: [Line] = []
        let headers = configuration.securityHeaders
        if headers.strictTransportSeconds > 0 {
            let scope = headers.strictTransportIncludesSubdomains ? "; includeSubDomains" : ""
            lines.append(
                Line("Strict-Transport-Security", "max-age=\(headers.strictTransportSeconds)\(scope)", needsTLS: true))
        }
        if headers.isOn {
            lines.append(Line("X-Content-Type-Options", "nosniff"))
            lines.append(Line("X-Frame-Options", "DENY"))
            lines.append(Line("Referrer-Policy", "strict-origin-when-cross-origin"))
        }
        if let policy = headers.contentSecurityPolicy {
            lines.append(Line("Content-Security-Policy", policy))
        }
        self.lines = lines
    }

    var isEmpty: Bool { lines.isEmpty }

    /// Appends those that no field of the head has the name of.
    func write(besides fields: borrowing FieldTable, of bytes: Span<UInt8>, isSecure: Bool, into out: inout ByteWriter)
    {
        for line in lines where isSecure || !line.needsTLS {
            let isThere = (0..<fields.count).contains {
                bytes.extracting(fields[$0].name).equalsIgnoringCase(line.name.span)
            }
            if !isThere { out.append(line.bytes) }
        }
    }

    /// Appends all, for the gateway's own answers.
    package func write(isSecure: Bool, into out: inout ByteWriter) {
        for line in lines where isSecure || !line.needsTLS { out.append(line.bytes) }
    }
}
