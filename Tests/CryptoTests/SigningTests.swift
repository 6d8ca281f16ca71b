import TestSupport
import Testing

@testable import Crypto

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func decoded(_ text: String) -> [UInt8] {
    let text = bytes(text)
    return Base64URL.decode(text.span)!
}

private func signing(_ pem: String) throws -> SigningKey {
    guard case .signing(let key)? = try PEMKey.read(bytes(pem)).first else { throw KeyError.notPrivate }
    return key
}

private func verifies(_ signature: [UInt8], _ message: String, by key: KeyMaterial, _ algorithm: SignatureAlgorithm)
    throws -> Bool
{
    let message = bytes(message)
    return try SignatureChecker(key, algorithm).verifies(signature.span, of: message.span)
}

extension Signer {
    fileprivate func sign(_ text: String) -> [UInt8]? {
        let message = bytes(text)
        return sign(message.span)
    }
}

@Suite struct `A signing key` {
    /// RFC 8037, appendices A.1 to A.4: Ed25519 signs a message in one way only.
    @Test func `signs as the examples of RFC 8037`() throws {
        let key = try signing(SigningVectors.ed25519)
        #expect(key.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        #expect(
            key.publicKey.text == #"{"alg":"EdDSA","crv":"Ed25519","kid":"\#(key.id)","kty":"OKP","use":"sig","#
                + #""x":"\#(x)"}"#)
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        let signer = try Signer(key)
        for _ in 0..<3 { #expect(signer.sign(message) == decoded(expected)) }
    }

    /// The key of RFC 6979, appendix A.2.5; its thumbprint was computed with another library.
    @Test func `on P-256 has the name and the members that others give it`() throws {
        let key = try signing(SigningVectors.p256)
        #expect(key.algorithm == .es256)
        #expect(key.id == "DOvxvJiAdIqVWIkFt5hDtCunXLF0BV4-JGv4f-ALSm0")
        let x = "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y"
        let y = "eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"
        #expect(
            key.publicKey.text == #"{"alg":"ES256","crv":"P-256","kid":"\#(key.id)","kty":"EC","use":"sig","#
                + #""x":"\#(x)","y":"\#(y)"}"#)
        #expect(try signing(SigningVectors.p256SEC1).publicKey == key.publicKey)
    }

    /// Many signatures, so that numbers with zeros in front and with a set high bit are among them.
    @Test func `on P-256 signs what its public half verifies`() throws {
        let key = try signing(SigningVectors.p256)
        let material = try KeyMaterial(pem: bytes(SigningVectors.p256Public))
        let checker = try SignatureChecker(material, .es256)
        let signer = try Signer(key)
        for number in 0..<600 {
            let message = bytes("message \(number)")
            let signature = try #require(signer.sign("message \(number)"))
            let isGood = checker.verifies(signature.span, of: message.span)
            #expect(signature.count == 64 && isGood)
        }
        let signature = try #require(signer.sign("one"))
        #expect(try !verifies(signature, "two", by: material, .es256))
    }

    @Test(arguments: [SignatureAlgorithm.es256, .edDSA])
    func `that was made is kept as PEM and is the same again`(_ algorithm: SignatureAlgorithm) throws {
        let key = try SigningKey.make(algorithm)
        #expect(key.algorithm == algorithm)
        #expect(try SigningKey.make(algorithm).id != key.id)
        let pem = try #require(key.pem)
        #expect(String(decoding: pem, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        let again = try signing(String(decoding: pem, as: UTF8.self))
        #expect(again.publicKey == key.publicKey)
        let signer = try Signer(again)
        let signature = try #require(signer.sign("a message"))
        #expect(try verifies(signature, "a message", by: KeyMaterial(pem: pem), algorithm))
    }

    @Test func `is read from a file with others behind it`() throws {
        let text =
            "# times\n"
            + [SigningVectors.p256, "", SigningVectors.ed25519, SigningVectors.p256Public]
            .joined(separator: "\n") + "\n"
        let keys = try PEMKey.read(bytes(text))
        #expect(keys.map(\.publicKey.algorithm) == [.es256, .edDSA, .es256])
        #expect(keys[2].publicKey == keys[0].publicKey)
        if case .signing = keys[2] { Issue.record("a public key signs nothing") }
    }

    @Test func `is refused for what is wrong with it`() {
        func fault(_ pem: String) -> KeyError? {
            do throws(KeyError) {
                _ = try PEMKey.read(bytes(pem))
                return nil
            } catch {
                return error
            }
        }
        #expect(fault("") == .notPEM)
        #expect(fault("no key at all") == .notPEM)
        #expect(fault(SigningVectors.halvesDiffer) == .halvesDiffer)
        #expect(fault(SigningVectors.p384) == .signsNothing)
        #expect(fault(TestKeys.rsa) == .signsNothing)
        #expect(fault(SigningVectors.p256.replacing("PRIVATE", with: "ENCRYPTED PRIVATE")) == .encryptedPEM)
        // A block that is cut off must not pass for the end of the file.
        #expect(fault(SigningVectors.p256 + "\n" + SigningVectors.ed25519.dropLast(20)) == .unreadable)
        #expect(fault(SigningVectors.ed25519.replacing("MC4CAQAw", with: "MC4CAQEx")) == .unreadable)
    }

    @Test func `never shows its bytes`() throws {
        let key = try signing(SigningVectors.ed25519)
        #expect("\(key)" == "EdDSA key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
        #expect(String(reflecting: key) == "\(key)")
        #expect(Mirror(reflecting: key).children.isEmpty)
    }

    @Test func `signs from several threads at once`() async throws {
        let key = try signing(SigningVectors.p256)
        let material = try KeyMaterial(pem: bytes(SigningVectors.p256Public))
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let signer = try Signer(key)
                    let checker = try SignatureChecker(material, .es256)
                    for turn in 0..<50 {
                        let message = bytes("\(number) \(turn)")
                        guard let signature = signer.sign(message.span),
                            checker.verifies(signature.span, of: message.span)
                        else { return false }
                    }
                    return true
                }
            }
            for try await good in group { #expect(good) }
        }
    }
}

