import Testing

@testable import Policy
@testable import Settings
@testable import Wire

private let inside = "10.9.2.3"
private let outside = "203.0.113.9"
private let end = House.now + .seconds(60)

private func glass(_ route: String, _ allowed: String..., until deadline: Instant = end) -> BreakGlass {
    BreakGlass(route: route, allowed: allowed.map { IPNetwork($0)! }, until: deadline)
}

@Suite struct `The table of what is open by break-glass` {
    private func end(_ table: BreakGlassTable, _ route: Int, _ client: String, at now: Instant = House.now) -> Instant?
    {
        table.end(ofRoute: route, for: IPAddress(client)!, at: now)
    }

    @Test func `admits the named networks until the deadline, and not at it`() {
        var table = BreakGlassTable(names: ["/", "/admin"])
        table.apply(.set(glass("/admin", "10.9.0.0/16")))
        #expect(end(table, 1, inside) == PolicyTests.end)
        #expect(end(table, 1, inside, at: Instant(nanoseconds: PolicyTests.end.nanoseconds - 1)) == PolicyTests.end)
        #expect(end(table, 1, inside, at: PolicyTests.end) == nil)
        #expect(end(table, 1, outside) == nil)
        #expect(end(table, 0, inside) == nil)
        #expect(table.end(ofName: "/admin", for: IPAddress(inside)!, at: House.now) == PolicyTests.end)
        table.apply(.end(route: "/admin"))
        #expect(end(table, 1, inside) == nil)
    }

    @Test(arguments: [
        ("0.0.0.0/0", true), ("10.0.0.0/15", true), ("10.0.0.0/8", true), ("10.9.0.0/16", false), ("10.9.2.3", false),
        ("::/0", true), ("::/80", true), ("2001:db8::/32", true), ("2001:db8:7::/48", false),
        ("2001:db8::1", false),
    ])
    func `is for no half of the world`(_ network: String, _ isTooWide: Bool) throws {
        #expect(BreakGlass.isTooWide(try #require(IPNetwork(network))) == isTooWide)
    }
}

@Suite struct `A route that is open by break-glass` {
    private func gatekeeper(
        _ configuration: Configuration = House.configuration(), _ open: BreakGlass...
    ) -> Gatekeeper {
        let gatekeeper = House.gatekeeper(configuration)
        for glass in open { gatekeeper.breakGlass.apply(.set(glass)) }
        return gatekeeper
    }

    private func verdict(
        _ gatekeeper: Gatekeeper, _ target: String, _ fields: [String] = [], from peer: String = inside,
        at now: Instant = House.now, passage: Policy.Passage = .ours
    ) -> (plan: Plan?, refusal: Refusal?, forwarded: [Substring]) {
        let bytes = Array(
            (["GET \(target) HTTP/1.1", "Host: h"] + fields + ["", ""]).joined(separator: "\r\n").utf8)
        var facts = RequestFacts(client: House.client)
        let client = IPAddress(peer)!
        switch gatekeeper.decide(bytes.span, peer: client, passage: passage, now: now, wall: Mint.now, facts: &facts) {
        case .forward(let plan):
            var out = ByteWriter(capacity: 8_192)
            gatekeeper.prepare(plan, facts, bytes.span, RequestTrace(), peer: client, into: &out)
            return (plan, nil, out.bytes.text.split(separator: "\r\n"))
        case .refuse(let refusal): return (nil, refusal, [])
        default: return (nil, nil, [])
        }
    }

