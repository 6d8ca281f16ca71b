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

    /// Appends those that an answer lacks.
    /// - Parameters:
    ///   - replacesPage: false for a 304, whose fields would take the place of those that a browser has stored with the page
    ///     (RFC 9111 §3.2), and a backend need not say its own again there.
    ///   - isThere: whether a field of this name, in small letters, goes to the client.
    func write(
        isSecure: Bool, replacesPage: Bool, into out: inout ByteWriter, unless isThere: (Span<UInt8>) -> Bool
    ) {
        for line in lines where line.needsTLS ? isSecure : replacesPage {
            if !isThere(line.name.span) { out.append(line.bytes) }
        }
    }

    /// Appends all, for the gateway's own answers.
    package func write(isSecure: Bool, into out: inout ByteWriter) {
        for line in lines where isSecure || !line.needsTLS { out.append(line.bytes) }
    }
}
