import Testing

@testable import Policy
@testable import Wire

/// What the reader makes of a check: the head that it writes, and whose request that is; else why not.
private struct Reader {
    private let reader = CheckReader(House.rules(House.configuration()))

    func read(_ text: String) -> String {
        var facts = RequestFacts(client: House.client)
        switch reader.read(Array(text.utf8).span, &facts) {
        case .incomplete: return "incomplete"
        case .refused(let refusal): return "refused \(refusal.status)"
        case .health: return "health"
        case .misdescribed(let fault, _): return fault.text
        case .described(let check):
            let scheme = check.isSecure ? "https" : "http"
            return "\(check.dialect) \(scheme) \(check.client)\n"
                + reader.described.text.split(separator: "\r\n").joined(separator: "\n")
        }
    }
}

private let description = [
    "X-Forwarded-Method: PUT", "X-Forwarded-Uri: /a?b=c", "X-Forwarded-Host: api.example.org",
    "X-Forwarded-Proto: https", "X-Forwarded-For: 198.51.100.4",
]

/// A check with the whole description and further fields; those of a name in `instead` are replaced.
private func check(
    _ more: String..., instead: [String: String] = [:], without left: String = "", target: String = "/verify"
) -> String {
    let fields = description.compactMap { line -> String? in
        let name = String(line.split(separator: ":")[0])
        return name == left ? nil : instead[name].map { "\(name): \($0)" } ?? line
    }
    return (["GET \(target) HTTP/1.1", "Host: gateway"] + fields + more).joined(separator: "\r\n") + "\r\n\r\n"
}

