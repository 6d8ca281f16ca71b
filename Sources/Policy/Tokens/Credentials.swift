internal import Wire

/// Finds the token of a request among its fields. Fed field by field, in the order of the head; keeps places, not bytes.
package struct Credentials {
    package enum Place: Hashable, Sendable {
        /// Nothing was presented that this gateway judges.
        case nowhere
        /// Where the token stands in the head.
        case at(Range<Int>)
        /// More than one Authorization field, or one that is not `Bearer` and a token; a cookie that is there twice; a token in
        /// the query or among subprotocols that is not written in the one way, or where it does not count.
        case malformed
    }

    private let places: TokenPlaces
    /// Authorization fields, and tokens in the query and among subprotocols: what is never sent without being meant.
    private var presented = 0
    private var token = Place.nowhere
    private var cookies = 0
    private var cookie = Place.nowhere
    private var subprotocolFields = 0
    /// What is left out of the query before it is forwarded.
    package private(set) var queryCut: Range<Int>?
    /// Where a token stands among subprotocols, and their list.
    package private(set) var subprotocols: (token: Range<Int>, list: Range<Int>)?

    /// - Parameter places: of the request's route.
    package init(_ places: TokenPlaces) { self.places = places }

    /// An Authorization field whose value is `value` of `head`.
    package mutating func takeAuthorization(_ value: Range<Int>, of head: Span<UInt8>) {
        present(Credentials.bearerToken(in: head, value))
    }

    private mutating func present(_ place: Place) {
        presented += 1
        token = place
    }

    /// The query, with its question mark.
    /// - Parameter counts: whether the request may carry the token there.
    package mutating func takeQuery(_ query: Range<Int>, of head: Span<UInt8>, counts: Bool) {
        guard !places.parameter.isEmpty else { return }
        switch QueryToken.find(places.parameter, in: head, query) {
        case .absent: break
        case .at(let range, let cut) where counts:
            queryCut = cut
            present(.at(range))
        case .at, .ambiguous: present(.malformed)
        }
    }

    /// A Sec-WebSocket-Protocol field whose value is `value` of `head`.
    /// - Parameter counts: whether the request asks for a WebSocket.
    package mutating func takeSubprotocols(_ value: Range<Int>, of head: Span<UInt8>, counts: Bool) {
        guard !places.subprotocol.isEmpty else { return }
        subprotocolFields += 1
        switch SubprotocolToken.find(places.subprotocol, in: head, value) {
        case .absent:
            // Two fields are one list to some and two to others.
            if subprotocols != nil { present(.malformed) }
        case .at(let range) where counts && subprotocolFields == 1:
            subprotocols = (range, value)
            present(.at(range))
        case .at, .ambiguous: present(.malformed)
        }
    }

    /// A Cookie field whose value is `value` of `head`.
    package mutating func takeCookie(_ value: Range<Int>, of head: Span<UInt8>) {
        guard !places.cookie.isEmpty else { return }
        var position = value.lowerBound
        while let pair = Cookies.nextPair(in: head, value, &position) { takeCookiePair(pair, of: head) }
    }

    /// An Authorization field, of whatever scheme, and a token in the query or among subprotocols stand before the cookie: a
    /// client that sends one means it, and must send no two (RFC 6750 §2).
    package var place: Place {
        switch presented {
        case 0: cookies > 1 ? .malformed : cookie
        case 1: token
        default: .malformed
        }
    }

    /// Whether `place` is the cookie's.
    package var isCookie: Bool { presented == 0 && cookies > 0 }

    /// Whether a backend may see a bearer token in an Authorization field of this value.
    static func mayBeBearer(_ value: Range<Int>, of head: Span<UInt8>) -> Bool {
        bearerToken(in: head, value) != .nowhere
    }

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
        let count = places.cookie.count
        guard end - start > count, head[start + count] == UInt8(ascii: "=") else { return }
        for index in 0..<count where head[start + index] != places.cookie[index] { return }
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