    private let forged = Mint.token(Mint.claims(#","roles":["admin"]"#), secret: "x")

    @Test func `lets its networks in without a good token, and nobody else`() throws {
        // No proxy is trusted here, or 10.9.0.0/16 would be one.
        var configuration = House.configuration()
        configuration.trustedProxies = []
        let gate = gatekeeper(configuration, glass("/admin", "10.9.0.0/16"))
        for fields in [[], ["Authorization: Bearer \(forged)"], ["Authorization: Bearer nonsense"]] {
            let passed = verdict(gate, "/admin/users", fields)
            #expect(passed.plan?.glassEnds == end && passed.plan?.isByBreakGlass == true)
            #expect(gate.identity == nil)
            #expect(gate.brokenGlass?.deadline == end)
            #expect(passed.forwarded.contains("X-Break-Glass: true"))
            #expect(verdict(gate, "/admin/users", fields, from: outside).refusal?.status == 401)
            #expect(verdict(gate, "/private", fields).refusal?.status == 401)
            #expect(verdict(gate, "/admin", fields, at: end).refusal?.status == 401)
        }
        #expect(verdict(gate, "/admin").plan != nil && gate.brokenGlass?.reason == .missingToken)
        _ = verdict(gate, "/admin", ["Authorization: Bearer \(forged)"])
        #expect(gate.brokenGlass?.reason == .invalidSignature)
        _ = verdict(gate, "/")
        #expect(gate.brokenGlass == nil)
    }

    @Test func `hands on no token that nobody has verified, in no place`() {
        var configuration = House.configuration(routes: [
            House.route("/private", .required, cookie: "access"),
            {
                var route = House.route("/query", .required)
                route.tokenParameter = "access_token"
                return route
            }(),
        ])
        configuration.trustedProxies = []
        let gate = gatekeeper(configuration, glass("/private", "10.9.0.0/16"), glass("/query", "10.9.0.0/16"))
        let bearer = verdict(gate, "/private", ["Authorization: Bearer \(forged)", "X-User-ID: root"]).forwarded
        #expect(!bearer.joined().contains(forged) && !bearer.joined().lowercased().contains("user-id"))
        let cookie = verdict(gate, "/private", ["Cookie: a=1; access=\(forged); b=2"]).forwarded
        #expect(!cookie.joined().contains(forged) && cookie.contains { $0.hasPrefix("Cookie: a=1") })
        #expect(verdict(gate, "/query?access_token=\(forged)&a=1").forwarded.first == "GET /query?a=1 HTTP/1.1")
        // Nor in another scheme, or in none: a backend might take it for one that was verified here.
        for field in ["Basic YTpi", "JWT \(forged)", "Token \(forged)", forged, "\"Bearer \(forged)\""] {
            let forwarded = verdict(gate, "/private", ["Authorization: \(field)"]).forwarded
            #expect(!forwarded.isEmpty && !forwarded.contains { $0.hasPrefix("Authorization") })
        }
    }

    @Test func `changes nothing for a good token`() {
        var configuration = House.configuration()
        configuration.trustedProxies = []
        let gate = gatekeeper(configuration, glass("/private", "10.9.0.0/16"), glass("/admin", "10.9.0.0/16"))
        let passed = verdict(gate, "/private", ["Authorization: Bearer \(House.token())"])
        #expect(passed.plan?.isByBreakGlass == false && gate.identity != nil)
        #expect(!passed.forwarded.contains { $0.hasPrefix("X-Break-Glass") })
        #expect(passed.forwarded.contains { $0.hasPrefix("Authorization: Bearer") })
        #expect(verdict(gate, "/admin", ["Authorization: Bearer \(House.token())"]).refusal == .missingRole)
    }

    @Test func `keeps what an operator has refused, and what has two readings`() {
        var configuration = House.configuration()
        configuration.trustedProxies = []
        let gate = gatekeeper(configuration, glass("/admin", "0.0.0.0/1", "198.0.0.0/8"))
        let token = House.token(#","roles":["admin"]"#)
        let bearer = "Authorization: Bearer \(token)"
        #expect(verdict(gate, "/admin", from: "198.51.100.7").refusal == .addressBlocked)
        #expect(verdict(gate, "/admin", [bearer, bearer]).refusal == .malformedCredentials)
        gate.lockdowns.apply(.set(Lockdown(route: "/admin", allowed: [], until: end)))
        #expect(verdict(gate, "/admin").refusal == .lockedDown)
        gate.lockdowns.apply(.lift(route: "/admin"))
        #expect(verdict(gate, "/admin", [bearer]).plan != nil)
        gate.apply(.set([RevocationEntry(target: RevocationTarget(.subject, "alice")!, cutoff: .everyToken)]))
        #expect(verdict(gate, "/admin", [bearer]).refusal == .tokenRevoked)
    }

    @Test func `is open to no page of another site`() {
        var configuration = House.configuration()
        configuration.trustedProxies = []
        let gate = gatekeeper(configuration, glass("/private", "10.9.0.0/16"))
        #expect(verdict(gate, "/private", ["Origin: http://h"]).plan != nil)
        #expect(verdict(gate, "/private", ["Origin: https://app.example.org"]).plan != nil, "of the route's origins")
        for fields in [
            ["Origin: https://evil.example"], ["Origin: null"], ["Origin: http://h", "Origin: http://h"],
            ["Sec-Fetch-Site: cross-site"], ["sec-fetch-site: same-origin", "Sec-Fetch-Site: cross-site"],
            ["Sec-Fetch-Site: same-site"],
        ] { #expect(verdict(gate, "/private", fields).refusal == .missingToken) }
        for site in ["same-origin", "none"] {
            #expect(verdict(gate, "/private", ["Sec-Fetch-Site: \(site)"]).plan != nil)
        }
        let ours = ["Sec-Fetch-Site: same-site", "Origin: https://app.example.org"]
        #expect(verdict(gate, "/private", ours).plan != nil)
    }

    @Test func `is not for proxies that ask, and looks at the client behind those that are trusted`() {
        let gate = gatekeeper(House.configuration(), glass("/admin", "192.0.2.0/24"))
        #expect(verdict(gate, "/admin", from: "192.0.2.1").plan != nil)
        #expect(verdict(gate, "/admin", from: "192.0.2.1", passage: .theirs).refusal == .missingToken)
        #expect(verdict(gate, "/admin", ["X-Forwarded-For: 192.0.2.1"], from: "10.0.0.1").plan != nil)
        #expect(verdict(gate, "/admin", ["X-Forwarded-For: 192.0.2.1"], from: outside).refusal == .missingToken)
        // A proxy that does not say whose request it is would bring in everybody.
        let broad = gatekeeper(House.configuration(), glass("/admin", "10.0.0.0/16"))
        for fields in [[], ["X-Forwarded-For: unknown"], ["X-Forwarded-For: 10.0.0.1"]] {
            #expect(verdict(broad, "/admin", fields, from: "10.0.0.1").refusal == .missingToken)
        }
    }

    @Test func `stays so over a reload, by its name`() {
        let gate = gatekeeper(House.configuration(), glass("/admin", "192.0.2.0/24"))
        gate.adopt(House.rules(House.configuration(routes: [House.route("/"), House.route("/admin", .required)])))
        #expect(verdict(gate, "/admin", from: "192.0.2.1").plan?.glassEnds == end)
    }
}
