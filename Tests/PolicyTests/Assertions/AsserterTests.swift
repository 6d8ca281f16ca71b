import Testing
import Wire

@testable import Crypto
@testable import Policy
@testable import Settings

/// An assertion as a backend reads it, with nothing of the code that made it.
private struct SeenAssertion {
    var header: String
    var claims: String
    let signed: [UInt8]
    let signature: [UInt8]

    init?(_ head: String?, name: String = "X-Assertion") {
        let lines = (head ?? "").split(separator: "\r\n").filter { $0.lowercased().hasPrefix("\(name.lowercased()):") }
        guard lines.count == 1, let text = lines.first?.dropFirst(name.utf8.count + 2) else { return nil }
        let parts = text.split(separator: ".").map { Base64URL.decode(Array($0.utf8).span) ?? [] }
        guard parts.count == 3 else { return nil }
        header = String(decoding: parts[0], as: UTF8.self)
        claims = String(decoding: parts[1], as: UTF8.self)
        signed = Array(text.prefix(upTo: text.lastIndex(of: ".")!).utf8)
        signature = parts[2]
    }

    func isSigned(by key: SigningKey) throws -> Bool {
        let checker = try SignatureChecker(KeyMaterial(pem: key.pem ?? []), key.algorithm)
        return checker.verifies(signature.span, of: signed.span)
    }

