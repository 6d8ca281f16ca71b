import Testing
import Wire

@testable import Policy
@testable import Settings

private let opaque = "2YotnFZFEjr1zCsicMWpAA"

private func tokens(
    issuers: [String] = [], audiences: [String] = [], cache: Int = 30, badFor: Int = 5, entries: Int = 64
) -> Configuration.Tokens {
    var tokens = Mint.tokens(issuers: issuers, audiences: audiences, cacheEntries: entries)
    var introspection = Configuration.Tokens.Introspection(
        url: WebAddress("https://issuer.example.org/introspect")!, clientID: "gateway", clientSecret: Secret("secret"))
    introspection.goodFor = .seconds(cache)
    introspection.badFor = .seconds(badFor)
    tokens.introspection = introspection
    return tokens
}

private func active(_ more: String = #","exp":1700003600"#) -> IntrospectionAnswer {
    .active(Array(#"{"active":true,"sub":"alice","role":"admin"\#(more)}"#.utf8))
}

extension TokenVerifier {
    /// Nil for a token that is good.
    fileprivate func after(
        _ answer: IntrospectionAnswer, _ token: String = opaque, at now: WallTime = Mint.now
    ) -> Reason? {
        learn(answer, about: Array(token.utf8), at: now)
        defer { forgetAnswer() }
        return reason(token, at: now)
    }

    fileprivate func revoke(_ kind: RevocationTarget.Kind, _ name: String) {
        apply(.set([RevocationEntry(target: RevocationTarget(kind, name)!, cutoff: .everyToken)]))
    }

    fileprivate func isPending(_ token: String = opaque, at now: WallTime = Mint.now) -> Bool {
        refusal(token, at: now)?.isPending == true
    }
}

private func later(_ seconds: Int64) -> WallTime { WallTime(milliseconds: Mint.now.milliseconds + seconds * 1_000) }

@Suite struct `An opaque token` {
    @Test func `is refused where nobody can be asked`() {
        let verifier = Mint.verifier()
        #expect(verifier.reason(opaque) == .invalidToken)
        #expect(!verifier.isPending())
        verifier.learn(active(), about: Array(opaque.utf8), at: Mint.now)
        #expect(verifier.reason(opaque) == .invalidToken)
    }

    @Test func `is pending until its issuer has spoken`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.isPending())
        #expect(verifier.after(active()) == nil)
        let token = verifier.verified(opaque)
        #expect(token?.subject == Array("alice".utf8))
        #expect(
            token?.identityFields
                == Array("X-User-ID: alice\r\nX-User-Role: admin\r\nX-Authenticated: true\r\n".utf8))
        #expect(token?.keyLabel == "introspection")
        #expect(verifier.isPending(opaque + "x"), "another token")
    }

    @Test(arguments: ["a b", "a,b", "a\u{0}b", "a\"b", "ä", "=", "a=b"])
    func `of other characters is asked about by nobody`(text: String) {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.reason(text) == .invalidToken)
        #expect(!verifier.isPending(text))
    }

    @Test func `and a JWT do not mix`() {
        let verifier = Mint.verifier(tokens())
        let good = Mint.token(Mint.claims())
        #expect(verifier.reason(good) == nil)
        let forged = Mint.token(Mint.claims(), secret: "another secret of 32 bytes or more")
        #expect(verifier.after(active(), forged) == .invalidSignature)
    }

    @Test func `is refused when its issuer says no`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(.inactive) == .tokenInactive)
        #expect(verifier.reason(opaque, at: later(4)) == .tokenInactive)
        #expect(verifier.isPending(at: later(5)))
    }

    @Test func `is neither good nor bad when its issuer says nothing`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(.unavailable) == .introspectionUnavailable)
        verifier.learn(.unavailable, about: Array(opaque.utf8), at: Mint.now)
        #expect(!verifier.isPending(), "whoever has waited is told")
        #expect(verifier.isPending("another"))
        verifier.forgetAnswer()
        #expect(verifier.isPending(), "the next one asks again")
        #expect(verifier.after(.active(Array("{".utf8))) == .introspectionUnavailable)
    }

    @Test func `is judged by the rules for claims`() {
        func reason(_ more: String, issuers: [String] = [], audiences: [String] = []) -> Reason? {
            Mint.verifier(tokens(issuers: issuers, audiences: audiences)).after(active(more))
        }
        #expect(reason(#","exp":1700000001"#) == nil)
        #expect(reason(#","exp":1700000000"#) == .tokenExpired)
        #expect(reason(#","exp":"1700003600""#) == .invalidToken)
        #expect(reason(#","nbf":1700000001"#) == .notYetValid)
        #expect(reason(#","iss":"a""#, issuers: ["a"]) == nil)
        #expect(reason(#","iss":"b""#, issuers: ["a"]) == .wrongIssuer)
        #expect(reason("", issuers: ["a"]) == .missingClaim)
        #expect(reason(#","aud":["x","b"]"#, audiences: ["a", "b"]) == nil)
        #expect(reason(#","aud":"x""#, audiences: ["a"]) == .wrongAudience)
        #expect(reason("", audiences: ["a"]) == .missingClaim)
    }

    @Test func `without an end is good for as long as its answer`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active("")) == nil)
        #expect(verifier.reason(opaque, at: later(29)) == nil)
        #expect(verifier.isPending(at: later(30)))
    }

    @Test func `with an end is not good beyond it, nor asked about again at once`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active(#","exp":1700000010"#)) == nil)
        #expect(verifier.reason(opaque, at: later(9)) == nil)
        #expect(verifier.reason(opaque, at: later(10)) == .tokenExpired)
        let bytes = Array(opaque.utf8)
        if case .refused = verifier.verify(bytes.span, at: later(15), grace: .seconds(10)) {
            Issue.record("in its grace it is good")
        }
        if case .verified = verifier.verify(bytes.span, at: later(20), grace: .seconds(10)) {
            Issue.record("its grace is over")
        }
    }
}

