import Glibc
import Testing

@testable import Policy
@testable import Settings
@testable import Wire

// One suite per stage that the Gatekeeper decides, in the order of `Stage`. What they do to bytes is told by
// Tests/Conversations; here is what no conversation can say: what is remembered, and which stage is asked first.

private let plain = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"

@Suite struct `The stages of a request` {
    @Test func `are these, in this order`() {
        #expect(
            Stage.allCases.map(\.rawValue) == [
                "admit", "secure", "read", "identify", "screen", "route", "authenticate", "authorize", "reserve",
                "prepare", "lease", "forward", "judge", "relay", "settle",
            ])
    }

    /// docs/life-of-a-request.md is where an operator looks a stage up that an audit record names.
    @Test func `are the headings of docs/life-of-a-request`() {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        guard let file = fopen("\(root)/docs/life-of-a-request.md", "r") else {
            Issue.record("docs/life-of-a-request.md is missing")
            return
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let text = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
        let headings = text.split(separator: "\n").filter { $0.hasPrefix("## ") }.map { String($0.dropFirst(3)) }
        #expect(headings == Stage.allCases.map(\.rawValue))
    }

    /// The earliest stage speaks, whatever the later ones would have said.
    @Test func `are asked one after another`() {
        let gate = Gate()
        func stage(_ text: String, from peer: String = "203.0.113.9") -> Stage? {
            gate.decide(text, from: peer).refusal?.stage
        }
        let blocked = "198.51.100.7"
        #expect(stage("DELETE /read HTTP/1.1\r\n\r\n", from: blocked) == .read)
        #expect(stage("DELETE /read HTTP/1.1\r\nHost: h\r\n\r\n", from: blocked) == .screen)
        #expect(stage("DELETE /read HTTP/1.1\r\nHost: h\r\n\r\n") == .route)
        #expect(stage("GET /admin HTTP/1.1\r\nHost: h\r\n\r\n") == .authenticate)
        #expect(stage("GET /admin HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(House.token())\r\n\r\n") == .authorize)
        #expect(stage(plain) == nil)
    }
}

@Suite struct `Read` {
    @Test func `tells where the parts of the head are`() {
        let gate = Gate()
        let text =
            "POST /a/%62?q=1 HTTP/1.1\r\nHost: Example.org:81\r\nUser-Agent: curl/8\r\nOrigin: https://o\r\n"
            + "Content-Length: 3\r\n\r\nabc"
        let bytes = Array(text.utf8)
        let decision = gate.decide(text)
        let facts = decision.facts
        #expect(decision.plan != nil)
        func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        #expect(part(facts.method) == "POST")
        #expect(part(facts.path) == "/a/%62")
        #expect(part(facts.host) == "Example.org")
        #expect(part(facts.authority) == "Example.org:81")
        #expect(part(facts.userAgent) == "curl/8")
        #expect(part(facts.origin) == "https://o")
        #expect(facts.headLength == bytes.count - 3)
        #expect(facts.framing == .length(3))
        #expect(!facts.isHead)
        #expect(facts.minorVersion == 1)
        #expect(gate.pathForLogs(text, facts) == "/a/b")
    }

    /// RFC 9110 §9.3.2: an answer to HEAD has no content, whatever is wrong with the request.
    @Test func `knows a HEAD, however malformed the rest is`() {
        let gate = Gate()
        for fault in [
            "/ HTTP/2.0\r\n", "/ b HTTP/1.1\r\n", "/ HTTP/1.1\r\nA : b\r\n", "/ HTTP/1.1\r\nA: b\r\n c\r\n",
            "/ HTTP/1.1\r\nA: \0\r\n", "/" + String(repeating: "a", count: 9_000),
            "/ HTTP/1.1\r\nA: " + String(repeating: "a", count: 33_000),
        ] {
            for (start, isHead) in [("HEAD ", true), ("\r\nHEAD ", true), ("GET ", false), ("HEADS ", false)] {
                let decision = gate.decide(start + fault)
                #expect(decision.refusal?.stage == .read)
                #expect(decision.facts.isHead == isHead, "\(start)\(fault.prefix(40))")
            }
        }
    }

    @Test(arguments: [
        ("", false), ("HEAD", false), ("HEAD ", true), ("\r\n\r\nHEAD /", true), ("head /", false), ("\r\n", false),
    ])
    func `tells a HEAD by the beginning of its bytes`(text: String, expected: Bool) {
        #expect(Methods.beginsAsHead(Array(text.utf8).span) == expected)
    }

    @Test func `knows nothing of a head that never became complete`() {
        let gate = Gate()
        let facts = gate.decide("GET  / HTTP/1.1\r\n").facts
        #expect(facts.headLength == 0)
        #expect(facts.method.isEmpty)
        #expect(!facts.keepAlive)
    }