    /// With the one random part replaced.
    var stable: String { claims.replacing(#/"jti":"[A-Za-z0-9_-]{22}"/#, with: #""jti":"…""#) }
    var jti: String? { claims.firstMatch(of: #/"jti":"([^"]*)"/#).map { String($0.1) } }
}

@Suite struct `An assertion` {
    private let key: SigningKey
    private let other: SigningKey

    init() throws {
        key = try SigningKey.make(.es256)
        other = try SigningKey.make(.edDSA)
    }

    private static func configuration(
        lifetime: Int = 60, path: String? = nil, cacheEntries: Int = 64, leeway: Int = 0
    ) -> Configuration {
        var configuration = House.configuration()
        var assertion = Configuration.Assertion(header: "X-Assertion", issuer: "https://edge", audience: "all")
        assertion.lifetime = .seconds(lifetime)
        assertion.jwksPath = path
        configuration.assertion = assertion
        configuration.upstreams[1].assertionAudience = "staff \"only\""
        configuration.tokens = Mint.tokens(leeway: leeway, cacheEntries: cacheEntries)
        return configuration
    }

    private func gate(_ configuration: Configuration = configuration()) -> Gate {
        Gate(configuration, signing: AssertionKeyring(key, .made, at: Mint.now))
    }

    private func get(_ path: String, _ token: String? = House.token(), more: String = "") -> String {
        let authorization = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        return "GET \(path) HTTP/1.1\r\nHost: h\r\n\(authorization)\(more)\r\n"
    }

    private func at(_ second: Int) -> WallTime { Mint.now + .seconds(second) }

    @Test func `says who the caller is, for whom and for how long`() throws {
        let found = try #require(SeenAssertion(gate().forwarded(get("/private"))))
        #expect(found.header == #"{"alg":"ES256","kid":"\#(key.id)","typ":"assertion+jwt"}"#)
        #expect(
            found.stable == #"{"iss":"https://edge","aud":"all","iat":1700000000,"exp":1700000060,"jti":"…","#
                + #""sub":"alice"}"#)
        #expect(try found.isSigned(by: key))
    }

    /// With room for two, both stand side by side.
    @Test(arguments: [2, 64]) func `is for the upstream that gets it`(_ room: Int) throws {
        let token = House.token(#","roles":["admin"]"#)
        let gate = gate(Self.configuration(cacheEntries: room))
        let staff = try #require(SeenAssertion(gate.forwarded(get("/admin", token))))
        #expect(
            staff.stable == #"{"iss":"https://edge","aud":"staff \"only\"","iat":1700000000,"exp":1700000060,"#
                + #""jti":"…","sub":"alice","roles":["admin"]}"#)
        let api = try #require(SeenAssertion(gate.forwarded(get("/private", token))))
        #expect(api.claims.contains(#""aud":"all""#))
        #expect(SeenAssertion(gate.forwarded(get("/admin", token)))?.claims == staff.claims, "both are remembered")
        #expect(SeenAssertion(gate.forwarded(get("/private", token)))?.claims == api.claims)
    }

    @Test func `is not made for somebody who is nobody`() {
        #expect(gate().forwarded(get("/optional", nil))?.lowercased().contains("assertion") == false)
        #expect(gate().forwarded(get("/"))?.lowercased().contains("assertion") == false, "the route looks at no token")
    }

    @Test(arguments: [
        "X-Assertion", "x-assertion", "X_Assertion", "x_ASSERTION",
    ])
    func `of the client's own making never arrives`(_ name: String) throws {
        for token in [House.token(), nil] {
            let head = try #require(gate().forwarded(get("/optional", token, more: "\(name): forged\r\n")))
            #expect(!head.contains("forged"))
            #expect((SeenAssertion(head) != nil) == (token != nil))
        }
        let named = try #require(gate().forwarded(get("/optional", more: "Connection: \(name)\r\n")))
        #expect(SeenAssertion(named) != nil, "Connection cannot take it away")
    }

    @Test func `is signed once for many requests, and again when half of its life is over`() throws {
        let gate = gate()
        let first = try #require(SeenAssertion(gate.forwarded(get("/private"))))
        #expect(SeenAssertion(gate.forwarded(get("/private"), at: at(29)))?.claims == first.claims)
        #expect(gate.countAssertions() == 1)
        let next = try #require(SeenAssertion(gate.forwarded(get("/private"), at: at(30))))
        #expect(next.stable.contains(#""iat":1700000030,"exp":1700000090"#))
        #expect(next.jti != first.jti)
        #expect(gate.countAssertions() == 1 && gate.countAssertions() == 0)
    }

    @Test func `is signed anew when the clock was set back`() throws {
        let gate = gate()
        _ = gate.forwarded(get("/private"), at: at(10))
        #expect(
            try #require(SeenAssertion(gate.forwarded(get("/private"), at: at(0)))).claims.contains(
                #""iat":1700000000"#))
    }

    @Test func `does not outlive its token`() throws {
        let token = Mint.token(#"{"sub":"alice","exp":1700000020}"#)
        let gate = gate()
        let first = try #require(SeenAssertion(gate.forwarded(get("/private", token))))
        #expect(first.claims.contains(#""iat":1700000000,"exp":1700000020"#))
        #expect(SeenAssertion(gate.forwarded(get("/private", token), at: at(19)))?.claims == first.claims)
        #expect(gate.countAssertions() == 1, "another one would end no later")
        #expect(gate.forwarded(get("/private", token), at: at(20)) == nil)
    }

    /// The gateway forgives clocks that differ; what the backend forgives is its own affair.
    @Test func `says the end of its token also where that is forgiven`() throws {
        let gate = gate(Self.configuration(leeway: 30))
        let token = Mint.token(#"{"sub":"alice","exp":1699999990}"#)
        #expect(
            try #require(SeenAssertion(gate.forwarded(get("/private", token)))).claims.contains(#""exp":1699999990"#))
    }

    @Test func `is made also where tokens are not remembered`() throws {
        let gate = gate(Self.configuration(cacheEntries: 0))
        for _ in 0..<3 { #expect(try #require(SeenAssertion(gate.forwarded(get("/private")))).isSigned(by: key)) }
        #expect(gate.countAssertions() == 3)
    }

    @Test func `is of this token, however many others there were`() throws {
        let gate = gate(Self.configuration(cacheEntries: 4))
        for round in 0..<3 {
            for number in 0..<40 {
                let token = Mint.token(#"{"sub":"user-\#(number)","exp":1700003600}"#)
                let found = try #require(SeenAssertion(gate.forwarded(get("/private", token), at: at(round))))
                #expect(found.claims.contains(#""sub":"user-\#(number)"}"#))
            }
        }
    }

    @Test func `is signed with the key whose turn it is`() throws {
        var keyring = AssertionKeyring(key, .made, at: Mint.now)
        let gate = Gate(Self.configuration(), signing: keyring)
        keyring.add(other, .made, maximumAge: .seconds(300), at: Mint.now)
        gate.adopt(keyring)
        for (second, signer) in [(0, key), (301, key), (302, other), (400, other)] {
            let found = try #require(SeenAssertion(gate.forwarded(get("/private"), at: at(second))))
            // Remembered ones are of the key before until half of their life is over.
            #expect(try found.isSigned(by: second == 302 ? key : signer), "at \(second)")
        }
    }

    @Test func `of a key in the wrong hands is not used again`() throws {
        var keyring = AssertionKeyring(key, .made, at: Mint.now)
        let gate = Gate(Self.configuration(), signing: keyring)
        #expect(try #require(SeenAssertion(gate.forwarded(get("/private")))).isSigned(by: key))
        keyring.replace(with: other, .made, at: Mint.now)
        gate.adopt(keyring)
        #expect(try #require(SeenAssertion(gate.forwarded(get("/private")))).isSigned(by: other))
    }

    // MARK: The keys

    private func verdict(_ text: String, _ gate: Gate, from peer: String = "203.0.113.9") -> String {
        switch gate.decide(text, from: peer).verdict {
        case .answer(.assertionKeys): "keys"
        case .refuse(let refusal): "\(refusal.status)"
        case .forward: "forwarded"
        default: "something else"
        }
    }

    @Test func `is verified with keys that stand at the path of the setting`() {
        let gate = gate(Self.configuration(path: "/keys"))
        func ask(_ method: String, _ target: String, from peer: String = "203.0.113.9") -> String {
            verdict("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n", gate, from: peer)
        }
        #expect(ask("GET", "/keys") == "keys")
        #expect(ask("HEAD", "/keys?x=1") == "keys")
        #expect(ask("GET", "/%6beys") == "keys")
        #expect(ask("POST", "/keys") == "405")
        #expect(ask("OPTIONS", "/keys") == "405")
        #expect(ask("GET", "/keys/x") == "forwarded")
        #expect(ask("GET", "/KEYS") == "forwarded")
        #expect(ask("GET", "/keys", from: "198.51.100.7") == "403")
    }

    @Test func `has keys nowhere unless that is asked for`() {
        for configuration in [Self.configuration(), House.configuration()] {
            let text = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: h\r\n\r\n"
            #expect(verdict(text, gate(configuration)) == "forwarded")
        }
    }

    @Test func `is no matter where nothing is signed`() throws {
        let head = try #require(Gate().forwarded(get("/private", more: "X-Assertion: theirs\r\n")))
        #expect(head.contains("X-Assertion: theirs\r\n"))
    }
}
