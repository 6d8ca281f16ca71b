internal import Settings

/// The header fields that tell the backend who the client is, made from the claims once per token.
///
/// A claim comes from an issuer, but its text was often chosen by a user: what could end the field or mean something
/// else behind another parser is percent-encoded (RFC 3986 §2.1), so that a backend may decode every value the same way:
/// control characters, non-ASCII, `%` itself, spaces at either end, and within lists, which are joined by commas, a comma.
struct IdentityFields: Sendable {
    /// All fields of one token; what is longer would not fit into a backend's head limit either.
    static let maximumBytes = 8192

    private struct Template {
        var start: [UInt8]
        /// Nil: `true`.
        var claim: ClaimPlan.Claim?
    }

    private let templates: [Template]
    /// The claim behind the first mapped field: who the token is about when it has no `sub`.
    let firstClaim: ClaimPlan.Claim?

    init(_ headers: [Configuration.IdentityHeader], _ plan: inout ClaimPlan) {
        var templates: [Template] = []
        for header in headers {
            var template = Template(start: Array("\(header.name): ".utf8), claim: nil)
            if case .claim(let name) = header.value { template.claim = plan.claim(name) }
            templates.append(template)
        }
        self.templates = templates
        firstClaim = templates.lazy.compactMap(\.claim).first
    }

    /// `Name: value CR LF` for each field whose claim is there and can be written; nil when they are too long.
    func write(_ claims: borrowing ClaimScanner) -> [UInt8]? {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        for template in templates {
            let before = output.count
            output += template.start
            let start = output.count
            if let claim = template.claim {
                IdentityFields.append(claims.value(claim), of: claims, to: &output)
            } else {
                output += Array("true".utf8)
            }
            if output.count == start {
                // An empty field would read as a user without a name.
                output.removeLast(output.count - before)
            } else {
                output += [13, 10]
            }
            guard output.count <= IdentityFields.maximumBytes else { return nil }
        }
        return output
    }

    private static func append(
        _ value: ClaimScanner.Value, of claims: borrowing ClaimScanner, to output: inout [UInt8]
    ) {
        switch value.kind {
        case .string, .number, .true, .false:
            append(claims.text(value), isElement: false, to: &output)
        case .list:
            var isFirst = true
            for index in 0..<value.end - value.start {
                let element = claims.element(index, of: value)
                switch element.kind {
                case .string where element.end > element.start, .number, .true, .false:
                    if !isFirst { output.append(UInt8(ascii: ",")) }
                    isFirst = false
                    append(claims.text(element), isElement: true, to: &output)
                case .string, .absent, .null, .list, .object:
                    continue
                }
            }
        case .absent, .null, .object:
            return
        }
    }

    private static func append(_ text: Span<UInt8>, isElement: Bool, to output: inout [UInt8]) {
        let hex: StaticString = "0123456789ABCDEF"
        for index in text.indices {
            let byte = text[index]
            let isEnd = index == 0 || index == text.count - 1
            if byte < 0x20 || byte > 0x7e || byte == UInt8(ascii: "%") || byte == 0x20 && isEnd
                || byte == UInt8(ascii: ",") && isElement
            {
                output.append(UInt8(ascii: "%"))
                output.append(hex.utf8Start[Int(byte >> 4)])
                output.append(hex.utf8Start[Int(byte & 15)])
            } else {
                output.append(byte)
            }
        }
    }
}