    /// Two requests in a row on one worker, the second refused at its first line: what was known of the first (a trace, a
    /// token, a path) points into bytes that are gone. Reading them would trap, and end every connection of the process.
    @Test func `forgets the head before`() {
        let gate = Gate()
        let first =
            "GET /%70rivate HTTP/1.1\r\nHost: example.org\r\nX-Request-Id: a\r\n"
            + "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
            + "Authorization: Bearer \(Mint.token(Mint.claims(), secret: String(repeating: "x", count: 32)))\r\n\r\n"
        #expect(gate.decide(first).refusal == .invalidToken(.invalidSignature))
        #expect(gate.refusedToken != nil)
        let second = "BAD\r\n\r\n"
        let verdict = gate.decide(second, from: "10.0.0.1")
        #expect(verdict.refusal == .malformed)
        #expect(gate.refusedToken == nil)
        #expect(gate.tokenRefusal == nil)
        #expect(gate.identity == nil)
        #expect(gate.pathForLogs(second, verdict.facts) == "")
        let trace = gate.trace(second, from: "10.0.0.1")
        #expect(trace.traceID.text != "4bf92f3577b34da6a3ce929d0e0e4736")
        // Nor does one that is refused before the token is looked at say what the last token claimed.
        _ = gate.decide(first)
        _ = gate.decide(plain, from: "198.51.100.7")
        #expect(gate.tokenRefusal == nil)
    }

    @Test func `takes over limits with new rules`() {
        let gate = Gate()
        #expect(gate.decide(plain).plan != nil)
        var configuration = House.configuration()
        configuration.limits.fields = 1
        gate.adopt(configuration)
        #expect(gate.decide(plain).plan != nil)
        #expect(gate.decide("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n").refusal == .headTooLarge)
        configuration.limits.fields = 200
        gate.adopt(configuration)
        let many = (0..<199).map { "X-\($0): 1\r\n" }.joined()
        #expect(gate.decide("GET / HTTP/1.1\r\nHost: h\r\n\(many)\r\n").plan != nil)
    }
}

@Suite struct `Identify` {
    private func client(_ fields: String, from peer: String) -> String {
        let gate = Gate()
        return gate.decide("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n", from: peer).facts.client.description
    }

    @Test func `takes the peer for the client`() {
        #expect(client("", from: "203.0.113.9") == "203.0.113.9")
        #expect(client("X-Forwarded-For: 192.0.2.1\r\n", from: "203.0.113.9") == "203.0.113.9")
        #expect(client("Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n", from: "10.0.0.1") == "10.0.0.1")
    }

    @Test func `walks from the right, through all fields, while the speaker is trusted`() {
        #expect(client("X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n", from: "10.0.0.1") == "192.0.2.1")
        #expect(client("X-Forwarded-For: 192.0.2.1, 10.0.0.3, 10.0.0.2\r\n", from: "10.0.0.1") == "192.0.2.1")
        #expect(
            client("X-Forwarded-For: 1.1.1.1\r\nX: y\r\nx-forwarded-for: 192.0.2.1\r\n", from: "10.0.0.1")
                == "192.0.2.1")
        #expect(client("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n", from: "10.0.0.1") == "192.0.2.1")
        #expect(client("X-Forwarded-For: 2001:DB8::1\r\n", from: "2001:db8:1::5") == "2001:db8::1")
        #expect(client("X-Forwarded-For: nonsense\r\n", from: "10.0.0.1") == "10.0.0.1")
        #expect(client("X_Forwarded_For: 192.0.2.1\r\n", from: "10.0.0.1") == "10.0.0.1")
    }
}

@Suite struct `Screen` {
    @Test func `holds a block until its deadline and not a nanosecond longer`() {
        let gate = Gate()
        let end = House.now + .seconds(60)
        let before = Instant(nanoseconds: end.nanoseconds - 1)
        #expect(gate.decide(plain, from: "198.51.100.7", at: House.now).refusal == .addressBlocked)
        #expect(gate.decide(plain, from: "198.51.100.7", at: before).refusal == .addressBlocked)
        #expect(gate.decide(plain, from: "198.51.100.7", at: end).refusal == nil)
    }

    @Test func `obeys what the Ledger says on the very next request`() {
        let gate = Gate()
        let network = IPNetwork("203.0.113.9/32")!
        #expect(gate.decide(plain).refusal == nil)
        gate.apply(.set([BlockEntry(network: network, deadline: .never)]))
        #expect(gate.decide(plain).refusal == .addressBlocked)
        #expect(gate.decide(plain, from: "203.0.113.8").refusal == nil)
        gate.apply(.lift([network]))
        #expect(gate.decide(plain).refusal == nil)
    }

    @Test func `keeps its blocks through a change of rules`() {
        let gate = Gate()
        gate.adopt(House.configuration())
        #expect(gate.decide(plain, from: "198.51.100.7").refusal == .addressBlocked)
    }
}