@Suite struct `The memory of answers` {
    @Test func `may be switched off, and whoever waited is served`() {
        for tokens in [tokens(cache: 0, badFor: 0), tokens(entries: 0)] {
            let verifier = Mint.verifier(tokens)
            #expect(verifier.after(active()) == nil)
            #expect(verifier.isPending())
        }
    }

    @Test func `does not outlast a clock that is set back`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active()) == nil)
        #expect(verifier.isPending(at: later(-1)))
    }

    @Test func `ends with the keys and the rules that were in force`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active()) == nil)
        let other = KeySet.build(from: Mint.tokens([Mint.key("other")])).keys
        verifier.update(keys: other)
        #expect(verifier.isPending())
    }

    @Test func `is bounded, and guesses push out nothing`() {
        let verifier = Mint.verifier(tokens(badFor: 300, entries: 8))
        #expect(verifier.after(active()) == nil)
        for number in 0..<3_000 { #expect(verifier.after(.inactive, "guess-\(number)") == .tokenInactive) }
        #expect(verifier.reason(opaque) == nil)
        #expect(verifier.introspections.count <= 1_024 + 8)
        for number in 0..<100 { #expect(verifier.after(active(), "good-\(number)") == nil) }
        #expect(verifier.introspections.count <= 1_024 + 8)
        #expect(verifier.reason("good-99") == nil)
    }

    @Test func `keeps what is in use`() {
        let verifier = Mint.verifier(tokens(entries: 8))
        #expect(verifier.after(active()) == nil)
        for number in 0..<100 {
            #expect(verifier.after(active(), "good-\(number)") == nil)
            #expect(verifier.reason(opaque) == nil)
        }
    }

    @Test func `takes a later no for a no`() {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active()) == nil)
        #expect(verifier.after(.inactive) == .tokenInactive)
        #expect(verifier.reason(opaque) == .tokenInactive)
    }

    @Test func `tells a token once`() {
        let verifier = Mint.verifier(tokens())
        verifier.learn(active(), about: Array(opaque.utf8), at: Mint.now)
        #expect(verifier.reason(opaque) == nil && !verifier.lastWasRemembered)
        #expect(verifier.reason(opaque) == nil && verifier.lastWasRemembered)
        verifier.forgetAnswer()
        #expect(verifier.reason(opaque) == nil && verifier.lastWasRemembered)
        #expect(verifier.after(active(), at: later(40)) == nil)
        #expect(verifier.lastWasRemembered, "the same token, asked about again")
    }

    @Test(
        arguments: [
            RevocationTarget.Kind.subject: "alice", .token: "j1", .issuer: "idp", .key: "introspection",
        ].sorted { $0.value < $1.value })
    func `is no help to a token that is revoked`(kind: RevocationTarget.Kind, name: String) throws {
        let verifier = Mint.verifier(tokens())
        let answer = active(#","exp":1700003600,"jti":"j1","iss":"idp""#)
        #expect(verifier.after(answer) == nil)
        let token = try #require(verifier.verified(opaque))
        #expect(verifier.knowsKey(of: token) && !verifier.isRevoked(token, at: Mint.now))
        verifier.revoke(kind, name)
        #expect(verifier.reason(opaque) == .revoked)
        #expect(verifier.isRevoked(token, at: Mint.now))
        #expect(verifier.after(answer) == .revoked)
    }

    @Test func `of another endpoint, or of none, vouches for nothing that is open`() throws {
        let verifier = Mint.verifier(tokens())
        #expect(verifier.after(active()) == nil)
        let token = try #require(verifier.verified(opaque))
        var other = tokens()
        other.introspection?.url = WebAddress("https://other.example.org/")!
        for (tokens, isKnown) in [(tokens(), true), (other, false), (Mint.tokens(), false)] {
            verifier.update(
                keys: KeySet.build(from: tokens).keys,
                policy: TokenPolicy(tokens: tokens, identityHeaders: Mint.headers, routes: [Mint.route()]))
            #expect(verifier.knowsKey(of: token) == isKnown)
        }
    }
}

