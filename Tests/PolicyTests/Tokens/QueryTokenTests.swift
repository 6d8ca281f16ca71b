import Testing

@testable import Policy
@testable import Settings
@testable import Wire

/// What is found in a query, as the token and what is left; nil: nothing, `?`: it could be read in two ways.
private func found(_ query: String, _ name: String = "access_token") -> String? {
    let bytes = Array(query.utf8)
    switch QueryToken.find(Array(name.utf8), in: bytes.span, bytes.indices) {
    case .absent: return nil
    case .ambiguous: return "?"
    case .at(let token, let cut):
        var rest = bytes
        rest.removeSubrange(cut)
        return String(decoding: bytes[token], as: UTF8.self) + " " + String(decoding: rest, as: UTF8.self)
    }
}

/// The names of parameters as the most generous of programs reads them.
private func generousNames(_ query: String) -> [String] {
    query.dropFirst().split(whereSeparator: { "&;".contains($0) }).map { piece in
        var name: [UInt8] = []
        var bytes = Array(piece.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%"),
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16),
                bytes.count >= 2, bytes.first != UInt8(ascii: "+"), bytes.first != UInt8(ascii: "-")
            {
                name.append(value)
                bytes = bytes.dropFirst(2)
            } else if byte == UInt8(ascii: "=") {
                break
            } else {
                name.append(byte == UInt8(ascii: "+") ? 32 : byte)
            }
        }
        return String(decoding: name, as: UTF8.self).lowercased().split(separator: " ").joined(separator: " ")
    }
}

@Suite struct `A token in the query` {
    @Test(arguments: [
        ("?access_token=a.b.c", "a.b.c "), ("?access_token=a&x=1", "a ?x=1"), ("?x=1&access_token=a", "a ?x=1"),
        ("?x=1&access_token=a&y=2", "a ?x=1&y=2"), ("?&access_token=a", "a ?"), ("?access_token=a&", "a ?"),
        ("?access_token=a&&", "a ?&"), ("?x=a;b&access_token=a&y=c;d", "a ?x=a;b&y=c;d"),
        ("?access_token=a=b", "a=b "), ("?access_token=%61", "%61 "),
    ])
    func `is found, and nothing else is left out with it`(_ query: String, _ expected: String) {
        #expect(found(query) == expected)
    }

    @Test(arguments: [
        "", "?", "?x=1", "?access_token2=a", "?xaccess_token=a", "?access=a&token=b", "?x=access_token=a",
        "?access-token=a", "?access_toke=a", "?access%255ftoken=a", "?access_token+x=a", "?x=%26access_token%3da",
        "?x[access_token]=a", "?%",
    ])
    func `is none when the parameter is another`(_ query: String) {
        #expect(found(query) == nil)
    }

    @Test(arguments: [
        // Twice.
        "?access_token=a&access_token=b", "?access_token=a&access_token=", "?access_token=&access_token=a",
        "?access_token=a&x=1&access_token=a", "?access_token=a&access%5ftoken=b", "?access_token=a&ACCESS_TOKEN=b",
        // Without a token.
        "?access_token", "?access_token=", "?access_token&x=1", "?access_token=&x=1",
        // Where some end a parameter at a semicolon.
        "?access_token=a;x=1", "?x=1;access_token=a", ";access_token=a;", "?access_token=a;", "?;access_token=a",
        // In other spellings.
        "?access%5ftoken=a", "?access%5Ftoken=a", "?%61ccess_token=a", "?access_token%3da", "?access_token%00=a",
        "?access_token%00x=a", "?Access_Token=a", "?access_token[]=a", "?access_token%5B0%5D=a", "?+access_token=a",
        "?%20access_token=a", "?access_token+=a", "?access_token%20=a", "??access_token=a", "?access.token=a",
        "?access+token=a", "?access%20token=a",
    ])
    func `is refused where two programs may read two things`(_ query: String) {
        #expect(found(query) == "?")
    }

    @Test func `has the name that the route gives`() {
        #expect(found("?t=a&token=b", "t") == "a ?token=b")
        #expect(found("?jwt.v1=a", "jwt.v1") == "a ")
        #expect(found("?jwt_v1=a", "jwt.v1") == "?")
    }

