import TestSupport
import Testing

@testable import Crypto

private func decoded(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return Base64URL.decode(bytes.span)!
}

private func read(_ pem: String) throws(KeyError) -> KeyMaterial { try KeyMaterial(pem: Array(pem.utf8)) }

@Suite struct `Key material` {
    @Test func `is the same public key from every PEM form`() throws {
        let p256 = try read(Vectors.p256)
        #expect(p256.kind == .elliptic(.p256))
        #expect(try read(Vectors.certificateOfP256) == p256)
        #expect(try read(Vectors.privateP256) == p256)
        #expect(try read(Vectors.privateP256PKCS8) == p256)
        #expect(try read("text before\n" + Vectors.p256 + "\ntext behind") == p256)
        let rsa = try read(TestKeys.rsa)
        #expect(rsa.kind == .rsa(bits: 2048))
        #expect(try read(Vectors.rsaPKCS1) == rsa)
    }

    @Test func `is the same public key from the members of a JWK`() throws {
        let (x, y) = (decoded(Vectors.p256X), decoded(Vectors.p256Y))
        #expect(try KeyMaterial(curve: .p256, x: x, y: y).kind == .elliptic(.p256))
        #expect(try KeyMaterial(curve: .p256, x: x, y: y).encoded == read(Vectors.p256).encoded)
        let modulus = decoded(Vectors.rsaModulus)
        #expect(try KeyMaterial(rsaModulus: modulus, exponent: [1, 0, 1]) == read(TestKeys.rsa))
        #expect(try KeyMaterial(rsaModulus: [0] + modulus, exponent: [1, 0, 1]) == read(TestKeys.rsa))
        #expect(try KeyMaterial(edwards: .ed25519, x: decoded(Vectors.ed25519X)) == read(Vectors.ed25519Key))
        #expect(try KeyMaterial(edwards: .ed448, x: decoded(Vectors.ed448X)) == read(Vectors.ed448Key))
    }

