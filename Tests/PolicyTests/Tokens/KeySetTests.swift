import Crypto
import TestSupport
import Testing

@testable import Policy
@testable import Settings

private func build(_ keys: Configuration.Tokens.Key...) -> (keys: KeySet, problems: [KeyProblem]) {
    KeySet.build(from: Mint.tokens(keys))
}

private func jwks(_ text: String) -> Configuration.Tokens.Key {
    .init(id: "idp", source: .jwks(path: "idp.json", contents: Secret(text)), algorithms: [])
}

/// A JWK with members added in front.
private func with(_ members: String, _ jwk: String) -> String { "{" + members + "," + jwk.dropFirst() }

@Suite struct `A key set` {
    @Test func `takes secrets, PEM files and JWKS together`() {
        let (set, problems) = build(
            Mint.key(), Mint.pem("rsa", TestKeys.rsa, algorithms: ["RS256", "PS256"]),
            Mint.jwks("idp", [TestKeys.p256JWK, TestKeys.ed25519JWK]))
        #expect(problems.isEmpty)
        #expect(set.keys.map(\.label) == ["main", "rsa", "idp/e1", "idp/o1"])
        #expect(set.keys.map { $0.algorithms.members } == [[.hs256], [.rs256, .ps256], [.es256], [.edDSA]])
    }

    @Test func `takes every fitting algorithm when none is named`() {
        let (set, _) = build(
            Mint.key(algorithms: []), Mint.pem("rsa", TestKeys.rsa), Mint.jwks("idp", [TokenVectors.rsaJWK]))
        #expect(set.keys[0].algorithms.members == [.hs256])
        #expect(set.keys[1].algorithms == .rsa)
        #expect(set.keys[2].algorithms == .rsa)
    }