    /// Whatever is sent: who reads generously finds the parameter neither in what goes on nor where we saw none.
    @Test func `leaves none behind`() {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "access_token", "access", "_", "%5f", "%5F", "token", "TOKEN", "=", "=a", "&", "&", ";", "+", "%20", "x",
            "%3d", "%26",
            "%", "?", "[", "]",
        ]
        for _ in 0..<20_000 {
            let length = Int.random(in: 1...9, using: &generator)
            let query = "?" + (0..<length).map { _ in pieces.randomElement(using: &generator)! }.joined()
            guard let result = found(query) else {
                #expect(!generousNames(query).contains("access_token"), "\(query)")
                continue
            }
            guard result != "?" else { continue }
            let rest = result.drop { $0 != " " }.dropFirst()
            #expect(!generousNames(String(rest)).contains("access_token"), "\(query)")
            #expect(generousNames(query).count { $0 == "access_token" } == 1, "\(query)")
        }
    }
}

private let token = House.token()

/// A gate before one route that takes the token everywhere.
private func gate(_ authentication: Configuration.Authentication = .required) -> Gate {
    var route = House.route("/", authentication, cookie: "access", cors: .init(allowedOrigins: ["https://a.test"]))
    route.tokenParameter = "access_token"
    route.tokenSubprotocol = "bearer"
    return Gate(House.configuration(routes: [route]))
}

private func head(_ target: String, _ fields: [String] = [], method: String = "GET") -> String {
    (["\(method) \(target) HTTP/1.1", "Host: a"] + fields + ["", ""]).joined(separator: "\r\n")
}

@Suite struct `A request with its token in the query` {
    @Test func `is forwarded without it`() {
        let text = gate().forwarded(head("/p?a=1&access_token=\(token)&b=2"))
        #expect(text?.hasPrefix("GET /p?a=1&b=2 HTTP/1.1\r\n") == true)
        #expect(text?.contains("X-User-ID: alice\r\n") == true)
        #expect(text?.contains(token) == false)
        #expect(gate().forwarded(head("/p?access_token=\(token)", method: "HEAD"))?.hasPrefix("HEAD /p HTTP") == true)
        #expect(gate().forwarded(head("http://a?access_token=\(token)"))?.hasPrefix("GET / HTTP") == true)
    }

    @Test func `is known by the plan, so that no cache shares the answer`() {
        #expect(gate().decide(head("/?access_token=\(token)")).plan?.tokenIsInQuery == true)
        #expect(gate().decide(head("/", ["Authorization: Bearer \(token)"])).plan?.tokenIsInQuery == false)
    }

    @Test(arguments: ["POST", "PUT", "DELETE", "OPTIONS"]) func `must be a GET or HEAD`(_ method: String) {
        #expect(
            gate(.optional).decide(head("/?access_token=\(token)", method: method)).refusal == .malformedCredentials)
        #expect(gate(.optional).decide(head("/?a=1", method: method)).plan != nil)
    }

    /// RFC 6750 §2: one method of the three.
    @Test func `has no other`() {
        for field in ["Authorization: Bearer \(token)", "Authorization: Basic YTpi", "Authorization: Bearer"] {
            #expect(gate().decide(head("/?access_token=\(token)", [field])).refusal == .malformedCredentials)
        }
        // The browser sends it without being asked.
        let cookie = gate()
        #expect(cookie.decide(head("/?access_token=\(token)", ["Cookie: access=x"])).plan != nil)
        #expect(cookie.identity != nil)
    }

    @Test func `is refused for a bad one as for any`() {
        #expect(gate(.optional).decide(head("/?access_token=a.b.c")).refusal == .invalidToken(.invalidToken))
        #expect(gate(.optional).decide(head("/?access_token=\(token)%0a")).refusal == .malformedCredentials)
        #expect(gate(.optional).decide(head("/?access_token=")).refusal == .malformedCredentials)
        #expect(gate().decide(head("/?a=1")).refusal == .missingToken)
        #expect(gate().decide(head("/?access_token=\(token)#a")).refusal == .malformed)
    }

    /// A preflight asks with the query of the request that will follow.
    @Test func `has a preflight that is forwarded without it`() {
        let asks = ["Origin: https://a.test", "Access-Control-Request-Method: GET"]
        let text = gate().forwarded(head("/p?access_token=anything&a=1", asks, method: "OPTIONS"))
        #expect(text?.hasPrefix("OPTIONS /p?a=1 HTTP/1.1\r\n") == true)
        let twice = gate().decide(head("/p?access_token=a&access_token=b", asks, method: "OPTIONS"))
        #expect(twice.refusal == .malformedCredentials)
    }

    @Test func `is an ordinary one where the route does not look there`() {
        let text = Gate().forwarded(head("/optional?access_token=\(token)"))
        #expect(text?.hasPrefix("GET /optional?access_token=\(token) HTTP") == true)
    }
}

