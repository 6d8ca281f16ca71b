/// What NIOHTTP1 refuses and the gateway passes on all the same: the whole list, each with the words of the RFC.
/// docs/conformance.md has the same list for readers.
struct AllowedDifference: Sendable {
    let name: String
    /// The section, and what it says.
    let words: String
    /// What the backend gets.
    let remedy: String
    let covers: @Sendable (Difference) -> Bool

    static let all: [AllowedDifference] = [
        AllowedDifference(
            name: "a method that llhttp has no number for, or knows from RTSP only",
            words: """
                RFC 9110 §9.1: "Additional methods, outside the scope of this specification, have been specified for use \
                in HTTP"; methods are tokens, and an origin server answers 501 to one that it does not know.
                """,
            remedy: "the method as it came, upper case",
            covers: { difference in
                difference.isRefusal("invalid HTTP method", "invalid constant string")
                    && difference.request.method.allSatisfy { ("A"..."Z").contains($0) || $0 == "-" || $0 == "_" }
            }),
        AllowedDifference(
            name: "a minor version above 1",
            words: """
                RFC 9110 §6.2: a recipient of "a minor version number higher than what it implements SHOULD process the \
                message as if it were in the highest minor version within that major version to which the recipient is \
                conformant".
                """,
            remedy: "HTTP/1.1, with the version received in Via",
            covers: { difference in
                difference.isRefusal("invalid HTTP version")
                    && difference.lines[0].wholeMatch(of: #/.* HTTP\/1\.[2-9]\r/#) != nil
            }),
        AllowedDifference(
            name: "a tab behind the value of Content-Length or Transfer-Encoding",
            words: """
                RFC 9112 §5: "field-line = field-name ":" OWS field-value OWS", and RFC 9110 §5.6.3: "OWS = *( SP / HTAB )"; \
                §5.5: "excluding leading and trailing whitespace" is how a value is read.
                """,
            remedy: "both fields written anew, without it",
            covers: { difference in
                difference.isRefusal("invalid character in content-length header", "unknown (http_parser error)")
                    && difference.lines.contains {
                        $0.contains(#/^(?i:content-length:[ \t]*[0-9]+|transfer-encoding:[ \t]*chunked)[ \t]+\r$/#)
                            && $0.contains("\t")
                    }
            }),
        AllowedDifference(
            name: "white space in chunk extensions",
            words: """
                RFC 9112 §7.1.1: "chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )", and RFC 9110 \
                §5.6.3: "A recipient MUST parse for such bad whitespace and remove it".
                """,
            remedy: "chunks made anew, without extensions",
            covers: { difference in
                difference.isRefusal("strict mode assertion", "invalid character in chunk size header")
                    && difference.lines.contains {
                        $0.contains(#/^[0-9A-Fa-f]+[^\n]*([ \t];|;[ \t]|[ \t]=|=[ \t])[^\n]*\r$/#)
                    }
            }),
        AllowedDifference(
            name: "a trailer field that would frame the message if it stood in the head",
            words: """
                RFC 9112 §7.1.2: who removes the chunked coding "MAY selectively retain or discard the received trailer \
                fields", and "MUST NOT merge a received trailer field into the header section". llhttp obeys it like a \
                field of the head.
                """,
            remedy: "no trailer fields",
            covers: { difference in
                let isObeyed = difference.isRefusal(
                    "invalid character in content-length header", "unknown (http_parser error)")
                let closes = difference.isRefusal("data received after completed connection: close message")
                return isObeyed
                    && difference.trailers(from: difference.start).contains {
                        $0.contains(#/^(?i:content-length|transfer-encoding):/#)
                    }
                    || closes
                        && difference.trailers(from: difference.previousStart).contains {
                            $0.contains(#/^(?i:connection):/#)
                        }
            }),
    ]
}

extension Difference {
    func isRefusal(_ words: String...) -> Bool {
        words.contains { kind == .theyRefuse($0) }
    }

    /// Of the request and all that follows it, without their LF.
    var lines: [String] { lines(from: start) }

    private func lines(from start: Int) -> [String] {
        bytes[start...].split(separator: 10, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
            .drop { $0 == "\r" } + [""]
    }

    /// What follows the last chunk of the request that begins at `start`.
    func trailers(from start: Int) -> [String] {
        Array(
            lines(from: start).drop { $0.wholeMatch(of: #/0+([ \t;].*)?\r/#) == nil }.dropFirst().prefix { $0 != "\r" })
    }
}
