internal import Glibc

/// The character classes of RFC 9110 and RFC 9112, as bit sets over ASCII: two words and a shift, no table in memory.
public enum Characters {
    /// One bit per byte below 128.
    public struct Class: Sendable {
        @usableFromInline let low: UInt64
        @usableFromInline let high: UInt64

        init(_ members: String) {
            var low: UInt64 = 0
            var high: UInt64 = 0
            for byte in members.utf8 {
                if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
            }
            self.low = low
            self.high = high
        }

        @inlinable
        init(low: UInt64, high: UInt64) {
            self.low = low
            self.high = high
        }

        @inlinable
        @inline(__always)
        public func contains(_ byte: UInt8) -> Bool {
            byte < 64 ? low >> UInt64(byte) & 1 == 1 : byte < 128 && high >> UInt64(byte & 63) & 1 == 1
        }
    }

    /// `tchar` of RFC 9110 §5.6.2: letters, digits and ``!#$%&'*+-.^_`|~``.
    @inlinable
    @inline(__always)
    public static var token: Class { Class(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe) }

    /// What nearly all field names are of: letters, digits and `-`.
    @inline(__always)
    static var usualInNames: Class { Class(low: 0x03ff_2000_0000_0000, high: 0x07ff_fffe_07ff_fffe) }

    /// A byte that a field value may hold (RFC 9110 §5.5): HTAB, SP, VCHAR and obs-text.
    @inlinable
    @inline(__always)
    public static func isFieldValue(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7f || byte == 0x09
    }

    /// SP or HTAB: optional white space.
    @inlinable
    @inline(__always)
    public static func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// `0` to `9`.
    @inlinable
    @inline(__always)
    public static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// ASCII letters in lower case, every other byte as it is.
    @inlinable
    @inline(__always)
    public static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
}

extension Span<UInt8> {
    /// Whether the bytes are `text` when ASCII case is ignored. `text` must be lower case.
    @inlinable
    public func equalsIgnoringCase(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        guard count >= 8 else {
            for index in 0..<count where Characters.lowercased(self[index]) != text.utf8Start[index] { return false }
            return true
        }
        let other = UnsafeRawPointer(text.utf8Start)
        var position = 0
        while true {
            // The last word overlaps the one before it.
            let at = Swift.min(position, count - 8)
            let word = bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
            guard Words.lowercased(word) == other.loadUnaligned(fromByteOffset: at, as: UInt64.self) else {
                return false
            }
            position += 8
            if position >= count { return true }
        }
    }

    /// The same for text that is known at run time only; either may be in any case.
    package func equalsIgnoringCase(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where Characters.lowercased(self[index]) != Characters.lowercased(other[index]) {
            return false
        }
        return true
    }

    /// Whether the bytes are `text`, letter case included.
    @inlinable
    public func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// Equal length and content; not in constant time, so not for secrets.
    package func equals(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        return withUnsafeBytes { mine in
            other.withUnsafeBytes { theirs in
                mine.isEmpty || memcmp(mine.baseAddress!, theirs.baseAddress!, mine.count) == 0
            }
        }
    }

    /// A copy as text; bytes that are not UTF-8 become U+FFFD. For logs and diagnostics, not for the path of a request.
    package var text: String {
        withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}

/// Eight bytes at a time in one word; the first byte is the lowest.
public enum Words {
    @usableFromInline static var ones: UInt64 { 0x0101_0101_0101_0101 }
    @usableFromInline static var tops: UInt64 { 0x8080_8080_8080_8080 }

    /// ASCII letters in lower case, every other byte as it is.
    @inlinable
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        let bits = word & ~tops
        let capital = (bits &+ ones &* (0x80 - 0x41)) & ~(bits &+ ones &* (0x80 - 0x5b)) & ~word & tops
        return word | capital >> 2
    }

    /// The top bit of the first byte that is below SP or DEL, and perhaps of some behind it; 0 when there is none. A borrow
    /// can only mark bytes behind the first.
    @inline(__always)
    static func controlMarks(_ word: UInt64) -> UInt64 {
        let control = (word &- ones &* 0x20) & ~word
        let deleted = word ^ ones &* 0x7f
        return (control | ((deleted &- ones) & ~deleted)) & tops
    }

    /// The top bit of the first byte that is no visible ASCII, or `#`, and perhaps of some behind it; 0 when there is none.
    @inline(__always)
    static func untargetedMarks(_ word: UInt64) -> UInt64 {
        let below = word &- ones &* 0x21
        let number = word ^ ones &* 0x23
        let deleted = word ^ ones &* 0x7f
        return (word | below | (number &- ones) | (deleted &- ones)) & tops
    }

    /// The top bits of the bytes that are neither letter, digit nor `-`, of which nearly all field names are. Sums of seven
    /// bits do not reach the next byte.
    @inline(__always)
    static func unusualNameMarks(_ word: UInt64) -> UInt64 {
        let bits = word & ~tops
        let folded = bits | ones &* 0x20
        let letter = (folded &+ ones &* (0x80 - 0x61)) & ~(folded &+ ones &* (0x80 - 0x7b))
        let digit = (bits &+ ones &* (0x80 - 0x30)) & ~(bits &+ ones &* (0x80 - 0x3a))
        let dash = ~((bits ^ ones &* 0x2d) &+ ones &* 0x7f)
        return ~((letter | digit | dash) & ~word) & tops
    }

    /// How many bytes stand before the first that is marked; 8 when none is.
    @inline(__always)
    static func unmarkedPrefix(_ marks: UInt64) -> Int { marks.trailingZeroBitCount &>> 3 }
}

/// 0–15 for a hexadecimal digit of either case; nil for any other byte.
package func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 48...57: byte - 48
    case 65...70: byte - 55
    case 97...102: byte - 87
    default: nil
    }
}