private let handshake = [
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]

/// What becomes of a handshake with these lists of subprotocols: those that the upstream is offered, or the refusal.
private func offered(_ lists: String..., more: [String] = []) -> String? {
    let fields = lists.map { "Sec-WebSocket-Protocol: " + $0.replacing("TOKEN", with: token) }
    let text = head("/", handshake + more + fields)
    if let refusal = gate().decide(text).refusal { return "\(refusal.title)" }
    let forwarded = gate().forwarded(text)!
    #expect(!forwarded.contains(token))
    let found = forwarded.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("sec-websocket-protocol:") }
    return found.isEmpty ? nil : found.map { String($0.dropFirst(24)) }.joined(separator: " | ")
}

@Suite struct `A WebSocket with its token among the subprotocols` {
    private let malformed = "The credentials are malformed"

    @Test func `is forwarded with the others, in their order`() {
        #expect(offered("bearer, TOKEN") == nil)
        #expect(offered("bearer,TOKEN,chat") == "chat")
        #expect(offered("v2.chat,\tbearer ,  TOKEN , v1.chat") == "v2.chat, v1.chat")
        #expect(offered("chat, bearer, TOKEN") == "chat")
    }

    @Test func `is refused where the list can be read in two ways`() {
        for list in [
            "bearer", "bearer, ", "bearer,,TOKEN", "TOKEN, bearer", "bearer, bearer, TOKEN",
            "bearer, TOKEN, bearer, TOKEN",
            "bearer, TOKEN, bearer", "Bearer, TOKEN", "bearer, TOKEN, BEARER", "bearer TOKEN", "bearer, TOKEN, TOKEN",
            "bearer, chat, TOKEN", "TOKEN, bearer, TOKEN", "bearer, TOKEN;x", "bearer, \"TOKEN\"", "bearer, TOKEN,",
            "bearer, TOKEN, a b",
        ] {
            #expect(offered(list) == malformed || offered(list) == "A token is required", "\(list)")
        }
        #expect(offered("bearer, x") == "The token is invalid")
    }

    @Test func `is refused where the list stands in two fields`() {
        #expect(offered("bearer", "TOKEN") == malformed)
        #expect(offered("bearer, TOKEN", "chat") == malformed)
        #expect(offered("chat", "bearer, TOKEN") == malformed)
        #expect(offered("bearer, TOKEN", "bearer, TOKEN") == malformed)
        #expect(offered("bearer, TOKEN", "") == malformed)
    }

    @Test func `has no other token`() {
        #expect(offered("bearer, TOKEN", more: ["Authorization: Bearer x"]) == malformed)
        let both = head("/?access_token=\(token)", handshake + ["Sec-WebSocket-Protocol: bearer, \(token)"])
        #expect(gate().decide(both).refusal == .malformedCredentials)
        // The page was not asked for this one, and the other one shows that it knows a token: no Origin is needed.
        #expect(offered("bearer, TOKEN", more: ["Cookie: access=x", "Origin: https://b.test"]) == nil)
    }

    /// What Connection names is left out, but not what was read of it.
    @Test func `is not kept by Connection, nor under another spelling`() {
        #expect(offered("bearer, TOKEN, chat", more: ["Connection: Sec-WebSocket-Protocol"]) == "chat")
        #expect(offered("bearer, TOKEN", more: ["Sec_WebSocket_Protocol: bearer, \(token)"]) == nil)
    }

