/// `host[:port]` of a Host field or an absolute target, as places in its bytes (RFC 3986 §3.2, RFC 9110 §7.2).
///
/// Narrower than the grammar: no user information, no percent-encoding, no empty host and no empty label, because each of
/// them is a way to make two programs see two hosts.
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

    /// Whether both name the same host and port when a missing port is `defaultPort`. Both lie in `bytes`.
    package func isSame(as other: Authority, in bytes: Span<UInt8>, defaultPort: UInt16) -> Bool {
        guard host.count == other.host.count, port ?? defaultPort == other.port ?? defaultPort else { return false }
        for offset in 0..<host.count {
            let a = Characters.lowercased(bytes[host.lowerBound + offset])
            let b = Characters.lowercased(bytes[other.host.lowerBound + offset])
            if a != b { return false }
        }
        return true
    }
}