@Suite struct `Route` {
    @Test func `names the route and its upstream`() {
        let gate = Gate()
        let decision = gate.decide("GET /only HTTP/1.1\r\nHost: only.example.org\r\n\r\n")
        #expect(decision.facts.route == 7)
        #expect(decision.plan?.upstream == 1)
        let other = gate.decide("GET /only HTTP/1.1\r\nHost: example.org\r\n\r\n")
        #expect(other.facts.route == 0)
    }

    @Test func `leaves the route unknown where none is found`() {
        let gate = Gate(House.configuration(routes: []))
        let verdict = gate.decide(plain)
        #expect(verdict.refusal == .noRoute)
        #expect(verdict.facts.route == nil)
    }

    @Test func `knows logins and what may be repeated`() throws {
        let gate = Gate()
        let login = try #require(gate.decide("POST /auth/login HTTP/1.1\r\nHost: h\r\n\r\n").plan)
        #expect(login.isLogin && !login.isIdempotent)
        let get = try #require(gate.decide(plain).plan)
        #expect(!get.isLogin && get.isIdempotent)
    }
}

@Suite struct `Authenticate` {
    private func head(_ path: String, _ token: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(token)\r\n\r\n"
    }

    @Test func `remembers who it was until the next request`() {
        let gate = Gate()
        #expect(gate.decide(head("/private", House.token())).plan != nil)
        #expect(gate.identity?.subject == Array("alice".utf8))
        #expect(gate.decide(plain).plan != nil)
        #expect(gate.identity == nil)
    }

    @Test func `ends with the token, also for one that was seen before`() {
        let gate = Gate()
        let text = head("/private", House.token())
        #expect(gate.decide(text, wall: WallTime(seconds: 1_700_003_599)).refusal == nil)
        // `exp <= now` is expired (requirements C13).
        #expect(gate.decide(text, wall: WallTime(seconds: 1_700_003_600)).refusal == .tokenExpired)
    }

    @Test func `forgets keys that new rules do not have`() {
        let gate = Gate()
        let text = head("/private", House.token())
        #expect(gate.decide(text).refusal == nil)
        var configuration = House.configuration()
        configuration.tokens = Mint.tokens([Mint.key(secret: "another secret of thirty-two bytes")])
        gate.adopt(configuration)
        #expect(gate.decide(text).refusal == .invalidToken(.invalidSignature))
    }

    @Test func `tells the operator what the refused token claimed`() throws {
        let gate = Gate()
        let token = Mint.token(#"{"sub":"mallory","exp":1600000000}"#)
        let text = head("/private", token)
        #expect(gate.decide(text).refusal == .tokenExpired)
        let place = try #require(gate.refusedToken)
        #expect(String(decoding: Array(text.utf8)[place], as: UTF8.self) == token)
        #expect(gate.tokenRefusal?.reason == .tokenExpired)
    }
}

@Suite struct `Authorize` {
    @Test func `lets through what the claims allow and nothing else`() {
        let gate = Gate()
        func refusal(_ path: String, _ claims: String) -> Refusal? {
            let token = House.token(claims)
            return gate.decide("GET \(path) HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(token)\r\n\r\n").refusal
        }
        #expect(refusal("/admin", #","roles":["user","admin"]"#) == nil)
        #expect(refusal("/admin", #","roles":["administrator"]"#) == .missingRole)
        #expect(refusal("/gold", #","tier":"gold""#) == nil)
        #expect(refusal("/gold", #","tier":"silver""#) == .missingClaim)
    }
}

@Suite struct `Prepare` {
    @Test func `writes the same request twice in the same bytes but for its names`() throws {
        let gate = Gate()
        let first = try #require(gate.forwarded(plain))
        let second = try #require(gate.forwarded(plain))
        #expect(first != second)
        func unnamed(_ text: String) -> [Substring] {
            text.split(separator: "\r\n").filter { !$0.hasPrefix("X-Request-Id") && !$0.hasPrefix("traceparent") }
        }
        #expect(unnamed(first) == unnamed(second))
    }

    @Test func `does not let an identity outlive its request`() throws {
        let gate = Gate()
        let token = House.token()
        let text = "GET /private HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \(token)\r\n\r\n"
        #expect(try #require(gate.forwarded(text)).contains("X-User-ID: alice\r\n"))
        #expect(!(try #require(gate.forwarded(plain)).contains("X-User-ID")))
    }

    /// The head is the client's to fill, so the writer must notice, not write past its end.
    @Test func `notes that a head did not fit`() throws {
        let gate = Gate()
        let whole = try #require(gate.forwarded(plain))
        #expect(gate.forwarded(plain, capacity: whole.utf8.count) != nil)
        #expect(gate.forwarded(plain, capacity: whole.utf8.count - 1) == nil)
    }
}
