/// Digits by arithmetic on whole words: no table, no loop over characters. All are in memory order, the first character in
/// the lowest byte.
public enum Digits {
    /// Three decimal digits with leading zeros.
    /// - Parameter value: below 1,000.
    @inlinable
    public static func three(_ value: UInt32) -> UInt32 {
        // Exact for this range: 41/4096 is just above 1/100, 103/1024 just above 1/10.
        let hundreds = (value &* 41) >> 12
        let rest = value &- hundreds &* 100
        let tens = (rest &* 103) >> 10
        return 0x30_3030 | hundreds | tens << 8 | (rest &- tens &* 10) << 16
    }

    /// The same without leading zeros, and how many digits there are: 1 to 3.
    @inlinable
    @inline(__always)
    public static func upToThree(_ value: UInt32) -> (text: UInt32, count: Int) {
        let count = value < 10 ? 1 : value < 100 ? 2 : 3
        return (three(value) &>> UInt32(24 - 8 * count), count)
    }

    /// Eight lower-case hexadecimal digits.
    @inlinable
    public static func hexadecimal(_ value: UInt32) -> UInt64 {
        // Each step doubles the distance between the halves, until every nibble has a byte.
        var nibbles = UInt64(value)
        nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff
        nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff
        nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f
        let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 39).byteSwapped
    }

    /// Bytes that `dotted` may write: the longest text and the dot behind it that is written and not counted.
    @inlinable
    public static var dottedRoom: Int { 16 }

    /// Writes an IPv4 address as dotted decimal and returns its length. Of `dottedRoom` bytes those behind the text may be
    /// written too.
    @inlinable
    public static func dotted(_ address: UInt32, to place: UnsafeMutableRawPointer) -> Int {
        var end = 0
        for shift: UInt32 in [24, 16, 8, 0] {
            let (text, count) = upToThree(address >> shift & 255)
            let dot = UInt32(UInt8(ascii: ".")) << UInt32(8 * count)
            place.storeBytes(of: text | dot, toByteOffset: end, as: UInt32.self)
            end += count + 1
        }
        return end - 1
    }
}
