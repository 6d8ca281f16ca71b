/// The character classes of RFC 3986 that paths and authorities are made of.
extension Characters {
    /// §3.3 `pchar` as a single byte, without `;` (a path parameter for some backends) and the dot, which may make a dot
    /// segment: letters, digits and `-_~!$&'()*+,=:@`.
    @inline(__always)
    static var segment: Class { Class(low: 0x27ff_3fd2_0000_0000, high: 0x47ff_fffe_87ff_ffff) }

    /// Letters, digits and `-._~=`: what the name of a host is made of in practice. `reg-name` of §3.2.2 also allows
    /// percent-encoding and `!$&'()*+,;`, which only serve to write one host in two ways, or to break out of a list or a
    /// command line.
    @inline(__always)
    static var hostName: Class { Class(low: 0x23ff_6000_0000_0000, high: 0x47ff_fffe_87ff_fffe) }
}
