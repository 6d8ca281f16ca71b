/// A set of ASCII bytes as two words, so that asking is a shift and a mask and no table is fetched from memory.
struct ByteSet: Sendable {
    /// Bit n: byte n.
    let low: UInt64
    /// Bit n: byte 64 + n.
    let high: UInt64

    /// False for every byte above 127.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte & 64 == 0 ? low : high
        return byte < 128 && word >> UInt64(byte & 63) & 1 != 0
    }
}

extension ByteSet {
    /// RFC 9110 §5.6.2 `tchar`: letters, digits and ``!#$%&'*+-.^_`|~``.
    static let token = ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)

    /// RFC 3986 §3.3 `pchar` as a single byte, without `;` (a path parameter for some backends): letters, digits and
    /// `-._~!$&'()*+,=:@`.
    static let segment = ByteSet(low: 0x27ff_7fd2_0000_0000, high: 0x47ff_fffe_87ff_ffff)

    /// RFC 3986 §3.2.2 `reg-name` without percent-encoding: letters, digits and `-._~!$&'()*+,;=`.
    static let registeredName = ByteSet(low: 0x2bff_7fd2_0000_0000, high: 0x47ff_fffe_87ff_fffe)
}

/// `byte` in lower case if it is an ASCII capital.
@inline(__always)
package func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 65 < 26 ? byte | 0x20 : byte
}
