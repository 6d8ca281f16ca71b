/// A key that signatures are verified with, checked once and kept as bytes: it crosses threads, and each worker makes
/// its own `SignatureChecker` from it. Of a private key only the public half is kept.
package struct KeyMaterial: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case secret
        /// Bits of the modulus, 2048–8192.
        case rsa(bits: Int)
        case elliptic(Curve)
        case edwards(EdwardsCurve)
    }

    /// The curves of RFC 7518 §6.2.1.1, each bound to one algorithm (RFC 7518 §3.4).
    package enum Curve: String, CaseIterable, Sendable {
        case p256 = "P-256"
        case p384 = "P-384"
        case p521 = "P-521"

        /// Bytes of a coordinate, and of R and of S.
        package var fieldBytes: Int {
            switch self {
            case .p256: 32
            case .p384: 48
            case .p521: 66
            }
        }

        var algorithm: SignatureAlgorithm {
            switch self {
            case .p256: .es256
            case .p384: .es384
            case .p521: .es512
            }
        }
    }

    /// The signature curves of RFC 8037 §2.
    package enum EdwardsCurve: String, CaseIterable, Sendable {
        case ed25519 = "Ed25519"
        case ed448 = "Ed448"

        package var keyBytes: Int { self == .ed25519 ? 32 : 57 }
        package var signatureBytes: Int { self == .ed25519 ? 64 : 114 }
    }

    package let kind: Kind
    /// The secret itself, or a SubjectPublicKeyInfo in DER.
    let encoded: [UInt8]

    init(kind: Kind, encoded: [UInt8]) {
        self.kind = kind
        self.encoded = encoded
    }

    /// A shared secret of at least 32 bytes: RFC 7518 §3.2 wants a key as long as the hash, and the shortest is SHA-256.
    package init(secret: [UInt8]) throws(KeyError) {
        guard secret.count >= 32 else { throw .secretTooShort(bytes: secret.count, needed: 32) }
        self.init(kind: .secret, encoded: secret)
    }

    /// What this key may be used for. An RSA key that is offered as an HMAC secret finds no algorithm here, nor does a
    /// P-256 key for ES384.
    package var algorithms: SignatureAlgorithms {
        switch kind {
        case .secret: SignatureAlgorithms(SignatureAlgorithms.hmac.members.filter { $0.digestBytes <= encoded.count })
        case .rsa: .rsa
        case .elliptic(let curve): SignatureAlgorithms(curve.algorithm)
        case .edwards: SignatureAlgorithms(.edDSA)
        }
    }

    /// What tells keys apart for people who compare replicas: 48 bits of a SHA-256, of a secret too. It proves nothing, and a
    /// secret of 32 random bytes cannot be found from it.
    package var fingerprint: String {
        let digest = Bytes.sha256((Array("gateway key fingerprint\0".utf8) + encoded).span)
        return digest.prefix(6).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The code of `message` under a shared secret (RFC 7518 §3.2); nil for public keys, and algorithms that do not fit.
    package func code(of message: Span<UInt8>, _ algorithm: SignatureAlgorithm) -> [UInt8]? {
        guard kind == .secret, algorithms.contains(algorithm) else { return nil }
        return KeyedMAC(secret: encoded, algorithm)?.code(of: message)
    }

    /// Bytes of a shared secret; 0 for a public key.
    package var secretBytes: Int { kind == .secret ? encoded.count : 0 }
}

extension KeyMaterial: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The kind and never the bytes: a secret must not reach a log by interpolation.
    package var description: String {
        switch kind {
        case .secret: "secret of \(encoded.count) bytes"
        case .rsa(let bits): "RSA key of \(bits) bits"
        case .elliptic(let curve): "\(curve.rawValue) key"
        case .edwards(let curve): "\(curve.rawValue) key"
        }
    }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why a key cannot be used. The text is for operators and never holds bytes of the key.
package enum KeyError: Error, Hashable, CustomStringConvertible {
    case secretTooShort(bytes: Int, needed: Int)
    case notPEM
    case encryptedPEM
    case unreadable
    case unsupportedKind
    case rsaSize(bits: Int)
    case rsaExponent
    case rsaFactorable
    case pointInvalid
    case coordinateLength(bytes: Int, needed: Int)
    case algorithmDoesNotFit(SignatureAlgorithm)
    case notPrivate
    case signsNothing
    case halvesDiffer

    package var description: String {
        switch self {
        case .secretTooShort(let bytes, let needed):
            "the secret has \(bytes) bytes, but \(needed) are needed (RFC 7518 section 3.2)"
        case .notPEM: "no PEM block with a key or certificate was found"
        case .encryptedPEM: "the PEM block is encrypted; only the public half is needed here"
        case .unreadable: "the key cannot be decoded"
        case .unsupportedKind: "keys of this kind are not supported"
        case .rsaSize(let bits): "an RSA key has \(bits) bits, but must have 2048 to 8192"
        case .rsaExponent: "the RSA exponent must be odd, above 1 and at most 64 bits"
        case .rsaFactorable: "the RSA key is one of those that can be factored (CVE-2017-15361); make a new one"
        case .pointInvalid: "the public key is not a valid point of its curve"
        case .coordinateLength(let bytes, let needed): "a coordinate has \(bytes) bytes instead of \(needed)"
        case .algorithmDoesNotFit(let algorithm): "the key cannot be used with \(algorithm.name)"
        case .notPrivate: "the key is a public one, and signing needs a private one"
        case .signsNothing: "only keys on P-256 and Ed25519 sign here"
        case .halvesDiffer: "the private half does not belong to the public one"
        }
    }
}
