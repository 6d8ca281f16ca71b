/// The signature algorithms of RFC 7518 §3.1 and RFC 8037 that the gateway verifies. `none` is not among them, so no
/// path through the code can meet it.
package enum SignatureAlgorithm: UInt8, CaseIterable, Sendable {
    case hs256, hs384, hs512
    case rs256, rs384, rs512
    case ps256, ps384, ps512
    case es256, es384, es512
    case edDSA

    /// As `alg` spells it; the spelling is exact (RFC 7515 §4.1.1 makes it case-sensitive).
    package var name: String {
        switch self {
        case .hs256: "HS256"
        case .hs384: "HS384"
        case .hs512: "HS512"
        case .rs256: "RS256"
        case .rs384: "RS384"
        case .rs512: "RS512"
        case .ps256: "PS256"
        case .ps384: "PS384"
        case .ps512: "PS512"
        case .es256: "ES256"
        case .es384: "ES384"
        case .es512: "ES512"
        case .edDSA: "EdDSA"
        }
    }

    package init?(name: Span<UInt8>) {
        guard name.count == 5 else { return nil }
        if name[0] == UInt8(ascii: "E"), name[1] == UInt8(ascii: "d") {
            guard name[2] == UInt8(ascii: "D"), name[3] == UInt8(ascii: "S"), name[4] == UInt8(ascii: "A") else {
                return nil
            }
            self = .edDSA
            return
        }
        let family: UInt8
        switch name[0] {
        case UInt8(ascii: "H"): family = 0
        case UInt8(ascii: "R"): family = 3
        case UInt8(ascii: "P"): family = 6
        case UInt8(ascii: "E"): family = 9
        default: return nil
        }
        let size: UInt8
        switch (name[2], name[3], name[4]) {
        case (UInt8(ascii: "2"), UInt8(ascii: "5"), UInt8(ascii: "6")): size = 0
        case (UInt8(ascii: "3"), UInt8(ascii: "8"), UInt8(ascii: "4")): size = 1
        case (UInt8(ascii: "5"), UInt8(ascii: "1"), UInt8(ascii: "2")): size = 2
        default: return nil
        }
        guard name[1] == UInt8(ascii: "S") else { return nil }
        self.init(rawValue: family + size)
    }

    package init?(name: String) {
        let bytes = Array(name.utf8)
        self.init(name: bytes.span)
    }

    package enum Family: Sendable {
        case hmac, rsa, rsaPSS, ecdsa, edwards
    }

    package var family: Family {
        switch self {
        case .hs256, .hs384, .hs512: .hmac
        case .rs256, .rs384, .rs512: .rsa
        case .ps256, .ps384, .ps512: .rsaPSS
        case .es256, .es384, .es512: .ecdsa
        case .edDSA: .edwards
        }
    }

    /// Bytes of the digest; 0 for EdDSA, which brings its own.
    package var digestBytes: Int {
        switch self {
        case .hs256, .rs256, .ps256, .es256: 32
        case .hs384, .rs384, .ps384, .es384: 48
        case .hs512, .rs512, .ps512, .es512: 64
        case .edDSA: 0
        }
    }

    /// OpenSSL's name of the digest; nil for EdDSA.
    var digestName: String? {
        switch digestBytes {
        case 32: "SHA256"
        case 48: "SHA384"
        case 64: "SHA512"
        default: nil
        }
    }
}

/// A set of algorithms in one word.
package struct SignatureAlgorithms: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package init(_ algorithm: SignatureAlgorithm) { rawValue = 1 << UInt16(algorithm.rawValue) }
    package init(_ algorithms: [SignatureAlgorithm]) {
        self = algorithms.reduce(into: []) { $0.formUnion(SignatureAlgorithms($1)) }
    }

    package func contains(_ algorithm: SignatureAlgorithm) -> Bool {
        rawValue & 1 << UInt16(algorithm.rawValue) != 0
    }

    package static let hmac = SignatureAlgorithms([.hs256, .hs384, .hs512])
    package static let rsa = SignatureAlgorithms([.rs256, .rs384, .rs512, .ps256, .ps384, .ps512])

    /// In the order of `SignatureAlgorithm`.
    package var members: [SignatureAlgorithm] { SignatureAlgorithm.allCases.filter { contains($0) } }
}
