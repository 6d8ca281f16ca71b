/// Which of the slots of a Redis Cluster a key is in: the CRC-16 (XMODEM) of its hash tag, or of all of it where it has none
/// ("Redis cluster specification", "Key distribution model" and "Hash tags").
enum RedisSlot {
    static let count = 16_384

    static func of(_ key: String) -> Int { Int(crc16(hashed(Array(key.utf8)))) % count }

    /// What is hashed: what stands between the first `{` and the first `}` behind it, if that is something.
    static func hashed(_ key: [UInt8]) -> ArraySlice<UInt8> {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")),
            let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
        else { return key[...] }
        return key[(open + 1)..<close]
    }

    /// The lowest number that, as a hash tag, puts a key into the slot.
    static func tag(for slot: Int) -> String { String(lowest[slot]) }

    /// Some hundred thousand numbers lead to all slots. The sum of each is that of the digits before its last, and a step.
    private static let lowest: [Int] = {
        var lowest = [Int](repeating: -1, count: count)
        var sums: [UInt16] = []
        var left = count
        while left > 0 {
            let number = sums.count
            let sum = step(number < 10 ? 0 : sums[number / 10], UInt8(ascii: "0") + UInt8(number % 10))
            sums.append(sum)
            guard lowest[Int(sum) % count] < 0 else { continue }
            lowest[Int(sum) % count] = number
            left -= 1
        }
        return lowest
    }()

    static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var sum: UInt16 = 0
        for byte in bytes { sum = step(sum, byte) }
        return sum
    }

    private static func step(_ sum: UInt16, _ byte: UInt8) -> UInt16 { sum << 8 ^ table[Int(sum >> 8) ^ Int(byte)] }

    /// Of the polynomial x^16 + x^12 + x^5 + 1.
    private static let table: [UInt16] = (0..<256).map { byte in
        var sum = UInt16(byte) << 8
        for _ in 0..<8 { sum = sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
        return sum
    }
}
