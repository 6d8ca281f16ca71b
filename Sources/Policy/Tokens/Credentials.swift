internal import Wire

/// Finds the token of a request among its fields. Fed field by field, in the order of the head; keeps places, not bytes.
package struct Credentials {
    package enum Place: Hashable, Sendable {
        /// Nothing was presented that this gateway judges.
        case nowhere
        /// Where the token stands in the head.
        case at(Range<Int>)
        /// More than one Authorization field, or one that is not `Bearer` and a token; a cookie that is there twice.
        case malformed
    }

    private let cookieName: [UInt8]
    private var authorizations = 0
    private var cookies = 0
    private var bearer = Place.nowhere
    private var cookie = Place.nowhere

    /// `cookieName`: of the route (`Authenticator.cookieName(ofRoute:)`); empty: cookies are not looked at.
    package init(cookieName: [UInt8]) { self.cookieName = cookieName }

    /// An Authorization field whose value is `value` of `head`.
    package mutating func takeAuthorization(_ value: Range<Int>, of head: Span<UInt8>) {
        authorizations += 1
        bearer = Credentials.bearerToken(in: head, value)
    }

    /// A Cookie field whose value is `value` of `head`.
    package mutating func takeCookie(_ value: Range<Int>, of head: Span<UInt8>) {
        guard !cookieName.isEmpty else { return }
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, head[end] != UInt8(ascii: ";") { end += 1 }
            takeCookiePair(start..<end, of: head)
            start = end + 1
        }
    }

    /// An Authorization field, of whatever scheme, stands before the cookie: a client that sends one means it.
    package var place: Place {
        switch authorizations {
        case 0: cookies > 1 ? .malformed : cookie
        case 1: bearer
        default: .malformed
        }
    }

    /// Whether `place` is the cookie's.
    package var isCookie: Bool { authorizations == 0 && cookies > 0 }

    /// RFC 9110 §11.4: scheme, spaces, token68. Other schemes are for the backend; the gateway sees no token in them.
    /// Whether the rest is a token68 is left to the verifier, which reads every byte of what it does not know.
    private static func bearerToken(in head: Span<UInt8>, _ value: Range<Int>) -> Place {
        let scheme = value.lowerBound..<min(value.lowerBound + 6, value.upperBound)
        guard head.extracting(scheme).equalsIgnoringCase("bearer") else { return .nowhere }
        var start = scheme.upperBound
        guard start < value.upperBound else { return .malformed }
        guard head[start] == UInt8(ascii: " ") else {
            // `Bearerx` is another scheme; a tab, comma or quotation mark belongs to no scheme's name.
            return isSchemeCharacter(head[start]) ? .nowhere : .malformed
        }
        while start < value.upperBound, head[start] == UInt8(ascii: " ") { start += 1 }
        return start < value.upperBound ? .at(start..<value.upperBound) : .malformed
    }

    /// `name=value` of RFC 6265 §4.2.1; the name is compared byte by byte, quotation marks around the value are left
    /// out. The same name twice has two readings, so it is refused.
    private mutating func takeCookiePair(_ pair: Range<Int>, of head: Span<UInt8>) {
        var start = pair.lowerBound
        var end = pair.upperBound
        while start < end, Characters.isWhitespace(head[start]) { start += 1 }
        while end > start, Characters.isWhitespace(head[end - 1]) { end -= 1 }
        let count = cookieName.count
        guard end - start > count, head[start + count] == UInt8(ascii: "=") else { return }
        for index in 0..<count where head[start + index] != cookieName[index] { return }
        start += count + 1
        if end - start >= 2, head[start] == UInt8(ascii: "\""), head[end - 1] == UInt8(ascii: "\"") {
            start += 1
            end -= 1
        }
        // An empty cookie is how backends log a browser out.
        cookies += 1
        cookie = start < end ? .at(start..<end) : .nowhere
    }

    /// RFC 6750 §2.1 b64token, which RFC 9110 §11.2 calls token68.
    static func isToken68(_ text: Span<UInt8>) -> Bool {
        var end = text.count
        while end > 0, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        guard end > 0 else { return false }
        for index in 0..<end {
            switch text[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                continue
            default:
                return false
            }
        }
        return true
    }

    /// What the names of registered schemes are made of. Narrower than `Characters.token`: `Bearer!` and `Bearer'` are
    /// tokens too, but nobody's scheme, and a lenient backend may see a bearer token in them.
    private static func isSchemeCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}
