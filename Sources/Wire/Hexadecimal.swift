/// Numbers of 64 bits as they stand in names: of accounts, of failures.
package enum Hexadecimal {
    /// All 16 digits, in lower case.
    package static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// One as `text` writes it.
    package static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}
