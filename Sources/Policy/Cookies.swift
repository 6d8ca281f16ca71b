internal import Wire

/// RFC 6265 §4.2.1: pairs with semicolons between.
enum Cookies {
    /// Where the value of the first cookie of this name stands; nil: there is none.
    static func value(of name: [UInt8], in head: Span<UInt8>, _ field: Range<Int>) -> Range<Int>? {
        var position = field.lowerBound
        return nextValue(of: name, in: head, field, &position)
    }

    /// The same of the first one at `position` or behind it.
    static func nextValue(
        of name: [UInt8], in head: Span<UInt8>, _ field: Range<Int>, _ position: inout Int
    ) -> Range<Int>? {
        while let pair = nextPair(in: head, field, &position) {
            let behind = pair.lowerBound + name.count
            if behind < pair.upperBound, head[behind] == UInt8(ascii: "="),
                head.extracting(pair.lowerBound..<behind).equals(name.span)
            {
                return behind + 1..<pair.upperBound
            }
        }
        return nil
    }

    /// The pair at `position`, without the white space around it; nil behind the last one.
    static func nextPair(in head: Span<UInt8>, _ field: Range<Int>, _ position: inout Int) -> Range<Int>? {
        guard position < field.upperBound else { return nil }
        var start = position
        var end = start
        while end < field.upperBound, head[end] != UInt8(ascii: ";") { end += 1 }
        position = end + 1
        while start < end, Characters.isWhitespace(head[start]) { start += 1 }
        while end > start, Characters.isWhitespace(head[end - 1]) { end -= 1 }
        return start..<end
    }

    /// Whether a backend may see a cookie of this name in the field.
    static func mayHold(_ name: [UInt8], in head: Span<UInt8>, _ field: Range<Int>) -> Bool {
        var position = field.lowerBound
        while let pair = nextPair(in: head, field, &position) {
            if isNamed(name, head, pair) { return true }
        }
        return false
    }

    /// Writes the field without the cookies of these names; without others there is no field.
    static func write(
        without names: [[UInt8]], _ head: Span<UInt8>, _ field: Range<Int>, into out: inout ByteWriter
    ) {
        var isEmpty = true
        var position = field.lowerBound
        while let pair = nextPair(in: head, field, &position) {
            if pair.isEmpty || names.contains(where: { isNamed($0, head, pair) }) { continue }
            if isEmpty { out.append("Cookie: ") } else { out.append("; ") }
            out.append(head, pair)
            isEmpty = false
        }
        if !isEmpty { out.append("\r\n") }
    }

    /// White space before `=` is none of the name, as some backends read it: what is to be gone must be gone for them too.
    private static func isNamed(_ name: [UInt8], _ head: Span<UInt8>, _ pair: Range<Int>) -> Bool {
        var end = pair.lowerBound
        while end < pair.upperBound, head[end] != UInt8(ascii: "=") { end += 1 }
        guard end < pair.upperBound else { return false }
        while end > pair.lowerBound, Characters.isWhitespace(head[end - 1]) { end -= 1 }
        return head.extracting(pair.lowerBound..<end).equals(name.span)
    }
}
