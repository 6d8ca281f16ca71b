internal import Wire

/// The token among the subprotocols that a WebSocket client offers (RFC 6455 §11.3.4): browsers can set no other field of
/// a handshake. A name that the route gives stands in front of it: `bearer, <token>`.
enum SubprotocolToken: Equatable {
    case absent
    case at(Range<Int>)
    /// Without a token, twice, in another letter case, or in a list that is none.
    case ambiguous

    /// - Parameter value: of the one Sec-WebSocket-Protocol field.
    static func find(_ marker: [UInt8], in head: Span<UInt8>, _ value: Range<Int>) -> SubprotocolToken {
        var token: Range<Int>?
        var isMarked = false
        var isBroken = false
        var position = value.lowerBound
        while let element = nextElement(head, value, &position) {
            if !isName(head, element) { isBroken = true }
            let isMarker = head.extracting(element).equalsIgnoringCase(marker.span)
            if isMarked, token == nil {
                token = element
                if isMarker { isBroken = true }
            } else if isMarker {
                if isMarked || !head.extracting(element).equals(marker.span) { isBroken = true }
                isMarked = true
            } else if mayBeToken(head, element) {
                isBroken = true
            }
        }
        guard isMarked else { return .absent }
        guard let token, !isBroken else { return .ambiguous }
        return .at(token)
    }

    /// The element at `position`, without the white space around it, maybe empty; nil behind the last one.
    static func nextElement(_ head: Span<UInt8>, _ value: Range<Int>, _ position: inout Int) -> Range<Int>? {
        guard position <= value.upperBound else { return nil }
        var start = position
        var end = start
        while end < value.upperBound, head[end] != UInt8(ascii: ",") { end += 1 }
        position = end + 1
        while start < end, Characters.isWhitespace(head[start]) { start += 1 }
        while end > start, Characters.isWhitespace(head[end - 1]) { end -= 1 }
        return start..<end
    }

    /// RFC 6455 §4.1: subprotocols are tokens, and none is empty.
    private static func isName(_ head: Span<UInt8>, _ element: Range<Int>) -> Bool {
        for index in element where !Characters.token.contains(head[index]) { return false }
        return !element.isEmpty
    }

    /// A second token beside the first would be forwarded, since it looks like a subprotocol. This one looks like a token:
    /// three parts, of which the first is `{"` in base64url (RFC 7515 §7.1).
    private static func mayBeToken(_ head: Span<UInt8>, _ element: Range<Int>) -> Bool {
        guard element.count > 16, head.extracting(element.lowerBound..<element.lowerBound + 3).equals("eyJ") else {
            return false
        }
        var dots = 0
        for index in element where head[index] == UInt8(ascii: ".") { dots += 1 }
        return dots == 2
    }
}

/// What a client offered beside the token.
struct SubprotocolOffer: Sendable {
    /// Said to the client when the server has chosen nothing: browsers take no answer that chooses none of what they
    /// offered (Fetch, "establish a WebSocket connection").
    let marker: [UInt8]
    /// The others as the client ordered them, a comma and a space between.
    let others: [UInt8]

    init(_ marker: [UInt8], token: Range<Int>, in head: Span<UInt8>, _ value: Range<Int>) {
        self.marker = marker
        var others: [UInt8] = []
        var position = value.lowerBound
        while let element = SubprotocolToken.nextElement(head, value, &position) {
            if element == token || head.extracting(element).equals(marker.span) { continue }
            if !others.isEmpty { others += [UInt8(ascii: ","), UInt8(ascii: " ")] }
            for index in element { others.append(head[index]) }
        }
        self.others = others
    }

    /// Whether a server may choose this.
    func holds(_ chosen: Span<UInt8>) -> Bool {
        let others = others.span
        var position = 0
        while let element = SubprotocolToken.nextElement(others, others.indices, &position) {
            if !element.isEmpty, chosen.equals(others.extracting(element)) { return true }
        }
        return false
    }
}
