import Crypto
import Testing
import Wire

@testable import Policy
@testable import Settings

private func entry(
    _ kind: RevocationTarget.Kind, _ name: String, _ cutoff: RevocationCutoff = .everyToken, from: WallTime? = nil
) -> RevocationEntry {
    RevocationEntry(target: RevocationTarget(kind, name)!, cutoff: cutoff, from: from)
}

@Suite struct `A revoked token` {
    /// Why the token is refused where that is revoked; nil: it is not.
    private func reason(
        _ payload: String, revoking kind: RevocationTarget.Kind, _ name: String, rolesClaim: String = "roles",
        headers: [Configuration.IdentityHeader] = Mint.headers
    ) -> Reason? {
        let verifier = Mint.verifier(Mint.tokens(rolesClaim: rolesClaim), headers: headers)
        verifier.apply(.set([entry(kind, name)]))
        return verifier.reason(Mint.token(payload))
    }

    @Test(arguments: [
        (#""sub":"alice""#, RevocationTarget.Kind.subject, "alice"),
        (#""sub":"al\u0069ce""#, .subject, "alice"),
        (#""s\u0075b":"alice""#, .subject, "alice"),
        (#""sub":12345"#, .subject, "12345"),
        (#""sub":"\u0301x""#, .subject, "\u{301}x"),
        (#""sub":"a\ufffdb""#, .subject, "a\u{fffd}b"),
        (#""sub":"\ud83d\ude00""#, .subject, "😀"),
        (#""sub":"alice","jti":"j-1""#, .token, "j-1"),
        (#""jti":77"#, .token, "77"),
        (#""iss":"https://idp.example.org""#, .issuer, "https://idp.example.org"),
        (#""iss":"https:\/\/idp.example.org""#, .issuer, "https://idp.example.org"),
        (#""roles":["user","admin"]"#, .role, "admin"),
        (#""roles":["user","adm\u0069n"]"#, .role, "admin"),
        (#""roles":["a b"]"#, .role, "a b"),
        (#""roles":"user admin""#, .role, "admin"),
        (#""roles":"admin""#, .role, "admin"),
        (#""roles":"  admin  ""#, .role, "admin"),
        (#""sub":"x""#, .key, "main"),
    ])
    func `is known by each of its names`(claims: String, kind: RevocationTarget.Kind, name: String) {
        #expect(reason("{\(claims),\"exp\":1700003600}", revoking: kind, name) == .revoked)
    }

    @Test(arguments: [
        (#""sub":"alice""#, RevocationTarget.Kind.subject, "Alice"),
        (#""sub":"alice""#, .subject, "alic"),
        (#""sub":"caf\u00e9""#, .subject, "cafe\u{301}"),
        (#""sub":["alice"]"#, .subject, "alice"),
        (#""sub":true"#, .subject, "true"),
        (#""jti":"j-1""#, .subject, "j-1"),
        (#""sub":"j-1""#, .token, "j-1"),
        (#""jti":["j-1"]"#, .token, "j-1"),
        (#""jti":null"#, .token, "null"),
        (#""roles":["a b"]"#, .role, "a"),
        (#""roles":"a b""#, .role, "a b"),
        (#""roles":[1]"#, .role, "1"),
        (#""roles":{"admin":true}"#, .role, "admin"),
        (#""role":"admin""#, .role, "admin"),
        (#""kid":"main""#, .key, "mai"),
    ])
    func `is known by nothing else`(claims: String, kind: RevocationTarget.Kind, name: String) {
        let found = reason("{\(claims),\"exp\":1700003600}", revoking: kind, name)
        #expect(found != .revoked)
    }

    @Test func `has its roles where the configuration says`() {
        let payload = #"{"exp":1700003600,"realm_access":{"roles":["admin"]},"roles":["user"]}"#
        #expect(reason(payload, revoking: .role, "admin", rolesClaim: "realm_access.roles") == .revoked)
        #expect(reason(payload, revoking: .role, "user", rolesClaim: "realm_access.roles") == nil)
    }

    @Test func `is the user's as the records name him, also without sub`() {
        let headers = [Configuration.IdentityHeader(name: "X-Mail", value: .claim("email"))]
        let without = #"{"exp":1700003600,"email":"a@example.org"}"#
        #expect(reason(without, revoking: .subject, "a@example.org", headers: headers) == .revoked)
        let with = #"{"exp":1700003600,"email":"a@example.org","sub":"7"}"#
        #expect(reason(with, revoking: .subject, "a@example.org", headers: headers) == nil)
        #expect(reason(with, revoking: .subject, "7", headers: headers) == .revoked)
    }

    @Test(arguments: [("idp/one", "one", true), ("idp/two", "one", false), ("idp", "one", true), ("idp", "two", true)])
    func `is known by its key and by the entry that the key came from`(name: String, kid: String, isRevoked: Bool) {
        let secrets = ["one": "the first secret, as long as it must be", "two": "the second secret, as long as it is"]
        let keys = secrets.map {
            #"{"kty":"oct","kid":"\#($0.key)","alg":"HS256","k":"\#(Mint.base64(Array($0.value.utf8)))"}"#
        }
        let verifier = Mint.verifier(Mint.tokens([Mint.jwks("idp", keys)]))
        verifier.apply(.set([entry(.key, name)]))
        let token = Mint.token(header: #"{"alg":"HS256","kid":"\#(kid)"}"#, Mint.claims(), secret: secrets[kid]!)
        #expect(verifier.reason(token) == (isRevoked ? .revoked : nil))
    }

    @Test func `tells the audit who it was, as proved`() throws {
        let verifier = Mint.verifier()
        let token = Mint.token(Mint.claims())
        for _ in 1...2 {
            verifier.apply(.set([entry(.subject, "alice")]))
            let refusal = try #require(verifier.refusal(token))
            #expect(refusal.reason == .revoked)
            #expect(refusal.isSigned)
            #expect(refusal.algorithm == .hs256)
            #expect(refusal.keyID == "main")
            #expect(refusal.subject == "alice")
            #expect(refusal.issuedAt == WallTime(seconds: 1_699_999_990))
            #expect(refusal.expiresAt == WallTime(seconds: 1_700_003_600))
        }
    }

    @Test func `that is not ours or has expired is refused for that`() {
        let verifier = Mint.verifier()
        verifier.apply(.set([entry(.subject, "alice")]))
        #expect(
            verifier.reason(Mint.token(Mint.claims(), secret: "another secret, as long as it must be"))
                == .invalidSignature)
        let token = Mint.token(Mint.claims())
        #expect(verifier.reason(token) == .revoked)
        #expect(verifier.reason(token, at: WallTime(seconds: 1_700_003_600)) == .tokenExpired)
    }

    @Test func `that was issued until the time is refused, and a newer one is not`() {
        let verifier = Mint.verifier()
        verifier.apply(.set([entry(.subject, "alice", .issuedBefore(WallTime(seconds: 1_699_999_990)))]))
        #expect(verifier.reason(Mint.token(Mint.claims())) == .revoked)
        #expect(verifier.reason(Mint.token(#"{"sub":"alice","iat":1699999990.001,"exp":1700003600}"#)) == nil)
        #expect(verifier.reason(Mint.token(#"{"sub":"alice","iat":1699999991,"exp":1700003600}"#)) == nil)
        #expect(verifier.reason(Mint.token(#"{"sub":"alice","exp":1700003600}"#)) == .revoked)
    }
}

@Suite struct `A remembered token` {
    private let token = Mint.token(Mint.claims())

    @Test func `is refused from the next use on, and remembered again when that is taken back`() throws {
        let verifier = Mint.verifier()
        let first = try #require(verifier.verified(token))
        #expect(verifier.verified(token) === first)
        verifier.apply(.set([entry(.subject, "alice")]))
        #expect(verifier.reason(token) == .revoked)
        #expect(!verifier.lastWasRemembered)
        #expect(verifier.reason(token) == .revoked)
        verifier.apply(.lift([RevocationTarget(.subject, "alice")!]))
        #expect(verifier.verified(token) === first)
        #expect(verifier.lastWasRemembered)
        verifier.apply(.set([entry(.subject, "bob")]))
        #expect(verifier.verified(token) === first)
    }

    /// The cache holds whole tokens, so what it knows was verified. That nothing is verified again shows where the key is gone.
    @Test func `that is revoked when it comes first is not verified again`() throws {
        let verifier = Mint.verifier()
        verifier.apply(.set([entry(.subject, "alice")]))
        #expect(verifier.reason(token) == .revoked)
        #expect(verifier.cachedTokens == 1)
        verifier.apply(.lift([RevocationTarget(.subject, "alice")!]))
        #expect(verifier.verified(token) != nil)
        #expect(verifier.lastWasRemembered, "it was known before it was good")
    }

    @Test func `is looked at once in a round, and with every new one`() {
        let verifier = Mint.verifier()
        for number in 1...100 {
            verifier.apply(.set([entry(.token, "other-\(number)")]))
            #expect(verifier.reason(token) == nil)
            #expect(verifier.reason(token) == nil)
        }
        verifier.apply(.set([entry(.role, "x"), entry(.key, "main")]))
        #expect(verifier.reason(token) == .revoked)
    }

    @Test func `is refused from the announced time on, without a further change`() {
        let verifier = Mint.verifier()
        #expect(verifier.reason(token) == nil)
        verifier.apply(.set([entry(.key, "main", from: WallTime(seconds: 1_700_000_010))]))
        #expect(verifier.reason(token) == nil)
        #expect(verifier.reason(token, at: WallTime(milliseconds: 1_700_000_009_999)) == nil)
        #expect(verifier.reason(token, at: WallTime(seconds: 1_700_000_010)) == .revoked)
        #expect(verifier.reason(token) == .revoked, "the clock was set back")
    }

    @Test func `is refused when all revocations are replaced by one of it`() {
        let verifier = Mint.verifier()
        #expect(verifier.reason(token) == nil)
        verifier.apply(.replaceAll([entry(.subject, "alice")]))
        #expect(verifier.reason(token) == .revoked)
        verifier.apply(.replaceAll([]))
        #expect(verifier.reason(token) == nil)
    }

    @Test func `stays revoked under new keys and a new policy`() {
        let verifier = Mint.verifier()
        #expect(verifier.reason(token) == nil)
        verifier.apply(.set([entry(.subject, "alice")]))
        let tokens = Mint.tokens([Mint.key("renamed")], cacheEntries: 128)
        verifier.update(
            keys: KeySet.build(from: tokens).keys,
            policy: TokenPolicy(tokens: tokens, identityHeaders: Mint.headers, routes: []))
        #expect(verifier.reason(token) == .revoked)
    }

    @Test func `with more names than the cache has room for is judged every time`() {
        let verifier = Mint.verifier()
        let roles = (0..<200).map { "\"role-\($0)\"" }.joined(separator: ",")
        let token = Mint.token(Mint.claims(#","roles":[\#(roles)]"#))
        #expect(verifier.reason(token) == nil)
        #expect(verifier.cachedTokens == 0)
        verifier.apply(.set([entry(.role, "role-199")]))
        #expect(verifier.reason(token) == .revoked)
    }
}

@Suite struct `What a token has opened` {
    private func gatekeeper(_ keys: [Configuration.Tokens.Key]) -> Authenticator {
        let tokens = Mint.tokens(keys)
        return Authenticator(
            keys: KeySet.build(from: tokens).keys,
            policy: TokenPolicy(tokens: tokens, identityHeaders: [], routes: [Mint.route()]), routes: [Mint.route()])
    }

    @Test func `is dead with the token, and with its key`() throws {
        let second = Mint.key("second", secret: "the second secret, as long as it must be")
        let authenticator = gatekeeper([Mint.key(), second])
        let token = try #require(Mint.verifier().verified(Mint.token(Mint.claims())))
        #expect(!authenticator.isDead(token, at: Mint.now))
        authenticator.apply(.set([entry(.subject, "alice", .issuedBefore(WallTime(seconds: 1_699_999_989)))]))
        #expect(!authenticator.isDead(token, at: Mint.now))
        authenticator.apply(.set([entry(.subject, "alice")]))
        #expect(authenticator.isDead(token, at: Mint.now))
        authenticator.apply(.lift([RevocationTarget(.subject, "alice")!]))
        #expect(!authenticator.isDead(token, at: Mint.now))
        authenticator.update(keys: KeySet.build(from: Mint.tokens([second])).keys)
        #expect(authenticator.isDead(token, at: Mint.now))
    }

    @Test func `is dead from the announced time on`() throws {
        let authenticator = gatekeeper([Mint.key()])
        let token = try #require(Mint.verifier().verified(Mint.token(Mint.claims())))
        authenticator.apply(.set([entry(.key, "main", from: WallTime(seconds: 1_700_000_010))]))
        #expect(!authenticator.isDead(token, at: Mint.now))
        #expect(!authenticator.advance(to: Mint.now))
        #expect(authenticator.advance(to: WallTime(seconds: 1_700_000_010)))
        #expect(authenticator.isDead(token, at: WallTime(seconds: 1_700_000_010)))
    }
}