@Suite struct `The numbers of a signature` {
    private func numbers(_ der: [UInt8]) -> [UInt8]? {
        var output = [UInt8](repeating: 0, count: 64)
        return SignatureNumbers.write(der.span, to: &output) ? output : nil
    }

    private let zeros = [UInt8](repeating: 0, count: 31)

    @Test func `fill up their fields from the right`() {
        #expect(numbers([0x30, 6, 2, 1, 5, 2, 1, 7]) == zeros + [5] + zeros + [7])
        #expect(numbers([0x30, 8, 2, 2, 0, 0x80, 2, 2, 0, 0xff]) == zeros + [0x80] + zeros + [0xff])
        let whole = [UInt8](1...32)
        #expect(numbers([0x30, 68, 2, 32] + whole + [2, 32] + whole) == whole + whole)
    }

    @Test(
        arguments: [
            [], [0x30], [0x31, 6, 2, 1, 5, 2, 1, 7], [0x30, 7, 2, 1, 5, 2, 1, 7], [0x30, 6, 3, 1, 5, 2, 1, 7],
            [0x30, 3, 2, 1, 5], [0x30, 6, 2, 2, 5, 2, 1, 7], [0x30, 5, 2, 0, 2, 1, 7], [0x30, 7, 2, 1, 5, 2, 1, 7, 0],
            [0x30, 37, 2, 33] + [UInt8](repeating: 1, count: 33) + [2, 0],
        ] as [[UInt8]])
    func `are nothing else than two positive integers`(_ der: [UInt8]) { #expect(numbers(der) == nil) }
}

@Suite struct `A secret that is wiped` {
    @Test func `is gone`() {
        var secret = bytes("a private key")
        Bytes.wipe(&secret)
        #expect(secret.isEmpty)
    }
}

/// The keys of RFC 8037 and RFC 6979, which are no secrets.
enum SigningVectors {
    static let ed25519 = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
        -----END PRIVATE KEY-----
        """

    static let p256 = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX
        Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth
        +mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ
        -----END PRIVATE KEY-----
        """

    static let p256SEC1 = """
        -----BEGIN EC PARAMETERS-----
        BggqhkjOPQMBBw==
        -----END EC PARAMETERS-----
        -----BEGIN EC PRIVATE KEY-----
        MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49
        AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8
        maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
        -----END EC PRIVATE KEY-----
        """

    static let p256Public = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7
        Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
        -----END PUBLIC KEY-----
        """

    static let p384 = """
        -----BEGIN PRIVATE KEY-----
        MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBTmh+Ikkos6uGRtS5d
        N2WPelOR8tucOmZ4LxII77ctFLk3qCk6jaiei9etnE/CcGShZANiAASMEtmbzSYo
        YaKrrDksbvUkS09r2v3nxZt7P/4XTFCxczdDoGRfN2rZ9Hb98oCb0JXskRQYOc9v
        /f1JNUAKRWzv3ijgDlqIPv3//bUP15l3yRpT/oRyjnInE+r5mjXwx24=
        -----END PRIVATE KEY-----
        """

    /// The same private half with the public one of another key.
    static let halvesDiffer = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX
        Z7HWk05Qw9s26JsSe4piKxIPZyGhRANCAASOUztvoL97RiW7MGZ8Aftgfvn4uKgP
        71swBihwMYeyo3PrHb3gMxg2bQafg6b1kABTxzYzywQbIcVeGobB9AC0
        -----END PRIVATE KEY-----
        """
}
