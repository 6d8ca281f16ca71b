import CryptoExtras
import JWTKit

/// A key of every algorithm that JWTKit signs with; its kid is the algorithm's name.
struct House {
    struct Minted: Codable {
        let algorithm: String
        /// One of the two.
        var secret: String?
        var pem: String?
        var token = ""
    }

    private struct Claims: JWTPayload {
        var sub = "alice"
        var role = "admin"
        var iat = 1_699_999_990
        var exp = 1_700_003_600

        func verify(using algorithm: some JWTAlgorithm) async throws {}
    }

    private let keys = JWTKeyCollection()
    private var known: [Minted] = []

    init() async throws {
        let rsa = try Insecure.RSA.PrivateKey(backing: _RSA.Signing.PrivateKey(keySize: .bits2048))
        let pem = rsa.publicKey.pemRepresentation
        for (size, digest) in [("256", DigestAlgorithm.sha256), ("384", .sha384), ("512", .sha512)] {
            let secret = String((0..<64).map { _ in "0123456789abcdef".randomElement()! })
            await keys.add(
                hmac: HMACKey(from: secret), digestAlgorithm: digest, kid: JWKIdentifier(string: "HS\(size)"))
            await keys.add(rsa: rsa, digestAlgorithm: digest, kid: JWKIdentifier(string: "RS\(size)"))
            await keys.add(pss: rsa, digestAlgorithm: digest, kid: JWKIdentifier(string: "PS\(size)"))
            known.append(Minted(algorithm: "HS\(size)", secret: secret))
            known += ["RS\(size)", "PS\(size)"].map { Minted(algorithm: $0, pem: pem) }
        }
        let (p256, p384, p521) = (ES256PrivateKey(), ES384PrivateKey(), ES512PrivateKey())
        let edwards = try EdDSA.PrivateKey(curve: .ed25519)
        await keys.add(ecdsa: p256, kid: "ES256")
        await keys.add(ecdsa: p384, kid: "ES384")
        await keys.add(ecdsa: p521, kid: "ES512")
        await keys.add(eddsa: edwards, kid: "EdDSA")
        known += [
            Minted(algorithm: "ES256", pem: p256.publicKey.pemRepresentation),
            Minted(algorithm: "ES384", pem: p384.publicKey.pemRepresentation),
            Minted(algorithm: "ES512", pem: p521.publicKey.pemRepresentation),
            Minted(algorithm: "EdDSA", pem: edwards.publicKey.pemRepresentation),
        ]
    }

    func minted() async throws -> [Minted] {
        var minted: [Minted] = []
        for var one in known {
            one.token = try await keys.sign(Claims(), kid: JWKIdentifier(string: one.algorithm))
            minted.append(one)
        }
        return minted
    }
}
