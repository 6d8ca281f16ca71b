internal import Wire

/// The token among the parameters of a query (RFC 6750 §2.3).
///
/// There is no one grammar of queries: some programs end a parameter at `;` as well, decode its name, or do not mind
/// letter case. So whatever anybody may read as the parameter is found here, and taken only when it is written in the one
/// way in which all agree. The value is never decoded: no character of a token needs it.
enum QueryToken: Equatable {
    case absent
    /// Where the token stands, and what is left out of the query so that the parameter is gone.
    case at(Range<Int>, cut: Range<Int>)
    /// Twice, without a token, or in a spelling that another program may read otherwise.
    case ambiguous

    /// - Parameter query: with its question mark.
    static func find(_ name: [UInt8], in head: Span<UInt8>, _ query: Range<Int>) -> QueryToken {
        var found = QueryToken.absent
        var start = query.lowerBound + 1
        while start < query.upperBound {
            var end = start
            while end < query.upperBound, !isSeparator(head[end]) { end += 1 }
            if mayMean(name, head, start..<end) {
                guard found == .absent else { return .ambiguous }
                found = parameter(name, head, start..<end, query)
                if found == .ambiguous { return found }
            }
            start = end + 1
        }
        return found
    }

    private static func isSeparator(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";") }

    private static func parameter(
        _ name: [UInt8], _ head: Span<UInt8>, _ piece: Range<Int>, _ query: Range<Int>
    ) -> QueryToken {
        let value = piece.lowerBound + name.count + 1
        let isFirst = piece.lowerBound == query.lowerBound + 1
        let isLast = piece.upperBound == query.upperBound
        guard value < piece.upperBound, head[value - 1] == UInt8(ascii: "="),
            head.extracting(piece.lowerBound..<value - 1).equals(name.span),
            isFirst || head[piece.lowerBound - 1] == UInt8(ascii: "&"),
            isLast || head[piece.upperBound] == UInt8(ascii: "&")
        else { return .ambiguous }
        // With the `&` before it, or the one behind it; alone, with the question mark.
        let cut = isFirst && !isLast ? piece.lowerBound..<piece.upperBound + 1 : piece.lowerBound - 1..<piece.upperBound
        return .at(value..<piece.upperBound, cut: cut)
    }

    /// Whether some program may take the piece for the parameter: decoded, letter case aside, without what stands before
    /// the name as white space, and without an index behind it. PHP takes dots and spaces for `_`.
    private static func mayMean(_ name: [UInt8], _ head: Span<UInt8>, _ piece: Range<Int>) -> Bool {
        var position = piece.lowerBound
        var count = 0
        while let byte = nextByte(head, piece, &position) {
            if count == 0, byte == UInt8(ascii: "?") || byte == UInt8(ascii: "+") || byte <= 0x20 { continue }
            if byte == UInt8(ascii: "=") || byte == 0 || byte == UInt8(ascii: "[") && count == name.count { break }
            if byte <= 0x20 || byte == UInt8(ascii: "+"), count == name.count { continue }
            guard count < name.count, folded(byte) == folded(name[count]) else { return false }
            count += 1
        }
        return count == name.count
    }

    /// The next byte of a name, `%XX` decoded.
    private static func nextByte(_ head: Span<UInt8>, _ piece: Range<Int>, _ position: inout Int) -> UInt8? {
        guard position < piece.upperBound else { return nil }
        let byte = head[position]
        position += 1
        guard byte == UInt8(ascii: "%"), position + 1 < piece.upperBound, let high = hexDigit(head[position]),
            let low = hexDigit(head[position + 1])
        else { return byte }
        position += 2
        return high << 4 | low
    }

    private static func folded(_ byte: UInt8) -> UInt8 {
        switch byte {
        // PHP again: a bracket that nothing closes.
        case UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: " "), UInt8(ascii: "["): UInt8(ascii: "_")
        default: Characters.lowercased(byte)
        }
    }
}
