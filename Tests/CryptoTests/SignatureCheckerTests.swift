import TestSupport
import Testing

@testable import Crypto

private func decoded(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return Base64URL.decode(bytes.span)!
}

private func key(_ pem: String) throws -> KeyMaterial { try KeyMaterial(pem: Array(pem.utf8)) }

private func verifies(
    _ signature: [UInt8], of message: String = Vectors.message, _ material: KeyMaterial, _ algorithm: SignatureAlgorithm
) throws -> Bool {
    let checker = try SignatureChecker(material, algorithm)
    let message = Array(message.utf8)
    return checker.verifies(signature.span, of: message.span)
}

/// Every algorithm with its key, a signature, and another key that fits the algorithm.
struct AlgorithmCase: Sendable, CustomTestStringConvertible {
    var name: String
    var algorithm: SignatureAlgorithm
    var pem: String?
    var signature: String
    var testDescription: String { name }

    func material() throws -> KeyMaterial {
        guard let pem else { return try KeyMaterial(secret: Array(Vectors.secret.utf8)) }
        return try key(pem)
    }

    static let all = [
        AlgorithmCase(name: "HS256", algorithm: .hs256, signature: Vectors.hs256),
        AlgorithmCase(name: "HS384", algorithm: .hs384, signature: Vectors.hs384),
        AlgorithmCase(name: "HS512", algorithm: .hs512, signature: Vectors.hs512),
        AlgorithmCase(name: "RS256", algorithm: .rs256, pem: TestKeys.rsa, signature: Vectors.rs256),
        AlgorithmCase(name: "RS384", algorithm: .rs384, pem: TestKeys.rsa, signature: Vectors.rs384),
        AlgorithmCase(name: "RS512", algorithm: .rs512, pem: TestKeys.rsa, signature: Vectors.rs512),
        AlgorithmCase(name: "PS256", algorithm: .ps256, pem: TestKeys.rsa, signature: Vectors.ps256),
        AlgorithmCase(name: "PS384", algorithm: .ps384, pem: TestKeys.rsa, signature: Vectors.ps384),
        AlgorithmCase(name: "PS512", algorithm: .ps512, pem: TestKeys.rsa, signature: Vectors.ps512),
        AlgorithmCase(name: "ES256", algorithm: .es256, pem: Vectors.p256, signature: Vectors.es256),
        AlgorithmCase(name: "ES384", algorithm: .es384, pem: Vectors.p384, signature: Vectors.es384),
        AlgorithmCase(name: "ES512", algorithm: .es512, pem: Vectors.p521, signature: Vectors.es512),
        AlgorithmCase(name: "Ed25519", algorithm: .edDSA, pem: Vectors.ed25519Key, signature: Vectors.ed25519),
        AlgorithmCase(name: "Ed448", algorithm: .edDSA, pem: Vectors.ed448Key, signature: Vectors.ed448),
    ]
}

@Suite struct `A signature` {
    @Test(arguments: AlgorithmCase.all)
    func `made by another library verifies, again and again`(_ one: AlgorithmCase) throws {
        let checker = try SignatureChecker(one.material(), one.algorithm)
        let message = Array(Vectors.message.utf8)
        let signature = decoded(one.signature)
        var damaged = signature
        damaged[signature.count / 2] ^= 1
        for _ in 0..<3 {
            let good = checker.verifies(signature.span, of: message.span)
            let bad = checker.verifies(damaged.span, of: message.span)
            #expect(good)
            #expect(!bad)
        }
    }

    @Test(arguments: AlgorithmCase.all)
    func `does not verify with any byte of it changed at either end, cut, lengthened or empty`(
        _ one: AlgorithmCase
    ) throws {
        let material = try one.material()
        let signature = decoded(one.signature)
        for index in [0, 1, signature.count - 1] {
            var changed = signature
            changed[index] ^= 0x10
            #expect(try !verifies(changed, material, one.algorithm))
        }
        #expect(try !verifies(signature + [0], material, one.algorithm))
        #expect(try !verifies([0] + signature, material, one.algorithm))
        #expect(try !verifies(Array(signature.dropLast()), material, one.algorithm))
        #expect(try !verifies([], material, one.algorithm))
    }

    @Test(arguments: AlgorithmCase.all)
    func `does not verify another message`(_ one: AlgorithmCase) throws {
        let signature = decoded(one.signature)
        #expect(try !verifies(signature, of: Vectors.message + "A", one.material(), one.algorithm))
        #expect(try !verifies(signature, of: "", one.material(), one.algorithm))
    }

    @Test func `does not verify under another key`() throws {
        #expect(try !verifies(decoded(Vectors.rs256), key(Vectors.otherRSA), .rs256))
        #expect(try !verifies(decoded(Vectors.ps256), key(Vectors.otherRSA), .ps256))
        let secret = try KeyMaterial(secret: Array(Vectors.secret.utf8.dropLast()))
        #expect(try !verifies(decoded(Vectors.hs256), secret, .hs256))
    }

    @Test func `of RSA is bound to its padding and to the salt's length`() throws {
        let rsa = try key(TestKeys.rsa)
        #expect(try !verifies(decoded(Vectors.rs256), rsa, .ps256))
        #expect(try !verifies(decoded(Vectors.ps256), rsa, .rs256))
        #expect(try !verifies(decoded(Vectors.rs256), rsa, .rs384))
        #expect(try !verifies(decoded(Vectors.ps256WithoutSalt), rsa, .ps256))
    }

    @Test func `of an elliptic curve in DER is refused`() throws {
        #expect(try !verifies(decoded(Vectors.es256InDER), key(Vectors.p256), .es256))
    }

    @Test func `with R or S zero, the order or above it is refused`() throws {
        let order: [UInt8] =
            [255, 255, 255, 255, 0, 0, 0, 0] + Array(repeating: 255, count: 8)
            + [0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51]
        let zero = [UInt8](repeating: 0, count: 32)
        let one = Array(zero.dropLast()) + [1]
        let largest = [UInt8](repeating: 255, count: 32)
        let good = decoded(Vectors.es256)
        let material = try key(Vectors.p256)
        for bad in [zero, order, largest] {
            for other in [zero, one, order, largest, Array(good[..<32]), Array(good[32...])] {
                #expect(try !verifies(bad + other, material, .es256))
                #expect(try !verifies(other + bad, material, .es256))
            }
        }
    }

    @Test func `of the largest numbers that fit into it is refused`() throws {
        let all: [(String, Int, SignatureAlgorithm)] = [
            (Vectors.p256, 64, .es256), (Vectors.p384, 96, .es384), (Vectors.p521, 132, .es512),
        ]
        for (pem, count, algorithm) in all {
            for byte: UInt8 in [0, 1, 127, 128, 255] {
                let signature = [UInt8](repeating: byte, count: count)
                #expect(try !verifies(signature, key(pem), algorithm))
            }
        }
    }

    @Test func `of RFC 7515 appendix A.1 verifies with HS256`() throws {
        let secret = decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        let message =
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
            + ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        let signature = decoded("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        #expect(try verifies(signature, of: message, KeyMaterial(secret: secret), .hs256))
    }

    @Test func `of RFC 8037 appendix A.4 verifies with EdDSA`() throws {
        let x = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
        let signature = decoded(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        let material = try KeyMaterial(edwards: .ed25519, x: x)
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        #expect(try verifies(signature, of: message, material, .edDSA))
    }
}