    @Test func `fits only the algorithms of its kind`() throws {
        #expect(try read(Vectors.p256).algorithms.members == [.es256])
        #expect(try read(Vectors.p384).algorithms.members == [.es384])
        #expect(try read(Vectors.p521).algorithms.members == [.es512])
        #expect(try read(Vectors.ed25519Key).algorithms.members == [.edDSA])
        #expect(
            try read(TestKeys.rsa).algorithms.members == [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512])
        #expect(throws: KeyError.algorithmDoesNotFit(.es384)) {
            try SignatureChecker(read(Vectors.p256), .es384)
        }
        #expect(throws: KeyError.algorithmDoesNotFit(.hs256)) {
            try SignatureChecker(read(TestKeys.rsa), .hs256)
        }
    }

    @Test func `of a secret fits only the hashes that are not longer`() throws {
        func algorithms(_ count: Int) throws -> [SignatureAlgorithm] {
            try KeyMaterial(secret: Array(repeating: 7, count: count)).algorithms.members
        }
        #expect(throws: KeyError.secretTooShort(bytes: 31, needed: 32)) { try algorithms(31) }
        #expect(throws: KeyError.secretTooShort(bytes: 0, needed: 32)) { try algorithms(0) }
        #expect(try algorithms(32) == [.hs256])
        #expect(try algorithms(47) == [.hs256])
        #expect(try algorithms(48) == [.hs256, .hs384])
        #expect(try algorithms(64) == [.hs256, .hs384, .hs512])
    }

    @Test func `of RSA is refused when it is short or its exponent is unsafe`() {
        #expect(throws: KeyError.rsaSize(bits: 1024)) { try read(Vectors.smallRSA) }
        let modulus = decoded(Vectors.rsaModulus)
        for exponent: [UInt8] in [[1], [2], [0], [1, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 1]] {
            #expect(throws: KeyError.self) { try KeyMaterial(rsaModulus: modulus, exponent: exponent) }
        }
        #expect(throws: KeyError.self) { try KeyMaterial(rsaModulus: [1], exponent: [1, 0, 1]) }
    }

    /// CVE-2017-15361.
    @Test func `of RSA is refused when it is of the kind that can be factored`() {
        var modulus = decoded(Vectors.factorableModulus)
        #expect(throws: KeyError.rsaFactorable) { try KeyMaterial(rsaModulus: modulus, exponent: [1, 0, 1]) }
        // What makes it one of them is not to be found in its neighbour.
        modulus[255] -= 2
        #expect(throws: Never.self) { try KeyMaterial(rsaModulus: modulus, exponent: [1, 0, 1]) }
    }

    @Test func `of a curve is refused off the curve, at infinity or with short coordinates`() {
        let (x, y) = (decoded(Vectors.p256X), decoded(Vectors.p256Y))
        var off = y
        off[31] ^= 1
        let zero = [UInt8](repeating: 0, count: 32)
        #expect(throws: KeyError.pointInvalid) { try KeyMaterial(curve: .p256, x: x, y: off) }
        #expect(throws: KeyError.pointInvalid) { try KeyMaterial(curve: .p256, x: zero, y: zero) }
        #expect(throws: KeyError.coordinateLength(bytes: 31, needed: 32)) {
            try KeyMaterial(curve: .p256, x: x, y: Array(y.dropFirst()))
        }
        #expect(throws: KeyError.coordinateLength(bytes: 32, needed: 57)) { try KeyMaterial(edwards: .ed448, x: x) }
        #expect(throws: KeyError.unsupportedKind) { try read(Vectors.secp256k1) }
    }

    /// Under the neutral element one signature is right for every message.
    @Test(arguments: [0, 0x80] as [UInt8])
    func `of an Edwards curve is refused when its order is small`(sign: UInt8) throws {
        func point(_ start: [UInt8], _ rest: UInt8, _ count: Int, _ end: [UInt8] = []) -> [UInt8] {
            var bytes = start + [UInt8](repeating: rest, count: count - start.count - end.count) + end
            bytes[count - 1] |= sign
            return bytes
        }
        let small25519 = [
            point([0], 0, 32), point([1], 0, 32), point([0xec], 0xff, 32, [0x7f]), point([0xed], 0xff, 32, [0x7f]),
            point([0xee], 0xff, 32, [0x7f]),
            point(decoded("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"), 0, 32),
            point(decoded("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o"), 0, 32),
        ]
        for x in small25519 {
            #expect(SmallOrderPoints.contains(x, on: .ed25519))
            #expect(throws: KeyError.pointInvalid, "\(x)") { try KeyMaterial(edwards: .ed25519, x: x) }
        }
        let middle: [UInt8] = [0xfe] + [UInt8](repeating: 0xff, count: 27) + [0]
        let low = [UInt8](repeating: 0xff, count: 27)
        for x in [
            point([0], 0, 57), point([1], 0, 57), point([0xfe] + low + middle, 0, 57),
            point([0xff] + low + middle, 0, 57),
            point([UInt8](repeating: 0, count: 28) + [UInt8](repeating: 0xff, count: 28) + [0], 0, 57),
        ] {
            #expect(SmallOrderPoints.contains(x, on: .ed448))
            #expect(throws: KeyError.pointInvalid, "\(x)") { try KeyMaterial(edwards: .ed448, x: x) }
        }
    }

    @Test func `is refused from an encrypted block, from no block and from a damaged one`() {
        #expect(throws: KeyError.encryptedPEM) { try read(Vectors.encryptedP256) }
        #expect(throws: KeyError.notPEM) { try read("") }
        #expect(throws: KeyError.notPEM) { try read("MFkwEwYHKoZIzj0CAQ") }
        func block(_ label: String) -> String { "-----BEGIN \(label)-----\nMAA=\n-----END \(label)-----\n" }
        #expect(throws: KeyError.notPEM) { try read(block("DH PARAMETERS")) }
        #expect(throws: KeyError.unreadable) { try read(block("PUBLIC KEY")) }
    }

    @Test func `never prints its bytes`() throws {
        let secret = try KeyMaterial(secret: Array(Vectors.secret.utf8))
        #expect("\(secret)" == "secret of 64 bytes")
        #expect(String(reflecting: secret) == "secret of 64 bytes")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains("97"))
    }
}

@Suite struct `The name of an algorithm` {
    @Test(arguments: SignatureAlgorithm.allCases)
    func `is read as it is written`(_ algorithm: SignatureAlgorithm) {
        #expect(SignatureAlgorithm(name: algorithm.name) == algorithm)
    }

    @Test(arguments: [
        "none", "None", "NONE", "", "hs256", "HS256 ", "HS257", "ES256K", "EDDSA", "RSA1_5", "XS256", "HT256",
    ])
    func `is refused in any other spelling`(_ name: String) {
        #expect(SignatureAlgorithm(name: name) == nil)
    }
}
