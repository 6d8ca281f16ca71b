/// The points of the Edwards curves whose order divides the cofactor (RFC 8032 §5.1, §5.2). As a public key such a point proves
/// nothing: under the neutral element one signature is right for every message. They lie on the curve, so OpenSSL takes them.
enum SmallOrderPoints {
    /// - Parameter key: as RFC 8032 §5.1.2 and §5.2.2 encode it: y from the lowest byte on, the last bit is the sign of x.
    static func contains(_ key: [UInt8], on curve: KeyMaterial.EdwardsCurve) -> Bool {
        guard key.count == curve.keyBytes else { return false }
        var y = key
        y[y.count - 1] &= 0x7f
        return (curve == .ed25519 ? ofEd25519 : ofEd448).contains(y)
    }

    /// 0, 1, −1 and the two of order 8; 0 and 1 also as p and p + 1, which are not reduced.
    private static let ofEd25519: [[UInt8]] = {
        let prime = [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f]
        return small(32, prime) + [
            [
                0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
                0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
            ],
            [
                0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
                0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
            ],
        ]
    }()

    /// 0, 1 and −1, in the same two ways. p is 2⁴⁴⁸ − 2²²⁴ − 1.
    private static let ofEd448: [[UInt8]] = {
        var prime = [UInt8](repeating: 0xff, count: 57)
        prime[28] = 0xfe
        prime[56] = 0
        return small(57, prime)
    }()

    /// The encodings of y = 0, 1, p − 1, p and p + 1. The lowest byte of p is not 0, so p − 1 borrows nothing; p + 1 may carry.
    private static func small(_ count: Int, _ prime: [UInt8]) -> [[UInt8]] {
        let zero = [UInt8](repeating: 0, count: count)
        var one = zero
        one[0] = 1
        var before = prime
        before[0] -= 1
        var after = prime
        for index in after.indices {
            after[index] &+= 1
            if after[index] != 0 { break }
        }
        return [zero, one, before, prime, after]
    }
}