    @Test func `refuses a secret that is shorter than its hash`() {
        let short = build(Mint.key(secret: "0123456789abcdef0123456789abcde"))
        #expect(short.keys.keys.isEmpty)
        #expect(
            short.problems.map(\.description) == [
                "key main: the secret has 31 bytes, but 32 are needed (RFC 7518 section 3.2)"
            ])
        let long = build(Mint.key(algorithms: ["HS512"]))
        #expect(long.problems.map(\.severity) == [.unusable])
        #expect(long.problems[0].message == "the secret has 32 bytes, but 64 are needed (RFC 7518 section 3.2)")
    }

    @Test func `refuses algorithms that do not fit or do not exist`() {
        #expect(
            build(Mint.pem("rsa", TestKeys.rsa, algorithms: ["HS256"])).problems.map(\.message)
                == ["the key cannot be used with HS256"])
        #expect(build(Mint.key(algorithms: ["RS256"])).problems.map(\.message) == ["the key cannot be used with RS256"])
        #expect(
            build(Mint.key(algorithms: ["none"])).problems.map(\.message) == ["the algorithm none is not supported"])
    }

    @Test func `warns of secrets that were probably meant otherwise`() {
        let newline = build(Mint.key(secret: Mint.secret + "\n"))
        #expect(newline.keys.keys.count == 1)
        #expect(newline.problems.map(\.severity) == [.warning])
        let base64 = build(Mint.key(secret: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))
        #expect(base64.problems.map(\.message) == ["the secret looks like base64; it is used undecoded"])
    }

    @Test func `skips and reports bad keys of a JWKS and keeps the good`() {
        let p256 = TestKeys.p256JWK
        let (set, problems) = build(
            Mint.jwks(
                "idp",
                [
                    TokenVectors.rsaJWK, #"{"kty":"EC","crv":"secp256k1","kid":"k1","x":"AA","y":"AA"}"#,
                    #"{"kty":"AKP","kid":"pq"}"#, "7", #"{"kid":"empty"}"#,
                    #"{"kty":"RSA","kid":"r9","n":"AQAB","e":"AQAB"}"#, #"{"kty":"oct","kid":"s","k":"c2hvcnQ"}"#,
                    #"{"kty":"RSA","kid":"r8","n":"AQ=","e":"AQAB"}"#,
                    p256.replacing("\"use\":\"sig\"", with: "\"use\":\"enc\""),
                    p256.replacing("\"alg\":\"ES256\"", with: "\"alg\":\"ES384\""),
                    p256.replacing("\"alg\":\"ES256\"", with: "\"alg\":\"ECDH-ES\""),
                    with(#""key_ops":["sign"]"#, TestKeys.ed25519JWK), TokenVectors.p384JWK,
                ]))
        #expect(set.keys.map(\.label) == ["idp/r1", "idp/e2"])
        #expect(problems.allSatisfy { $0.severity == .skipped })
        #expect(
            problems.map(\.description) == [
                "key idp/k1: its curve is not supported",
                "key idp/pq: its kty is not supported",
                "key idp/#4: it is not a JSON object",
                "key idp/empty: its kty is not supported",
                "key idp/r9: an RSA key has 17 bits, but must have 2048 to 8192",
                "key idp/s: the secret has 5 bytes, but 32 are needed (RFC 7518 section 3.2)",
                "key idp/r8: its member n is missing or not base64url",
                "key idp/e1: its use is not sig",
                "key idp/e1: the key cannot be used with ES384",
                "key idp/e1: its algorithm is not supported",
                "key idp/o1: its key_ops do not include verify",
            ])
    }

    @Test(arguments: [
        ("", "the JWKS is not a strict JSON object"), ("[]", "the JWKS is not a strict JSON object"),
        ("{}", "the JWKS has no list \"keys\""), (#"{"keys":{}}"#, "the JWKS has no list \"keys\""),
        (#"{"keys":[]}"#, "the JWKS has no usable key"),
        (#"{"keys":[],"keys":[]}"#, "the JWKS is not a strict JSON object"),
    ])
    func `reports a JWKS without keys`(_ text: String, _ message: String) {
        #expect(build(jwks(text)).problems.map(\.message) == [message])
        #expect(build(jwks(text)).problems.map(\.severity) == [.unusable])
    }

    @Test func `reads escapes in a JWKS`() {
        let key = TestKeys.p256JWK.replacing("\"e1\"", with: #""\u0065\/1""#)
        #expect(build(Mint.jwks("idp", [key])).keys.keys.map(\.label) == ["idp/e/1"])
    }

    @Test func `reports a kid that is there twice`() {
        let (set, problems) = build(Mint.jwks("a", [TestKeys.p256JWK]), Mint.jwks("b", [TestKeys.p256JWK]))
        #expect(set.keys.count == 2)
        #expect(
            problems.map(\.description) == [
                "key b/e1: has the same kid and algorithm as a/e1; both are tried"
            ])
    }
}

@Suite struct `The key of a token` {
    private func select(_ set: KeySet, _ algorithm: SignatureAlgorithm, _ kid: String?) -> KeySet.Selection {
        set.select(algorithm, kid: kid.map { Array($0.utf8) })
    }

    @Test func `is the one of its kid`() {
        let (set, _) = build(Mint.key("a"), Mint.key("b"), Mint.jwks("idp", [TokenVectors.rsaJWK]))
        #expect(select(set, .hs256, "b") == .candidates([1]))
        #expect(select(set, .rs256, "r1") == .candidates([2]))
        #expect(select(set, .hs256, "c") == .candidates([0, 1]), "secrets promise no kid, however many there are")
        #expect(select(set, .rs256, "c") == .refused(.unknownKid))
        #expect(select(set, .rs256, "") == .refused(.unknownKid))
    }

    @Test func `is never one of another algorithm`() {
        let (set, _) = build(Mint.key("a"), Mint.jwks("idp", [TokenVectors.rsaJWK]))
        #expect(select(set, .hs256, "r1") == .candidates([0]))
        #expect(select(set, .es256, "r1") == .refused(.algNotAllowed))
        #expect(select(set, .hs384, "a") == .refused(.algNotAllowed))
    }

    @Test func `is the only secret or PEM whatever the kid says`() {
        let (set, _) = build(Mint.key("a"), Mint.pem("rsa", TestKeys.rsa))
        #expect(select(set, .hs256, "2024-05") == .candidates([0]))
        #expect(select(set, .rs256, "2024-05") == .candidates([1]))
    }

    @Test func `without kid is any secret, but only a lone JWK`() {
        let (set, _) = build(
            Mint.key("a"), Mint.key("b"), Mint.jwks("idp", [TokenVectors.rsaJWK, TestKeys.p256JWK]))
        #expect(select(set, .hs256, nil) == .candidates([0, 1]))
        #expect(select(set, .rs256, nil) == .candidates([2]))
        let second = TokenVectors.rsaJWK.replacing("\"r1\"", with: "\"r2\"")
        let two = build(Mint.jwks("idp", [TokenVectors.rsaJWK, second])).keys
        #expect(select(two, .rs256, nil) == .refused(.unknownKid))
    }

    @Test func `is a lone JWK without kid too`() {
        let key = TokenVectors.rsaJWK.replacing("\"kid\":\"r1\",", with: "")
        let set = build(Mint.jwks("idp", [key])).keys
        #expect(set.keys.map(\.label) == ["idp/#\(set.keys[0].material.fingerprint)"])
        let other = TestKeys.p256JWK.replacing("\"kid\":\"e1\",", with: "")
        let (one, two) = (build(Mint.jwks("idp", [key, other])).keys, build(Mint.jwks("idp", [other, key])).keys)
        #expect(one.keys.count == 2)
        #expect(one.keys.map(\.label) == two.keys.map(\.label).reversed(), "its place is no name")
        #expect(select(set, .rs256, "anything") == .candidates([0]))
    }

    /// What one source publishes must not make another's tokens ambiguous.
    @Test func `does not depend on what other sources publish`() {
        let other = TokenVectors.rsaJWK.replacing("\"r1\"", with: "\"r2\"")
        let (set, _) = build(
            Mint.pem("rsa", TestKeys.rsa), Mint.jwks("a", [TokenVectors.rsaJWK]), Mint.jwks("b", [other]))
        #expect(select(set, .rs256, "2024-05") == .candidates([0]))
        #expect(select(set, .rs256, nil) == .candidates([0, 1, 2]))
    }

    @Test func `is missed when its provider may have it`() {
        var tokens = Mint.tokens([Mint.pem("rsa", TestKeys.rsa)])
        let provider = Configuration.Tokens.Provider(
            .jwks(WebAddress("https://issuer.example.org/keys")!), section: "tokens.keys[1]")
        tokens.keys.append(.init(id: "idp", source: .provider(provider), algorithms: []))
        let missing = KeySet.build(from: tokens).keys
        #expect(missing.isIncomplete)
        #expect(select(missing, .es256, "e1") == .refused(.jwksUnavailable))
        let jwks = Array("{\"keys\":[\(TokenVectors.rsaJWK)]}".utf8)
        let whole = KeySet.build(from: tokens, current: ["idp": jwks]).keys
        #expect(!whole.isIncomplete)
        #expect(select(whole, .es256, "e1") == .refused(.unknownKid), "with a new algorithm, too")
        #expect(select(whole, .es256, "r1") == .refused(.algNotAllowed))
        #expect(select(whole, .es256, nil) == .refused(.algNotAllowed))
    }

    @Test func `has no kid of more than 256 bytes`() {
        let long = TokenVectors.rsaJWK.replacing("\"r1\"", with: "\"\(String(repeating: "r", count: 257))\"")
        let (set, problems) = build(Mint.jwks("idp", [long, TokenVectors.rsaJWK]))
        #expect(set.keys.map(\.label) == ["idp/r1"])
        #expect(problems.map(\.description) == ["key idp/#1: its kid is longer than 256 bytes"])
    }

    @Test func `is searched among four at most`() {
        let keys = (0..<9).map { Mint.key("k\($0)") }
        let set = KeySet.build(from: Mint.tokens(keys)).keys
        #expect(set.narrowed(Array(0..<9), to: nil) == [0, 1, 2, 3])
        #expect(select(set, .hs256, "k8") == .candidates([8]))
    }

    /// Or whoever publishes a key, or four of them, under another's kid would shut the other out.
    @Test func `is searched among those of the token's own issuer first`() {
        let keys = (0..<9).map { number in
            var key = Mint.key("k\(number)")
            key.issuer = number == 0 ? nil : number == 8 ? "b" : "a"
            return key
        }
        let set = KeySet.build(from: Mint.tokens(keys)).keys
        #expect(set.narrowed(Array(0..<9), to: Array("b".utf8)) == [8, 0])
        #expect(set.narrowed(Array(1..<9), to: Array("a".utf8)) == [1, 2, 3, 4])
        #expect(set.narrowed(Array(1..<9), to: Array("c".utf8)) == [1, 2, 3, 4], "so that it is told whose it is not")
        #expect(set.narrowed(Array(0..<9), to: nil) == [0])
    }

    /// RFC 7517 §9.2: others can fetch it, too.
    @Test func `is never a secret that is fetched`() {
        let secret = #"{"kty":"oct","kid":"s","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#
        var problems: [KeyProblem] = []
        let text = Array("{\"keys\":[\(secret),\(TokenVectors.rsaJWK)]}".utf8)
        let keys = JWKSReader.keys(in: text, of: "idp", isFetched: true, &problems)
        #expect(keys.map(\.label) == ["idp/r1"])
        #expect(problems.map(\.description) == ["key idp/s: a secret that is fetched is none"])
    }

    /// A file of such a set is a copy of something that others have, too.
    @Test func `is never a secret that stands beside public keys`() {
        let secret = #"{"kty":"oct","kid":"s","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#
        let (mixed, problems) = build(Mint.jwks("idp", [secret, TokenVectors.rsaJWK]))
        #expect(mixed.keys.map(\.label) == ["idp/r1"])
        #expect(
            problems.map(\.description) == [
                "key idp/s: a secret beside public keys is none; give it an entry of its own, "
                    + "or a set without public keys"
            ])
        let (apart, none) = build(Mint.jwks("secrets", [secret]), Mint.jwks("idp", [TokenVectors.rsaJWK]))
        #expect(apart.keys.map(\.label) == ["secrets/s", "idp/r1"])
        #expect(none.isEmpty)
    }
}
