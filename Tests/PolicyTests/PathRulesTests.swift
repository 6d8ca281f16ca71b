import Testing

@testable import Policy
@testable import Settings
@testable import Wire

/// Reads a path as careless programs do, with none of the code under test.
private func carelessReadings(of path: String) -> [String] {
    func decoded(_ text: String) -> String {
        text.replacing("%2F", with: "/").replacing("%5C", with: "/").replacing("\\", with: "/")
    }
    func trimmed(_ text: String) -> String {
        text.split(separator: "/", omittingEmptySubsequences: false).map { segment in
            let plain = segment.replacing("%3B", with: ";")
            return String(plain.prefix { $0 != ";" })
        }.joined(separator: "/")
    }
    func merged(_ text: String) -> String {
        var text = text
        while text.contains("//") { text = text.replacing("//", with: "/") }
        return text
    }
    func resolved(_ text: String) -> String {
        var kept: [Substring] = []
        let segments = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for (index, segment) in segments.enumerated() {
            if segment == ".." { _ = kept.popLast() } else if segment != "." { kept.append(segment) }
            if index == segments.count - 1, segment == "." || segment == ".." { kept.append("") }
        }
        return "/" + kept.joined(separator: "/")
    }
    let steps = [decoded, trimmed, merged, resolved]
    var readings: Set = [path]
    for first in steps {
        for second in steps {
            for third in steps { readings.insert(third(second(first(path)))) }
        }
    }
    readings.insert(resolved(merged(trimmed(decoded(path)))))
    return Array(readings)
}

@Suite struct `Rules of a route for paths` {
    let gate = Gate()

    private func forwarded(_ path: String, _ method: String = "GET") -> String? {
        gate.forwarded("\(method) \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n").map {
            String($0.split(separator: " ")[1])
        }
    }

    @Test(arguments: [
        ("/objects/a%2fb", "/objects/a%2Fb"), ("/objects/a//b;v=1/../c", "/objects/a//b;v=1/../c"),
        ("/web/a%2fb", "/web/a/b"), ("/web//a/./b;x/../c", "/web/a/c"), ("/web/x/../a", "/web/a"),
        ("/private/../web/a", "/web/a"), ("/objects/../objects/a", "/objects/../objects/a"),
        ("/web/a?b=//../%2f;", "/web/a?b=//../%2f;"),
    ])
    func `are those of the route that the plainest reading finds`(path: String, expected: String) {
        #expect(forwarded(path) == expected)
    }

    @Test(arguments: [
        // Another route in some reading.
        "/objects/../private", "/objects%2f..%2fprivate", "/objects/..;/private", "/objects%2Fa", "/objects;x/a",
        "/objects/a%2f..%2f..%2fgold", "/x/../objects/a", "/web/../objects/a", "/objects/x%2f..%2fprivate/a",
        "/objects/x/../private/a", "//objects/a", "/objects//private/a", "/objects/private;/a",
        // The rules are those of another route.
        "/a%2fb", "/private/a//b", "/web/../private/a//b", "/web/../a;b",
        // Above the root.
        "/web/../..", "/web/../../web", "/objects/../../objects",
    ])
    func `refuse what some reading of it takes elsewhere`(path: String) {
        let refusal = gate.decide("GET \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n").refusal
        // What is normalised into a guarded route is refused there.
        #expect(refusal == .ambiguousPath || refusal == .missingToken)
        #expect(forwarded(path) == nil)
    }

