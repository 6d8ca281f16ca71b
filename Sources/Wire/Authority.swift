/// `host[:port]` of a Host field or an absolute target, as places in its bytes (RFC 3986 §3.2, RFC 9110 §7.2).
///
/// Narrower than the grammar: no user information, no percent-encoding, no empty host, no empty label and no IPv4 address
/// in any spelling but four decimal numbers, because each of them is a way to make two programs see two hosts.
package struct Authority: Hashable, Sendable {
    /// Without the port and without the dot of an absolute name (`example.org.` is `example.org`); an IPv6 address with
    /// its brackets. Any letter case.
    package let host: Range<Int>
    /// Nil when none was written, or only its colon.
    package let port: UInt16?

    /// Reads `bytes[range]`; nil when it is not the name and port of one host.
    package init?(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard !range.isEmpty, range.count <= 255 + 6 else { return nil }
        var position = range.lowerBound
        let hostEnd: Int
        if bytes[position] == UInt8(ascii: "[") {
            var colons = 0
            while position < range.upperBound, bytes[position] != UInt8(ascii: "]") {
                if bytes[position] == UInt8(ascii: ":") { colons += 1 }
                position += 1
            }
            guard position < range.upperBound else { return nil }
            let inner = range.lowerBound + 1..<position
            // Without a colon it would be an IPv4 address, which has no brackets.
            guard colons > 0, IPAddress(ascii: bytes.extracting(inner)) != nil else { return nil }
            position += 1
            hostEnd = position
        } else {
            var labelStart = position
            while position < range.upperBound, bytes[position] != UInt8(ascii: ":") {
                guard Characters.hostName.contains(bytes[position]) else { return nil }
                if bytes[position] == UInt8(ascii: ".") {
                    guard position > labelStart else { return nil }
                    labelStart = position + 1
                }
                position += 1
            }
            let isAbsolute = position == labelStart
            hostEnd = isAbsolute ? position - 1 : position
            guard hostEnd > range.lowerBound else { return nil }
            if isNumeric(bytes, lastLabelOf: range.lowerBound..<hostEnd) {
                guard !isAbsolute, IPAddress(ascii: bytes.extracting(range.lowerBound..<hostEnd))?.isV4 == true else {
                    return nil
                }
            }
        }
        host = range.lowerBound..<hostEnd
        guard position < range.upperBound else {
            port = nil
            return
        }
        guard bytes[position] == UInt8(ascii: ":"), range.upperBound - position <= 6 else { return nil }
        var number = 0
        for index in position + 1..<range.upperBound {
            guard Characters.isDigit(bytes[index]) else { return nil }
            number = number * 10 + Int(bytes[index] - 48)
        }
        guard number <= 65_535, number > 0 || position + 1 == range.upperBound else { return nil }
        port = number == 0 ? nil : UInt16(number)
    }
}

/// Whether the last label is a number, decimal or hexadecimal. A name never ends in one (RFC 1123 §2.1), so the host must
/// be an IPv4 address; `127.1`, `0x7f.1` and `017700000001` are one for some programs only (RFC 3986 §7.4).
private func isNumeric(_ bytes: Span<UInt8>, lastLabelOf host: Range<Int>) -> Bool {
    var start = host.upperBound
    while start > host.lowerBound, bytes[start - 1] != UInt8(ascii: ".") { start -= 1 }
    let isHexadecimal =
        host.upperBound - start >= 2 && bytes[start] == UInt8(ascii: "0")
        && bytes[start + 1] | 0x20 == UInt8(ascii: "x")
    for index in (isHexadecimal ? start + 2 : start)..<host.upperBound {
        let isMember = isHexadecimal ? hexDigit(bytes[index]) != nil : Characters.isDigit(bytes[index])
        if !isMember { return false }
    }
    return true
}
