import Testing
import Wire

@testable import Policy
@testable import Settings

private let inside = IPAddress("10.1.2.3")!
private let outside = IPAddress("203.0.113.9")!

private func closed(_ route: String, allowed: String..., until deadline: Instant = House.now + .seconds(60)) -> Lockdown
{
    Lockdown(route: route, allowed: allowed.map { IPNetwork($0)! }, until: deadline)
}

@Suite struct `The table of lockdowns` {
    @Test func `refuses nobody while it is empty`() {
        let table = LockdownTable(names: ["/", "/admin"])
        #expect(table.isEmpty)
        #expect(table.end(ofRoute: 1, for: outside, at: House.now) == nil)
        #expect(!table.refuses(outside, onRoute: "/admin", at: House.now))
    }

    @Test func `refuses all but the allowed until the deadline, and not at it`() {
        var table = LockdownTable(names: ["/", "/admin"])
        let end = House.now + .seconds(60)
        table.apply(.set(closed("/admin", allowed: "10.0.0.0/8", until: end)))
        #expect(table.end(ofRoute: 1, for: outside, at: House.now) == end)
        #expect(table.end(ofRoute: 1, for: outside, at: Instant(nanoseconds: end.nanoseconds - 1)) == end)
        #expect(table.end(ofRoute: 1, for: outside, at: end) == nil)
        #expect(table.end(ofRoute: 1, for: inside, at: House.now) == nil)
        #expect(table.end(ofRoute: 0, for: outside, at: House.now) == nil)
        #expect(table.refuses(outside, onRoute: "/admin", at: House.now))
        #expect(!table.refuses(inside, onRoute: "/admin", at: House.now))
        #expect(!table.refuses(outside, onRoute: "/admin", at: end))
    }

    @Test func `has one lockdown for each name, the last one, until it is lifted`() {
        var table = LockdownTable(names: ["/admin", "/", "/admin"])
        table.apply(.set(closed("/admin", allowed: "203.0.113.0/24")))
        table.apply(.set(closed("/admin", until: .never)))
        #expect(table.end(ofRoute: 0, for: outside, at: House.now) == .never)
        #expect(table.end(ofRoute: 2, for: outside, at: House.now) == .never)
        table.apply(.lift(route: "/"))
        #expect(table.end(ofRoute: 0, for: outside, at: House.now) == .never)
        table.apply(.lift(route: "/admin"))
        #expect(table.isEmpty)
    }

    @Test func `keeps a lockdown by its name when the routes are others`() {
        var table = LockdownTable(names: ["/admin"])
        table.apply(.set(closed("/admin")))
        table.adopt(names: ["/"])
        #expect(table.end(ofRoute: 0, for: outside, at: House.now) == nil)
        #expect(table.end(ofRoute: 1, for: outside, at: House.now) == nil, "a route that is not there")
        #expect(table.refuses(outside, onRoute: "/admin", at: House.now))
        table.adopt(names: ["/", "/admin"])
        #expect(table.end(ofRoute: 1, for: outside, at: House.now) != nil)
    }

    @Test(arguments: ["", " ", "/a b", "/\u{e9}", "/a\n", "/a\u{0}", String(repeating: "a", count: 513)])
    func `knows no route of such a name`(_ name: String) {
        #expect(!Lockdown.isSound(name))
        #expect(SharedName(storeKey: "lockdown:" + name) == nil)
    }

    @Test func `has a name in the store that says what it is`() {
        let name = SharedName(storeKey: "lockdown:/admin")
        #expect(name == SharedName(.lockdown, "/admin"))
        #expect(name?.storeKey == "lockdown:/admin")
        #expect(SharedName(storeKey: "keyring:next") == SharedName(.key, "next"))
        #expect(SharedName(storeKey: "keyring:/admin") == nil)
        #expect(SharedName(storeKey: "ip_block:192.0.2.1") == nil)
    }
}

@Suite struct `A route that is closed` {
    private func decide(
        _ gatekeeper: Gatekeeper, _ target: String, _ fields: String = "", method: String = "GET",
        from peer: String = "203.0.113.9", at now: Instant = House.now
    ) -> Refusal? {
        let text = "\(method) \(target) HTTP/1.1\r\nHost: h\r\n\(fields)\r\n"
        var facts = RequestFacts(client: House.client)
        let verdict = gatekeeper.decide(
            Array(text.utf8).span, peer: IPAddress(peer)!, now: now, wall: Mint.now, facts: &facts)
        guard case .refuse(let refusal) = verdict else { return nil }
        return refusal
    }

    private func gatekeeper(_ lockdowns: Lockdown...) -> Gatekeeper {
        let gatekeeper = House.gatekeeper()
        for lockdown in lockdowns { gatekeeper.lockdowns.apply(.set(lockdown)) }
        return gatekeeper
    }

    @Test func `is refused behind the block and before the token`() {
        let gatekeeper = gatekeeper(closed("/admin"))
        #expect(decide(gatekeeper, "/admin/users") == .lockedDown)
        #expect(decide(gatekeeper, "/admin/users", "Authorization: Bearer nonsense\r\n") == .lockedDown)
        #expect(decide(gatekeeper, "/ADMIN") == .lockedDown, "as it is routed")
        #expect(decide(gatekeeper, "/admin", from: "198.51.100.7") == .addressBlocked)
        #expect(decide(gatekeeper, "/private") == .missingToken)
        #expect(decide(gatekeeper, "/") == nil)
        #expect(decide(gatekeeper, "/health") == nil)
        #expect(decide(gatekeeper, "/admin", at: House.now + .seconds(60)) == .missingToken)
    }

    @Test func `asks those who are let through for their token`() {
        let gatekeeper = gatekeeper(closed("/admin", allowed: "203.0.113.0/24"))
        #expect(decide(gatekeeper, "/admin") == .missingToken)
        #expect(decide(gatekeeper, "/admin", "Authorization: Bearer \(House.token())\r\n") == .missingRole)
        #expect(decide(gatekeeper, "/admin", from: "192.0.2.1") == .lockedDown)
    }

    @Test func `looks at the client behind trusted proxies, and believes nobody else`() {
        let gatekeeper = gatekeeper(closed("/", allowed: "192.0.2.1"))
        let forwarded = "X-Forwarded-For: 192.0.2.1\r\n"
        #expect(decide(gatekeeper, "/", forwarded, from: "10.0.0.1") == nil)
        #expect(decide(gatekeeper, "/", forwarded) == .lockedDown)
        #expect(decide(gatekeeper, "/", from: "10.0.0.1") == .lockedDown, "a trusted proxy is a client like others")
    }

    @Test func `is closed to preflights too, as the request that would follow`() {
        let gatekeeper = gatekeeper(closed("/private"))
        let fields = "Origin: https://app.example.org\r\nAccess-Control-Request-Method: GET\r\n"
        #expect(decide(gatekeeper, "/private", fields, method: "OPTIONS") == .lockedDown)
    }

    @Test func `stays closed over a reload`() {
        let gatekeeper = gatekeeper(closed("/admin"))
        gatekeeper.adopt(House.rules(House.configuration(routes: [House.route("/"), House.route("/admin")])))
        #expect(decide(gatekeeper, "/admin") == .lockedDown)
        #expect(decide(gatekeeper, "/") == nil)
    }
}
