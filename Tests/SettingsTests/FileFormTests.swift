import Testing
import Wire

@testable import Settings

@Suite struct `The form of gateway.conf` {
    @Test func `is UTF-8`() {
        let bytes = Array("# caf".utf8) + [0xe9, 0x0a]
        #expect(reports(bytes) == ["gateway.conf:1:6: error: the file is not UTF-8\n    save it as UTF-8"])
        // UTF-16 with its byte order mark.
        #expect(
            reports([0xff, 0xfe, 0x61, 0x00]).first?.hasPrefix("gateway.conf:1:1: error: the file is not UTF-8") == true
        )
    }

    @Test func `may begin with a byte order mark`() {
        #expect(reports([0xef, 0xbb, 0xbf] + Array(minimal.utf8)) == [])
    }

    @Test func `has no control characters`() {
        #expect(
            reports(Array("# a\n# b\u{1}\n".utf8)) == [
                "gateway.conf:2:4: error: not YAML: control characters are not allowed"
            ])
    }

    @Test func `has at most 1 MiB`() {
        let comment = "#" + String(repeating: "x", count: (1 << 20) - minimal.utf8.count - 2) + "\n"
        #expect(reports(Array((comment + minimal).utf8)) == [])
        #expect(
            reports(Array((comment + "\n" + minimal).utf8)) == [
                "gateway.conf:1:1: error: the file is larger than 1 MiB"
            ])
    }

    @Test func `counts lines as the editor does, whatever ends them`() {
        for end in ["\n", "\r\n", "\r"] {
            let text = (minimal + "login:\n  limit: no\n").replacing("\n", with: end)
            #expect(reports(Array(text.utf8)).first?.hasPrefix("gateway.conf:4:10: error") == true)
        }
    }

    @Test func `accepts a section with nothing in it`() {
        #expect(reports(Array((minimal + "login:\n  # limit: 5\nredis:\n").utf8)) == [])
    }

    @Test func `tells no upgrades from none named`() throws {
        let text = """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /, upstream: api, auth: none}
              - {path: /a, upstream: api, auth: none, upgrades: []}
              - {path: /b, upstream: api, auth: none, upgrades: [x-chat/1.1], close_at_expiry: false, response_timeout: 5m}
            """
        let routes = try #require(load(text).configuration).routes
        #expect(routes.map(\.upgrades) == [["websocket"], [], ["x-chat/1.1"]])
        #expect(routes.map(\.closesAtExpiry) == [true, true, false])
        #expect(routes.map(\.responseTimeout) == [nil, nil, .seconds(300)])
    }

    @Test func `lets the row decide what a value is`() throws {
        let text = """
            upstreams: {api: {servers: [127.0.0.1:9000]}}
            routes:
              - {path: /, upstream: api, name: 010, claims: {verified: true, no: 12:30, tier: [1, off]}}
            tokens: {keys: [{id: on, secret: 00000000000000000000000000000001}]}
            login: {limit: "7"}
            """
        let configuration = try #require(load(text).configuration)
        #expect(configuration.routes[0].name == "010")
        #expect(
            configuration.routes[0].requiredClaims == [
                .init(name: "verified", oneOf: ["true"]), .init(name: "no", oneOf: ["12:30"]),
                .init(name: "tier", oneOf: ["1", "off"]),
            ])
        #expect(configuration.tokens.keys[0].id == "on")
        #expect(configuration.login.limit == 7)
    }

    @Test func `all mistakes are told at once, in the order of the file`() {
        let text = """
            workers: 0
            listen: [nowhere]
            routes:
              - {path: x, upstream: y}
            login: {limt: 1}
            """
        let lines = load(text, ["GATEWAY_X": "1"]).diagnostics.filter { $0.severity == .error }.map(\.line)
        #expect(lines == [nil, 1, 2, 4, 5, nil])
    }

    @Test func `a file full of mistakes is cut short, and refused`() {
        let entries = (1...250).map { "x\($0): 1\n" }.joined()
        let result = load(minimal + entries)
        #expect(result.configuration == nil)
        #expect(result.diagnostics.count == 201)
        #expect(
            result.diagnostics.last?.description
                == "gateway.conf: error: there are 50 more findings\n    mend the first ones")
    }

    @Test func `a long line is cut around its mistake`() throws {
        let many = (1...200).map { "10.0.\($0).0/24" }.joined(separator: ", ")
        let result = load(minimal + "never_block: [\(many), 10.1.2.3/8, \(many)]\n")
        let excerpt = try #require(result.diagnostics.first?.excerpt)
        #expect(excerpt.text.count <= 112)
        let start = excerpt.text.index(excerpt.text.startIndex, offsetBy: excerpt.indent)
        #expect(excerpt.text[start...].hasPrefix("10.1.2.3/8"))
        #expect(excerpt.length == 10)
    }

    private func reports(_ bytes: [UInt8]) -> [String] {
        Configuration.load(.init(path: "gateway.conf", contents: bytes, files: filesInMemory([:]))).diagnostics
            .map(\.description)
    }
}

@Suite struct `A mistyped word` {
    @Test(arguments: [
        ("limt", "limit", 1), ("timeout", "timeouts", 1), ("upstraem", "upstream", 1), ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
    ])
    func `is as far from the right one as letters must change`(_ a: String, _ b: String, _ distance: Int) {
        #expect(editDistance(a, b) == distance)
        #expect(editDistance(b, a) == distance)
    }

    @Test func `finds the closest, or nothing when all are far away`() {
        #expect(closest(to: "keepAlive", among: ["idle_timeout", "keep_alive"]) == "keep_alive")
        #expect(closest(to: "rate_limit", among: ["listen", "limits", "logs"]) == nil)
    }
}