@Suite struct `A request with an opaque token` {
    private func gatekeeper(cache: Int = 30) -> Gatekeeper {
        var configuration = House.configuration()
        configuration.tokens.introspection = tokens(cache: cache).introspection
        return House.gatekeeper(configuration)
    }

    private func verdict(_ text: String, _ gatekeeper: Gatekeeper) -> Verdict {
        var facts = RequestFacts(client: House.client)
        return gatekeeper.decide(
            Array(text.utf8).span, peer: House.client, now: House.now, wall: Mint.now, facts: &facts)
    }

    private func refusal(_ text: String, _ gatekeeper: Gatekeeper) -> Refusal? {
        if case .refuse(let refusal) = verdict(text, gatekeeper) { refusal } else { nil }
    }

    private func passes(_ text: String, _ gatekeeper: Gatekeeper) -> Bool {
        if case .forward = verdict(text, gatekeeper) { true } else { false }
    }

    private func head(_ target: String, _ token: String = opaque) -> String {
        "GET \(target) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n"
    }

    @Test func `waits, and is decided anew when its issuer has spoken`() {
        let gatekeeper = gatekeeper()
        for target in ["/private", "/optional", "/admin"] {
            guard case .introspect(let range) = verdict(head(target), gatekeeper) else {
                Issue.record("\(target) does not wait")
                continue
            }
            #expect(String(decoding: Array(head(target).utf8)[range], as: UTF8.self) == opaque)
            #expect(gatekeeper.tokenRefusal == nil && gatekeeper.identity == nil)
        }
        gatekeeper.learn(active(), about: Array(opaque.utf8), at: Mint.now)
        #expect(passes(head("/private"), gatekeeper))
        #expect(refusal(head("/gold"), gatekeeper) == .missingClaim)
        #expect(refusal(head("/admin"), gatekeeper) == .missingRole)
        gatekeeper.forgetAnswer()
        #expect(passes(head("/private"), gatekeeper))
    }

    @Test func `of a login is asked about once, unless that takes long or the rules change`() {
        let gatekeeper = gatekeeper(cache: 0)
        gatekeeper.learn(active(), about: Array(opaque.utf8), at: Mint.now)
        guard let known = gatekeeper.justAnswered else {
            Issue.record("nothing is known")
            return
        }
        gatekeeper.forgetAnswer()
        #expect(gatekeeper.justAnswered == nil && !passes(head("/private"), gatekeeper))
        gatekeeper.recall(known, at: later(0))
        #expect(passes(head("/private"), gatekeeper))
        gatekeeper.forgetAnswer()
        #expect(!passes(head("/private"), gatekeeper))
        for time in [later(-1), later(1)] {
            gatekeeper.recall(known, at: time)
            #expect(!passes(head("/private"), gatekeeper))
        }
        gatekeeper.adopt(gatekeeper.rules)
        gatekeeper.recall(known, at: later(0))
        #expect(!passes(head("/private"), gatekeeper))
    }

    @Test func `gets 503 when its issuer says nothing, on every route that looks at tokens`() {
        let gatekeeper = gatekeeper()
        gatekeeper.learn(.unavailable, about: Array(opaque.utf8), at: Mint.now)
        for target in ["/private", "/optional"] {
            #expect(refusal(head(target), gatekeeper) == .introspectionUnavailable)
        }
        #expect(passes(head("/"), gatekeeper))
        #expect(refusal(head("/private", "a b"), gatekeeper) == .malformedCredentials)
    }
}
