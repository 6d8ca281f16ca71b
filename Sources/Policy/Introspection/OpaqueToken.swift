internal import Wire

/// Tells tokens that only their issuer can judge from those that a signature vouches for.
package enum OpaqueToken {
    /// Three parts of base64url are a JWS (RFC 7515 §7.1), good or not: its signature alone decides, and nobody is asked
    /// about it, so that an issuer's leniency cannot bring a forged one back. Everything else is opaque, five parts too: what is
    /// encrypted (RFC 7516 §7.1) is not for us to read.
    package static func isOpaque(_ token: Span<UInt8>) -> Bool {
        var dots = 0
        for index in token.indices {
            switch token[index] {
            case UInt8(ascii: "."): dots += 1
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                continue
            default: return true
            }
        }
        return dots != 2
    }
}