    @Test(arguments: [
        "/web/../auth/login", "/web/..//auth//login", "/web%2f..%2fauth%2flogin", "/web/..;/auth/login;jsessionid=1",
        "/web\\..\\AUTH\\login", "/web/../auth/login/",
    ])
    func `count a login that was brought into its plain form, or refuse it`(path: String) {
        let verdict = gate.decide("POST \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n")
        if let plan = verdict.plan { #expect(plan.isLogin) } else { #expect(verdict.refusal == .ambiguousPath) }
    }

    @Test func `let no reading of a kept path be a login that is not counted`() {
        var configuration = House.configuration(routes: [House.route("/", paths: House.rules(.keep))])
        configuration.login.endpoints = [.init(method: "POST", path: "/auth/login")]
        let gate = Gate(configuration)
        for path in [
            "/auth%2flogin", "/auth//login", "/auth/login;x", "/auth/./login", "/x/../auth/login", "/auth\\login",
        ] {
            let verdict = gate.decide("POST \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n")
            #expect(verdict.refusal == .ambiguousPath, "\(path)")
            #expect(gate.decide("GET \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n").plan != nil, "\(path)")
        }
    }

    /// To a backend that compares as Unicode does, `ı`, `İ`, `ſ` and the Kelvin sign are `i`, `i`, `s` and `k`.
    @Test func `let no letter that is another one in another case lead elsewhere`() {
        var configuration = House.configuration(
            routes: [
                House.route("/", paths: House.rules(.keep)), House.route("/admin", .required),
                House.route("/kap%C4%B1"),
                House.route("/kap%C4%B1/admin", .required), House.route("/only-get", methods: ["GET"]),
            ])
        configuration.login.endpoints = ["/auth/signin", "/g%C4%B1r"].map { .init(method: "POST", path: $0) }
        let gate = Gate(configuration)
        func verdict(_ line: String) -> String {
            let decision = gate.decide("\(line) HTTP/1.1\r\nHost: example.org\r\n\r\n")
            guard let plan = decision.plan else { return "\(decision.refusal?.status ?? 0)" }
            return plan.isLogin ? "login" : "passes"
        }
        for path in [
            "/adm%C4%B1n/x", "/adm%C4%B0n", "/ADM%c4%b0N", "/x//../adm%C4%B1n", "/kap%C4%B1/adm%C4%B1n",
            "/kapi/adm%C4%B1n",
        ] {
            #expect(verdict("GET \(path)") == "400", "\(path)")
        }
        for path in ["/auth/%C5%BFignin", "/auth/sign%C4%B1n/", "/auth/%C5%BF%C4%B1gn%C4%B1n", "/auth//sign%C4%B1n"] {
            #expect(verdict("POST \(path)") == "400", "\(path)")
            #expect(verdict("GET \(path)") == "passes", "\(path)")
        }
        for path in ["/%C4%B1", "/a/%E2%84%AA//x", "/administrat%C4%B1on", "/kap%C4%B1", "/kapi/%C5%BF", "/caf%C3%A9"] {
            #expect(verdict("GET \(path)") == "passes", "\(path)")
        }
        #expect(verdict("POST /g%C4%B1r") == "login")
        #expect(verdict("POST /gir") == "login")
        #expect(verdict("GET /admin") == "401")
        #expect(verdict("POST /only-get/%C4%B1") == "405")
    }

    @Test func `wait for the Host before a route is looked for`() {
        let gate = Gate(
            House.configuration(routes: [House.route("/", host: "only.example.org", paths: House.rules(.keep))]))
        let head = "GET /a//b HTTP/1.1\r\nHost: only.example.org\r\n\r\n"
        for count in 0..<head.utf8.count {
            let beginning = String(decoding: Array(head.utf8)[..<count], as: UTF8.self)
            guard case .incomplete = gate.decide(beginning).verdict else {
                Issue.record("decided after \(count) bytes")
                return
            }
        }
        #expect(gate.decide(head).plan != nil)
    }

    /// Whatever is forwarded: sent again it stays as it is, finds the same route and counts the same; and so does every
    /// careless reading of it.
    @Test func `hold for four thousand random paths`() {
        let pieces = [
            "/", "/", "/", "a", "objects", "web", "private", "auth", "login", ".", "..", "/..", "/../", "%2F", "%2f",
            "%5C",
            "\\", ";", "%3b", "%2e", "x=1", "%61", "only", "gold", "é", "%C3%A9", "//",
        ]
        var random = IDGenerator(seed: (1, 2, 3, 4))
        let table = Table(House.routes)
        var count = 0
        for number in 0..<4_000 {
            var path = ["/objects/", "/web/", "/", "/objects/a%2F"][number & 3]
            for _ in 0..<Int(1 + random.next() % 7) { path += pieces[Int(random.next() % UInt64(pieces.count))] }
            let method = number & 16 == 0 ? "GET" : "POST"
            let request = "\(method) \(path) HTTP/1.1\r\nHost: example.org\r\n\r\n"
            let decision = gate.decide(request)
            guard let plan = decision.plan, let sent = forwarded(path, method) else { continue }
            count += 1
            let again = gate.decide("\(method) \(sent) HTTP/1.1\r\nHost: example.org\r\n\r\n")
            #expect(again.facts.route == decision.facts.route, "\(path) as \(sent)")
            #expect(again.plan?.isLogin == plan.isLogin, "\(path) as \(sent)")
            #expect(forwarded(sent, method) == sent, "\(path)")
            for reading in carelessReadings(of: sent) {
                let match = table.match("example.org", reading, method)
                #expect(match == .route(decision.facts.route!), "\(path) as \(sent), read as \(reading)")
                let isLogin = method == "POST" && ["/auth/login", "/auth/login/"].contains(reading)
                #expect(isLogin == plan.isLogin, "\(path) as \(sent), read as \(reading)")
            }
        }
        #expect(count > 300, "\(count)")
    }
}
