import Testing

@testable import Policy
@testable import Settings
@testable import Wire

/// A request that a proxy forwards as its client wrote it.
private func verdict(_ text: String, from peer: String = "203.0.113.9") -> String {
    var facts = RequestFacts(client: House.client)
    let gatekeeper = House.gatekeeper()
    let verdict = gatekeeper.decide(
        Array(text.utf8).span, peer: IPAddress(peer)!, passage: .theirs, now: House.now, wall: Mint.now, facts: &facts)
    switch verdict {
    case .incomplete: return "incomplete"
    case .introspect: return "introspected"
    case .refuse(let refusal): return "\(refusal.stage) \(refusal.status) \(refusal.title)"
    case .answer: return "answered"
    case .forward: return "allowed"
    }
}

private func get(_ target: String, _ fields: String...) -> String {
    (["GET \(target) HTTP/1.1", "Host: a"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
}

@Suite struct `A request beside the gateway` {
    @Test func `is decided as one through it`() {
        #expect(verdict(get("/")) == "allowed")
        #expect(verdict(get("/private")) == "authenticate 401 A token is required")
        #expect(verdict(get("/private", "Authorization: Bearer \(House.token())")) == "allowed")
        #expect(verdict(get("/"), from: "198.51.100.7") == "screen 403 The address is blocked")
        #expect(verdict(get("/a/../b")) == "read 400 The path of the request is ambiguous")
    }

    @Test func `for /health is one like others`() {
        #expect(verdict(get("/health"), from: "198.51.100.7") == "screen 403 The address is blocked")
        #expect(verdict(get("/health")) == "allowed")
    }

    @Test(arguments: ["/%7euser", "/a%2Dc", "/caf%c3%a9", "/a^b", "/objects/a%2Fb", "/web"])
    func `may spell a path in another way that is read alike`(_ target: String) {
        #expect(verdict(get(target)) == "allowed")
    }

    @Test(arguments: ["/web//a", "/web/./a", "/web/b/../a", "/web/a%2Fb", "/web/a\\b", "/objects/a\\b"])
    func `may not leave to the gateway to mend its path`(_ target: String) {
        #expect(verdict(get(target)) == "read 400 The path of the request is ambiguous")
    }

    @Test(arguments: [
        "X_User_Id", "X-User_ID", "x_user_role", "X_Forwarded_For", "Content_Length", "X_Real_IP", "X.User.Id",
        "X~User!Role", "X.Break.Glass", "X.Forwarded.For", "X.Real.IP", "Proxy_",
    ])
    func `may not carry a name in disguise`(_ name: String) {
        let isHarmless = name == "Proxy_"
        let expected = "prepare 400 A field of the request has the name of another one in disguise"
        #expect(verdict(get("/", "\(name): 1")) == (isHarmless ? "allowed" : expected))
    }

    @Test func `may change its protocol only where the route says so`() {
        let handshake = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        #expect(verdict(get("/", handshake[0], handshake[1], handshake[2], key)) == "allowed")
        #expect(
            verdict(get("/still", handshake[0], handshake[1], handshake[2], key))
                == "prepare 403 The route does not allow the upgrade")
        #expect(verdict(get("/", handshake[0], "Upgrade: h2c")) == "prepare 403 The route does not allow the upgrade")
        #expect(
            verdict(get("/", handshake[0], handshake[1], handshake[2]))
                == "prepare 400 The WebSocket handshake is malformed")
        #expect(
            verdict("POST /auth/login HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                == "prepare 403 The route does not allow the upgrade")
    }
}

@Suite struct `An allowance` {
    private func text(_ dialect: Check.Dialect, _ fields: String...) -> String {
        let gatekeeper = House.gatekeeper()
        var facts = RequestFacts(client: House.client)
        let head = (["GET /optional HTTP/1.1", "Host: a"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
        _ = gatekeeper.decide(
            Array(head.utf8).span, peer: House.client, passage: .theirs, now: House.now, wall: Mint.now, facts: &facts)
        var out = ByteWriter(capacity: 4_096)
        gatekeeper.writeAllowance(
            Check(dialect: dialect, client: House.client, isSecure: false), requestID: Array("id".utf8).span,
            date: Array(House.date.utf8).span, keepAlive: true, into: &out)
        return out.bytes.text
    }

    private let start =
        "HTTP/1.1 200 OK\r\nDate: \(House.date)\r\nCache-Control: no-store\r\nContent-Length: 0\r\nX-Request-Id: id\r\n"

    @Test func `of nobody names nobody`() {
        #expect(text(.verify) == start + "\r\n")
        #expect(text(.nginx) == start + "\r\n")
    }

    @Test func `tells Envoy what to take out`() {
        #expect(
            text(.envoy) == start + "X-Envoy-Auth-Headers-To-Remove: X-User-ID,X-User-Role,X-Authenticated\r\n\r\n")
        #expect(
            text(.envoy, "Authorization: Bearer \(House.token())")
                == start + "X-User-ID: alice\r\nX-Authenticated: true\r\n"
                + "X-Envoy-Auth-Headers-To-Remove: X-User-Role\r\n\r\n")
    }
}
