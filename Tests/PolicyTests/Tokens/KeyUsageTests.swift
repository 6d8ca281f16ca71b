import TestSupport
import Testing
import Wire

@testable import Policy
@testable import Settings

private let nextSecret = "the next secret, as long as it must be"

private func token(_ subject: String, until end: Int = 1_700_003_600, secret: String = Mint.secret) -> String {
    Mint.token(#"{"sub":"\#(subject)","iat":1699999990,"exp":\#(end)}"#, secret: secret)
}

private func set(_ keys: Configuration.Tokens.Key...) -> KeySet { KeySet.build(from: Mint.tokens(keys)).keys }

private func verifier(_ keys: Configuration.Tokens.Key..., cacheEntries: Int = 64) -> TokenVerifier {
    Mint.verifier(Mint.tokens(keys.isEmpty ? [Mint.key()] : keys, cacheEntries: cacheEntries))
}

extension TokenVerifier {
    fileprivate func usage(_ key: String, at now: WallTime = Mint.now) -> KeyUsage? {
        usage(at: now).first { $0.key == key }
    }

    fileprivate func judge(_ token: String, at now: WallTime = Mint.now) -> TokenOutcome {
        let bytes = Array(token.utf8)
        return judge(bytes.span, at: now)
    }

    fileprivate func revoke(_ kind: RevocationTarget.Kind, _ name: String, from: WallTime? = nil) {
        apply(.set([RevocationEntry(target: RevocationTarget(kind, name)!, cutoff: .everyToken, from: from)]))
    }
}

extension TokenOutcome {
    fileprivate var reason: Reason? {
        if case .refused(let refusal) = self { refusal.reason } else { nil }
    }
}

@Suite struct `The usage of a key` {
    @Test func `begins with nothing, in the order of the keys`() {
        let usage = verifier(Mint.key(), Mint.key("next", secret: nextSecret)).usage(at: Mint.now)
        #expect(usage.map(\.key) == ["main", "next"])
        for one in usage {
            #expect(one.requests == 0 && one.lastUsed == nil && one.lastExpiry == nil && one.live.isEmpty)
        }
    }

    @Test func `counts requests with good tokens, remembered or not, and says when the last one was`() throws {
        for entries in [64, 0] {
            let verifier = verifier(Mint.key(), Mint.key("next", secret: nextSecret), cacheEntries: entries)
            for second in 0..<3 { #expect(verifier.reason(token("alice"), at: Mint.now + .seconds(second)) == nil) }
            #expect(verifier.reason(token("bob", secret: nextSecret)) == nil)
            let main = try #require(verifier.usage("main"))
            #expect(main.requests == 3)
            #expect(main.lastUsed == Mint.now + .seconds(2))
            #expect(verifier.usage("next")?.requests == 1)
        }
    }

    @Test func `does not count what was refused`() throws {
        let verifier = verifier()
        verifier.revoke(.subject, "mallory")
        #expect(verifier.reason(token("alice", until: 1_699_999_999)) == .tokenExpired)
        #expect(verifier.reason(token("alice", secret: nextSecret)) == .invalidSignature)
        #expect(verifier.reason("nonsense") == .invalidToken)
        for _ in 0..<2 { #expect(verifier.reason(token("mallory")) == .revoked) }
        let main = try #require(verifier.usage("main"))
        #expect(main.requests == 0 && main.lastUsed == nil && main.lastExpiry == nil && main.live.isEmpty)
    }

    @Test func `has the latest end of all tokens that were seen`() throws {
        let verifier = verifier()
        for end in [1_700_000_100, 1_700_009_000, 1_700_000_200] {
            #expect(verifier.reason(token("alice", until: end)) == nil)
        }
        #expect(verifier.usage("main")?.lastExpiry == WallTime(seconds: 1_700_009_000))
    }

    @Test func `has each token that is remembered once, with its user`() throws {
        let verifier = verifier(Mint.key(), Mint.key("next", secret: nextSecret))
        for _ in 0..<3 {
            #expect(verifier.reason(token("alice")) == nil)
            #expect(verifier.reason(token("alice", until: 1_700_000_100)) == nil)
            #expect(verifier.reason(token("bob")) == nil)
            #expect(verifier.reason(token("carol", secret: nextSecret)) == nil)
        }
        let live = try #require(verifier.usage("main")?.live)
        #expect(live.count == 3)
        #expect(Set(live.map(\.token)).count == 3)
        #expect(Set(live.map(\.user)).count == 2)
        #expect(live.map(\.expiresAt.seconds).sorted() == [1_700_000_100, 1_700_003_600, 1_700_003_600])
        #expect(verifier.usage("next")?.live.count == 1)
    }

    @Test func `is told alike by every worker, so that a token of two of them is one`() throws {
        let workers = [verifier(), verifier()]
        for worker in workers { #expect(worker.reason(token("alice")) == nil) }
        #expect(Set(workers.flatMap { $0.usage("main")?.live ?? [] }).count == 1)
    }

    @Test func `leaves tokens out that have expired, or are revoked`() {
        let verifier = verifier()
        for name in ["alice", "bob", "carol"] { #expect(verifier.reason(token(name)) == nil) }
        #expect(verifier.reason(token("dave", until: 1_700_000_100)) == nil)
        #expect(verifier.usage("main")?.live.count == 4)
        #expect(verifier.usage("main", at: WallTime(seconds: 1_700_000_100))?.live.count == 3)
        verifier.revoke(.subject, "bob")
        #expect(verifier.usage("main", at: WallTime(seconds: 1_700_000_100))?.live.count == 2)
        verifier.revoke(.key, "main")
        #expect(verifier.usage("main")?.live.isEmpty == true)
        #expect(verifier.usage("main")?.requests == 4, "what was counted stays")
    }

    @Test func `still has the tokens of a key that is retiring, until its time`() {
        let verifier = verifier()
        let end = Mint.now + .seconds(60)
        #expect(verifier.reason(token("alice")) == nil)
        verifier.revoke(.key, "main", from: end)
        #expect(verifier.usage("main", at: end + .milliseconds(-1))?.live.count == 1)
        #expect(verifier.usage("main", at: end)?.live.isEmpty == true)
    }

    @Test func `is carried over a change of the keys, by label`() throws {
        let verifier = verifier()
        #expect(verifier.reason(token("alice")) == nil)
        verifier.update(keys: set(Mint.key("next", secret: nextSecret), Mint.key()))
        #expect(verifier.usage(at: Mint.now).map(\.key) == ["next", "main"])
        #expect(verifier.usage("main")?.requests == 1)
        #expect(verifier.usage("main")?.lastUsed == Mint.now)
        #expect(verifier.usage("main")?.lastExpiry == WallTime(seconds: 1_700_003_600))
        #expect(verifier.usage("next")?.requests == 0)
        #expect(verifier.usage(at: Mint.now).map(\.live.count) == [0, 1], "though it was not seen since")
        #expect(verifier.reason(token("alice")) == nil)
        #expect(verifier.reason(token("bob", secret: nextSecret)) == nil)
        #expect(verifier.usage(at: Mint.now).map(\.requests) == [1, 2])
        #expect(verifier.usage(at: Mint.now).map(\.live.count) == [1, 1])
    }

    @Test func `is gone with its key, and begins anew`() {
        let verifier = verifier()
        #expect(verifier.reason(token("alice")) == nil)
        verifier.update(keys: set(Mint.key("next", secret: nextSecret)))
        #expect(verifier.usage("main") == nil)
        #expect(verifier.usage("next")?.live.isEmpty == true)
        verifier.update(keys: set(Mint.key(secret: "a secret that was made in a hurry")))
        #expect(verifier.usage("main")?.requests == 0)
        #expect(verifier.usage("main")?.live.isEmpty == true, "they would be refused")
    }

    /// A set may have two keys of one kid (RFC 7517 §4.5), which have one label.
    @Test func `of two keys with one label is not counted twice by a change of the keys`() {
        let twin = TestKeys.p256JWK.replacing("\"e1\"", with: "\"r1\"")
        let pair = Mint.jwks("idp", [TokenVectors.rsaJWK, twin])
        let verifier = verifier(pair)
        #expect(verifier.reason(TokenVectors.rs256) == nil)
        for number in 0..<3 {
            verifier.update(keys: set(pair, Mint.key("other-\(number)")))
            let requests = verifier.usage(at: Mint.now).filter { $0.key == "idp/r1" }.map(\.requests)
            #expect(requests.reduce(0, +) == 1)
        }
    }
}

@Suite struct `A token that is judged` {
    @Test func `is told what a request would be told`() {
        let verifier = verifier()
        #expect(verifier.judge(token("alice")).reason == nil)
        #expect(verifier.judge(token("alice", until: 1_699_999_999)).reason == .tokenExpired)
        #expect(verifier.judge(token("alice", secret: nextSecret)).reason == .invalidSignature)
        #expect(verifier.judge("").reason == .invalidToken)
        #expect(verifier.judge(String(repeating: "a", count: 16_385)).reason == .tokenTooLarge)
        verifier.revoke(.key, "main", from: Mint.now + .seconds(5))
        #expect(verifier.judge(token("alice"), at: Mint.now + .milliseconds(4_999)).reason == nil)
        #expect(verifier.judge(token("alice"), at: Mint.now + .seconds(5)).reason == .revoked)
    }

    @Test func `is neither remembered nor counted`() throws {
        let verifier = verifier()
        for _ in 0..<3 { #expect(verifier.judge(token("alice")).reason == nil) }
        #expect(verifier.cachedTokens == 0)
        let main = try #require(verifier.usage("main"))
        #expect(main.requests == 0 && main.lastUsed == nil && main.lastExpiry == nil && main.live.isEmpty)
        #expect(verifier.reason(token("alice")) == nil)
        #expect(!verifier.lastWasRemembered, "the first request with it is the first time it is seen")
    }

    @Test func `is judged anew, though a request was told otherwise before`() {
        let verifier = verifier()
        #expect(verifier.reason(token("alice")) == nil)
        verifier.revoke(.subject, "alice")
        #expect(verifier.judge(token("alice")).reason == .revoked)
        verifier.apply(.lift([RevocationTarget(.subject, "alice")!]))
        #expect(verifier.judge(token("alice")).reason == nil)
        #expect(verifier.usage("main")?.requests == 1)
    }
}

/// What a token has opened ends with the key that signed it, and not with its name alone.
@Suite struct `A key that is replaced under its name` {
    @Test func `is another key`() throws {
        let verifier = verifier(Mint.key(), Mint.key("next", secret: nextSecret))
        let before = try #require(verifier.verified(token("alice")))
        verifier.update(keys: set(Mint.key("next", secret: nextSecret), Mint.key()))
        #expect(verifier.knowsKey(of: before))
        verifier.update(
            keys: set(Mint.key(secret: "a secret that was made in a hurry"), Mint.key("next", secret: nextSecret)))
        #expect(!verifier.knowsKey(of: before))
        verifier.update(keys: set(Mint.key("other")))
        #expect(!verifier.knowsKey(of: before))
        verifier.update(keys: set(Mint.key()))
        #expect(verifier.knowsKey(of: before))
    }
}

/// What has been opened with tokens of a key is closed at its time: the worker asks every now and then whether it has come.
@Suite struct `The time of a key` {
    private let end = Mint.now + .seconds(60)

    private func retiring() -> TokenVerifier {
        let verifier = verifier(Mint.key(), Mint.key("next", secret: nextSecret))
        verifier.revoke(.key, "main", from: end)
        return verifier
    }

    @Test func `is told once`() {
        let verifier = retiring()
        #expect(!verifier.advance(to: end + .milliseconds(-1)))
        #expect(verifier.advance(to: end))
        #expect(!verifier.advance(to: end))
    }

    @Test func `is told also when a request or a proof has met it first`() {
        let verifier = retiring()
        #expect(verifier.reason(token("bob", secret: nextSecret), at: end) == nil)
        #expect(verifier.advance(to: end))
        #expect(!verifier.advance(to: end + .seconds(1)))
        let other = retiring()
        #expect(other.judge(token("alice"), at: end).reason == .revoked)
        #expect(other.advance(to: end))
        #expect(!other.advance(to: end + .seconds(1)))
    }
}
