import Testing
import Wire

@Suite struct `Digits made by arithmetic` {
    private func text(_ word: UInt64, _ count: Int) -> String {
        String(decoding: (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }, as: UTF8.self)
    }

    @Test func `are those of every number below a thousand`() {
        for value: UInt32 in 0..<1_000 {
            let (digits, count) = Digits.upToThree(value)
            #expect(text(UInt64(digits), count) == "\(value)")
            #expect(text(UInt64(Digits.three(value)), 3) == String("\(1_000 + value)".dropFirst()))
        }
    }

    @Test func `are hexadecimal with every nibble in every place`() {
        for nibble: UInt32 in 0..<16 {
            for place: UInt32 in 0..<8 {
                let value = nibble << (4 * place)
                let plain = String(value, radix: 16)
                let expected = String(repeating: "0", count: 8 - plain.count) + plain
                #expect(text(Digits.hexadecimal(value), 8) == expected)
            }
        }
        #expect(text(Digits.hexadecimal(0x89ab_cdef), 8) == "89abcdef")
    }

    @Test func `of addresses are dotted decimal`() {
        for value: UInt32 in [0, 0xffff_ffff, 0x7f00_0001, 0x0a63_64c8, 0xc000_02ff, 0x0909_0a64] {
            withUnsafeTemporaryAllocation(byteCount: Digits.dottedRoom, alignment: 8) { room in
                let count = Digits.dotted(value, to: room.baseAddress!)
                #expect(String(decoding: room[..<count], as: UTF8.self) == IPAddress(v4: value).description)
            }
        }
    }
}
