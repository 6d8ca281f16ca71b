/// The character classes of RFC 3986 that paths and authorities are made of.
extension Characters {
    /// §3.3 `pchar` as a single byte, without `;` (a path parameter for some backends): letters, digits and
    /// `-._~!$&'()*+,=:@`.
    @inline(__always)
    static var segment: Class { Class(low: 0x27ff_7fd2_0000_0000, high: 0x47ff_fffe_87ff_ffff) }

    /// §3.2.2 `reg-name` without percent-encoding: letters, digits and `-._~!$&'()*+,;=`.
    @inline(__always)
    static var registeredName: Class { Class(low: 0x2bff_7fd2_0000_0000, high: 0x47ff_fffe_87ff_fffe) }
}
