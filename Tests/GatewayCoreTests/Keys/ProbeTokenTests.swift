import Crypto
import TestSupport
import Testing
import Wire

@testable import GatewayCore
@testable import Policy
@testable import Settings

@Suite struct `A token that the gateway makes to prove a key` {
    private let now = KeyHouse.now

    private func key(_ keys: [Configuration.Tokens.Key], _ label: String) throws -> KeySet.Key {
        try #require(KeySet.build(from: KeyHouse.tokens(keys)).keys.keys.first { $0.label == label })
    }

    /// What becomes of the token that is made with `label` where `tokens` are the rules.
    private func outcome(
        _ label: String, _ tokens: Configuration.Tokens, at time: WallTime? = nil
    ) throws -> TokenOutcome {
        let set = KeySet.build(from: tokens).keys
        let verifier = TokenVerifier(
            keys: set, policy: TokenPolicy(tokens: tokens, identityHeaders: [], routes: []))
        let key = try #require(set.keys.first { $0.label == label })
        let token = try #require(ProbeToken.make(key, for: tokens, at: now))
        return verifier.judge(token.span, at: time ?? now)
    }

    private func reason(_ label: String, _ tokens: Configuration.Tokens, at time: WallTime? = nil) throws -> Reason? {
        if case .refused(let refusal) = try outcome(label, tokens, at: time) { refusal.reason } else { nil }
    }

    @Test func `is good with that key, and with no other`() throws {
        let tokens = KeyHouse.tokens()
        for label in ["main", "next"] {
            guard case .verified(let verified) = try outcome(label, tokens) else {
                Issue.record("\(label) was refused")
                continue
            }
            #expect(verified.keyLabel == label)
            #expect(String(decoding: verified.subject, as: UTF8.self) == "gateway-key-probe")
        }
        let main = try #require(ProbeToken.make(try key(KeyHouse.all, "main"), for: tokens, at: now))
        let replaced = KeyHouse.tokens([KeyHouse.secret("main", KeyHouse.nextSecret)])
        let other = TokenVerifier(
            keys: KeySet.build(from: replaced).keys,
            policy: TokenPolicy(tokens: replaced, identityHeaders: [], routes: []))
        guard case .refused(let refusal) = other.judge(main.span, at: now) else {
            Issue.record("another secret of that name accepted it")
            return
        }
        #expect(refusal.reason == .invalidSignature)
    }

    @Test func `lives a minute`() throws {
        #expect(try reason("main", KeyHouse.tokens(), at: now + .milliseconds(59_999)) == nil)
        #expect(try reason("main", KeyHouse.tokens(), at: now + .seconds(60)) == .tokenExpired)
    }

    @Test(arguments: ["HS256", "HS384", "HS512"])
    func `is of an algorithm that the key is bound to`(algorithm: String) throws {
        let secret = String(repeating: "0123456789abcdef", count: 4)
        let tokens = KeyHouse.tokens([
            .init(id: "main", source: .secret(Secret(secret)), algorithms: [algorithm])
        ])
        guard case .verified(let verified) = try outcome("main", tokens) else {
            Issue.record("it was refused")
            return
        }
        #expect(verified.algorithm?.name == algorithm)
    }

    @Test func `is from an issuer and for an audience that the configuration accepts`() throws {
        let strict = KeyHouse.tokens(
            issuers: ["https://a.example", "https://b.example"], audiences: ["orders", "stock"])
        #expect(try reason("main", strict) == nil)
        let bound = KeyHouse.tokens(
            [KeyHouse.secret("main", KeyHouse.mainSecret, issuer: "https://b.example")] + KeyHouse.all.dropFirst(),
            issuers: ["https://a.example", "https://b.example"])
        #expect(try reason("main", bound) == nil, "the key's own issuer goes first")
        let apart = KeyHouse.tokens(
            [KeyHouse.secret("main", KeyHouse.mainSecret, issuer: "https://c.example")],
            issuers: ["https://a.example"])
        #expect(try reason("main", apart) == .wrongIssuer, "no token of this key would be good")
    }

    @Test func `is not made with a public key`() throws {
        for label in ["idp/e1", "idp/o1"] {
            #expect(ProbeToken.make(try key(KeyHouse.all, label), for: KeyHouse.tokens(), at: now) == nil)
        }
        let pem = Configuration.Tokens.Key(
            id: "rsa", source: .pem(path: "rsa.pem", contents: Secret(TestKeys.rsa)), algorithms: [])
        #expect(ProbeToken.make(try key([pem], "rsa"), for: KeyHouse.tokens([pem]), at: now) == nil)
    }

    @Test func `proves a secret of a set, by its kid or without one`() throws {
        let secret = #""kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","alg":"HS256""#
        let named = KeyHouse.tokens([KeyHouse.jwks("set", [#"{\#(secret),"kid":"a\"é"}"#])])
        #expect(try reason("set/a\"é", named) == nil)
        let nameless = KeyHouse.tokens([KeyHouse.jwks("set", ["{\(secret)}"])])
        let label = try #require(KeySet.build(from: nameless).keys.keys.first).label
        #expect(label.hasPrefix("set/#"))
        #expect(try reason(label, nameless) == nil)
    }
}
