/// Why a request target is refused, in words for diagnostics.
package enum TargetFault: String, Error, CaseIterable, Sendable {
    case asteriskWithoutOptions = "target `*` belongs to OPTIONS only"
    case notATarget = "target has none of the forms of RFC 9112"
    case badAuthority = "authority of the target is malformed"
    case badQuery = "query has a byte that cannot be forwarded"
}

/// The target of a request, as places in the bytes of its head (RFC 9112 §3.2). The path is as it was sent: it goes
/// through `CanonicalPath` before anybody looks at it.
package struct RequestTarget: Hashable, Sendable {
    /// The forms of RFC 9112 §3.2 that are served.
    package enum Form: Hashable, Sendable {
        /// `/path?query`
        case origin
        /// `http://host/path?query`. Its authority replaces the Host field (§3.2.2).
        case absolute
        /// `*`, or `OPTIONS http://host` without a path, which means the same (§3.2.4).
        case asterisk
    }

    /// The schemes that are served.
    package enum Scheme: Hashable, Sendable {
        case http
        /// Belongs on a secured connection (RFC 9110 §4.2.2).
        case https
    }

    /// What was read.
    package enum Outcome: Hashable, Sendable {
        case target(RequestTarget)
        /// The method is CONNECT, which this gateway does not offer (501).
        case connect
        case malformed(TargetFault)
    }

    package let form: Form
    /// Empty for `.asterisk`, and for an absolute target without a path, which means `/`.
    package let path: Range<Int>
    /// Behind the question mark; nil when there is none.
    package let query: Range<Int>?
    /// Of an absolute target.
    package let authority: Authority?
    /// Of an absolute target.
    package let scheme: Scheme?

    /// Reads `bytes[target]`, the target of a request whose method is `bytes[method]`.
    package static func parse(_ bytes: Span<UInt8>, target: Range<Int>, method: Range<Int>) -> Outcome {
        let verb = bytes.extracting(method)
        if verb.equals("CONNECT") { return .connect }
        guard !target.isEmpty else { return .malformed(.notATarget) }
        if bytes[target.lowerBound] == UInt8(ascii: "/") {
            return finish(
                bytes, form: .origin, from: target.lowerBound, to: target.upperBound, authority: nil, scheme: nil)
        }
        let isOptions = verb.equals("OPTIONS")
        if target.count == 1, bytes[target.lowerBound] == UInt8(ascii: "*") {
            guard isOptions else { return .malformed(.asteriskWithoutOptions) }
            let nothing = target.upperBound..<target.upperBound
            return .target(
                RequestTarget(form: .asterisk, path: nothing, query: nil, authority: nil, scheme: nil))
        }
        guard let (authorityStart, scheme) = scheme(bytes, target) else { return .malformed(.notATarget) }
        var end = authorityStart
        while end < target.upperBound, bytes[end] != UInt8(ascii: "/"), bytes[end] != UInt8(ascii: "?") { end += 1 }
        guard let authority = Authority(bytes, authorityStart..<end) else { return .malformed(.badAuthority) }
        let form: Form = isOptions && end == target.upperBound ? .asterisk : .absolute
        return finish(bytes, form: form, from: end, to: target.upperBound, authority: authority, scheme: scheme)
    }

    /// Where the authority begins, and the scheme; nil when the target has no scheme that we serve.
    private static func scheme(_ bytes: Span<UInt8>, _ target: Range<Int>) -> (Int, Scheme)? {
        if target.count > 7, bytes.extracting(first: 7, of: target).equalsIgnoringCase("http://") {
            return (target.lowerBound + 7, .http)
        }
        if target.count > 8, bytes.extracting(first: 8, of: target).equalsIgnoringCase("https://") {
            return (target.lowerBound + 8, .https)
        }
        return nil
    }

    private static func finish(
        _ bytes: Span<UInt8>, form: Form, from start: Int, to end: Int, authority: Authority?, scheme: Scheme?
    ) -> Outcome {
        var mark = start
        while mark < end, bytes[mark] != UInt8(ascii: "?") { mark += 1 }
        let query: Range<Int>? = mark < end ? mark + 1..<end : nil
        if let query, !CanonicalPath.isForwardable(query: bytes.extracting(query)) { return .malformed(.badQuery) }
        return .target(
            RequestTarget(form: form, path: start..<mark, query: query, authority: authority, scheme: scheme))
    }
}

extension Span<UInt8> {
    @_lifetime(copy self)
    fileprivate func extracting(first count: Int, of range: Range<Int>) -> Span<UInt8> {
        extracting(range.lowerBound..<range.lowerBound + count)
    }
}