    @Test func `is asked for, or the list is refused`() {
        let list = ["Sec-WebSocket-Protocol: bearer, \(token)"]
        #expect(gate(.optional).decide(head("/", list)).refusal == .malformedCredentials)
        let post = head("/", handshake + list, method: "POST")
        #expect(gate(.optional).decide(post).refusal == .malformedCredentials)
        let other = head("/", ["Connection: Upgrade", "Upgrade: websocket, h2c"] + list)
        #expect(gate(.optional).decide(other).refusal == .malformedCredentials)
        let old = head("/", handshake + list).replacing("HTTP/1.1", with: "HTTP/1.0")
        #expect(gate(.optional).decide(old).refusal == .malformedCredentials)
    }

    @Test func `offers what it likes where there is no token`() {
        let text = gate(.optional).forwarded(head("/", handshake + ["Sec-WebSocket-Protocol: chat,, Token"]))
        #expect(text?.contains("Sec-WebSocket-Protocol: chat,, Token\r\n") == true)
    }

    /// What the client gets of a 101 with these fields; nil: 502.
    private func answer(_ list: String, _ fields: String...) -> String? {
        let gate = gate()
        _ = gate.decide(head("/", handshake + ["Sec-WebSocket-Protocol: " + list]))
        guard let upgrade = gate.protocolChange else { return nil }
        var reader = ResponseReader(House.rules(House.configuration()))
        let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: [], upgrade: upgrade)
        let agreed = [
            "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ]
        let bytes = Array((agreed + fields + ["", ""]).joined(separator: "\r\n").utf8)
        guard case .switching = reader.parse(bytes.span, to: context) else { return nil }
        var out = ByteWriter(capacity: 4_096)
        reader.writeSwitch(bytes.span, to: context, upgrade, requestID: Array("1".utf8).span, into: &out)
        let found = out.bytes.text.split(separator: "\r\n").filter {
            $0.lowercased().hasPrefix("sec-websocket-protocol:")
        }
        return found.map { $0.drop { $0 != " " }.dropFirst() }.joined(separator: " | ")
    }

    /// RFC 6455 §4.1: a client takes nothing that it has not offered, and browsers take nothing less either (Fetch).
    @Test func `is told what the server chose, or the name that announced the token`() {
        #expect(answer("bearer, \(token), chat, v2", "Sec-WebSocket-Protocol: v2") == "v2")
        #expect(
            answer("bearer, \(token), chat", "sec-websocket-protocol: chat", "Connection: Sec-WebSocket-Protocol")
                == "chat")
        #expect(answer("bearer, \(token), chat") == "bearer")
        #expect(answer("bearer, \(token)") == "bearer")
    }

    @Test func `is refused what it was not heard to offer`() {
        for choice in ["bearer", token, "other", "CHAT", "chat, v2", ""] {
            #expect(answer("bearer, \(token), chat, v2", "Sec-WebSocket-Protocol: \(choice)") == nil, "\(choice)")
        }
        #expect(answer("bearer, \(token), chat", "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat") == nil)
        #expect(answer("bearer, \(token)", "Sec-WebSocket-Protocol: ") == nil)
    }
}

@Suite struct `The answer to a request with its token in the query` {
    /// RFC 6750 §2.3: SHOULD, since nothing in the request tells a cache that there was a token.
    @Test(arguments: [true, false]) func `is for its client only`(_ isInQuery: Bool) {
        var reader = ResponseReader(House.rules(House.configuration()))
        let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: [], tokenIsInQuery: isInQuery)
        let bytes = Array("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n".utf8)
        guard case .final(let response) = reader.parse(bytes.span, to: context) else {
            Issue.record("no answer")
            return
        }
        var out = ByteWriter(capacity: 4_096)
        reader.writeHead(
            response, bytes.span, to: context, keepAlive: true, date: Span(), requestID: Span(), into: &out)
        #expect(out.bytes.text.contains("Cache-Control: private\r\n") == isInQuery)
        #expect(out.bytes.text.contains("Cache-Control: max-age=60\r\n"))
    }
}