@Suite struct `A check` {
    @Test(arguments: [("/verify", "verify"), ("/nginx", "nginx"), ("/verify?b=c", "verify")])
    func `becomes the head that the client would have sent`(_ target: String, _ dialect: String) {
        #expect(
            Reader().read(check("Authorization: Bearer t", "Accept: */*", target: target)) == """
                \(dialect) https 198.51.100.4
                PUT /a?b=c HTTP/1.1
                Host: api.example.org
                Authorization: Bearer t
                Accept: */*
                """)
    }

    @Test func `of Envoy is the request itself behind the prefix`() {
        let text =
            "PATCH /envoy/a%2Fb?c HTTP/1.1\r\nHost: api.example.org\r\nX-Forwarded-Proto: http\r\n"
            + "X-Forwarded-For: 198.51.100.4\r\nX-Forwarded-Uri: /forged\r\nX-Forwarded-Method: GET\r\n"
            + "Content-Length: 0\r\nCookie: a=b\r\n\r\n"
        #expect(
            Reader().read(text) == """
                envoy http 198.51.100.4
                PATCH /a%2Fb?c HTTP/1.1
                Host: api.example.org
                Cookie: a=b
                """)
    }

    @Test(arguments: [
        "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For",
    ])
    func `must have each field of the description once`(_ name: String) {
        #expect(Reader().read(check(without: name)) == "\(name) is missing")
        #expect(Reader().read(check(instead: [name: ""])) == "\(name) is missing")
        let line = description.first { $0.hasPrefix(name) }!
        #expect(Reader().read(check(line)) == "\(name) is there more than once")
        #expect(Reader().read(check(line.lowercased())) == "\(name) is there more than once")
    }

    @Test(arguments: [
        ("X-Forwarded-Method", "GET /open"), ("X-Forwarded-Method", "G(T"), ("X-Forwarded-Uri", "/a b"),
        ("X-Forwarded-Uri", "/open HTTP/1.1"), ("X-Forwarded-Uri", "http://other/a"), ("X-Forwarded-Uri", "a"),
        ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Proto", "https, http"), ("X-Forwarded-For", "unknown"),
        ("X-Forwarded-For", "198.51.100.4, unix:"), ("X-Forwarded-For", "0.0.0.0"),
    ])
    func `with a part that is not what it must be is none`(_ name: String, _ value: String) {
        #expect(Reader().read(check(instead: [name: value])) == "\(name) is malformed")
    }

    @Test(arguments: ["/", "/verify/", "/verifyx", "/nginx/a", "/envoy", "/envoyx", "/envoy?a", "/healthy"])
    func `asks at an address that is served`(_ target: String) {
        let fault = Reader().read(check(target: target))
        let ofPath = "the path of the check is not one that is served"
        #expect(fault == ofPath || (target.hasPrefix("/envoy") && fault == "X-Forwarded-Uri is malformed"))
    }

    @Test func `names the nearest address that is no proxy of ours as the client`() {
        func client(_ value: String) -> Substring {
            Reader().read(check(instead: ["X-Forwarded-For": value])).split(separator: "\n")[0]
        }
        // 10.0.0.0/8 is trusted.
        #expect(client("1.1.1.1, 198.51.100.4, 10.0.0.7") == "verify https 198.51.100.4")
        #expect(client("10.0.0.9, 10.0.0.7") == "verify https 10.0.0.9")
        #expect(client("::ffff:198.51.100.4") == "verify https 198.51.100.4")
        #expect(client("[2001:db8::4]:77") == "verify https 2001:db8::4")
    }

    @Test(arguments: [("http", "http"), ("ws", "http"), ("wss", "https"), ("HTTPS", "https")])
    func `says whether the client came by TLS`(_ proto: String, _ scheme: String) {
        #expect(Reader().read(check(instead: ["X-Forwarded-Proto": proto])).hasPrefix("verify \(scheme) "))
    }

    @Test func `is stripped of what frames it, of its connection and of other descriptions`() {
        let text = check(
            "Content-Length: 0", "Connection: keep-alive, X-A", "Keep-Alive: 5", "TE: trailers", "Expect: 100-continue",
            "Max-Forwards: 0", "X-Forwarded-Port: 1", "X-Real-IP: 9.9.9.9", "X-User-ID: forged", "X-A: b")
        #expect(
            Reader().read(text) == """
                verify https 198.51.100.4
                PUT /a?b=c HTTP/1.1
                Host: api.example.org
                X-A: b
                """)
    }

    @Test func `keeps names with other signs than hyphens, which its proxy forwards too`() {
        let text = Reader().read(
            check("X_User_Id: forged", "X_Forwarded_For: 9.9.9.9", "Content_Length: 5", "X.User.Id: forged"))
        #expect(text.hasSuffix("X_User_Id: forged\nX_Forwarded_For: 9.9.9.9\nContent_Length: 5\nX.User.Id: forged"))
    }

    @Test func `with the key of a WebSocket is about an upgrade, named or not`() {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        #expect(Reader().read(check(key)).hasSuffix("\(key)\nUpgrade: websocket\nConnection: Upgrade"))
        #expect(
            Reader().read(check(key, "Upgrade: websocket", "Connection: close"))
                .hasSuffix("\(key)\nUpgrade: websocket\nConnection: Upgrade"))
    }

    @Test func `that could hide another one is refused`() {
        #expect(Reader().read(check("Content-Length: 1", "Transfer-Encoding: chunked")) == "refused 400")
        #expect(Reader().read(check("Host: other")) == "refused 400")
        #expect(Reader().read(check("X-A : b")) == "refused 400")
        #expect(Reader().read(String(check().dropLast(2))) == "incomplete")
    }

    @Test func `may be larger than the head that it describes`() {
        let cookie = "Cookie: " + String(repeating: "a", count: 32_000)
        #expect(Reader().read(check(cookie)).hasPrefix("verify https"))
        #expect(Reader().read(check(cookie, cookie)) == "refused 431")
    }

    @Test func `may be a probe`() {
        #expect(Reader().read("GET /health HTTP/1.1\r\nHost: a\r\n\r\n") == "health")
        #expect(Reader().read("POST /health HTTP/1.1\r\nHost: a\r\n\r\n").hasPrefix("the path"))
    }
}

@Suite struct `An answer for nginx` {
    private func told(_ text: String) -> String {
        String(decoding: AnswerForNginx.text(Array(text.utf8).span), as: UTF8.self)
    }

    @Test func `is 401 or 403, and says in fields what nginx drops`() {
        #expect(
            told("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n")
                == "HTTP/1.1 403 Forbidden\r\nX-Auth-Status: 404\r\nX-Auth-Problem: {\"a\": 1}\r\n"
                + "Content-Length: 9\r\n\r\n{\"a\": 1}\n")
        #expect(
            told("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\n{}\n")
                == "HTTP/1.1 401 Unauthorized\r\nX-Auth-Status: 401\r\nX-Auth-Problem: {}\r\n"
                + "Content-Length: 3\r\n\r\n{}\n")
        #expect(
            told("HTTP/1.1 308 Permanent Redirect\r\nLocation: /\r\n\r\n")
                == "HTTP/1.1 403 Forbidden\r\nX-Auth-Status: 308\r\nLocation: /\r\n\r\n")
    }

    @Test func `that allows is left as it is`() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        #expect(told(text) == text)
    }
}
