import Policy
import Testing
import Transport
import Wire

@testable import Ledger

/// What somebody has set by hand under one address must not decide for the others.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `A counter that cannot be used` {
    private let odd = "login_fail:198.51.100.7"

    private func isReported(_ harness: Harness) -> Bool {
        harness.events.contains { if case .counterUnusable(let key, _) = $0 { key.isPlain } else { false } }
    }

    private func guess(_ harness: Harness, _ ledger: any Ledger, _ address: String) throws -> Reservation {
        var outcome: Reservation?
        let guess = LoginFailure(id: .random(), address: IPAddress(address)!)
        ledger.reserve(guess, for: .seconds(60), now: .now()) { outcome = $0 }
        harness.wait { outcome != nil }
        return try #require(outcome)
    }

    @Test(arguments: ["nan", "inf", "-500", "1e20", "9223372036854775807", "9007199254740993", "abc"])
    func `is left to each replica, and no outage`(_ value: String) throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", odd, value)
        #expect(try guess(harness, ledger, "198.51.100.7").answer == .granted)
        for _ in 1...4 { #expect(try harness.fail(ledger, "198.51.100.7").decider == .local) }
        #expect(try harness.fail(ledger, "198.51.100.7").isNewlyBlocked)
        #expect(isReported(harness))
        #expect(try harness.fail(ledger, "198.51.100.8").decider == .authority)
        #expect(ledger.state == .connected)
        #expect(!harness.events.contains { if case .degraded = $0 { true } else { false } })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "ip_block:198.51.100.7")) == "1" })
        harness.stop(ledger)
    }

    @Test func `is a history of blocks, too: the next block is as long as one can be`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        var rule = LoginRule(limit: 1, window: .seconds(86_400), block: .seconds(300), exempt: [])
        rule.escalation = LoginRule.Escalation(factor: 2, longest: .seconds(3_600))
        let ledger = try fixture.openConnected(rule)
        _ = try fixture.redis("SET", "login_fail:blocks:{ip_block:198.51.100.7}", "inf")
        #expect(try harness.fail(ledger, "198.51.100.7").decider == .authority)
        #expect(ledger.state == .connected)
        #expect(try fixture.server.integer("TTL", "ip_block:198.51.100.7") > 3_500)
        harness.stop(ledger)
    }

    @Test func `ends no outage late: what was counted meanwhile of its address is let go`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", odd, "abc")
        _ = try fixture.redis("CONFIG", "SET", "maxmemory", "1")
        #expect(try harness.fail(ledger, "198.51.100.7").decider == .local)
        #expect(ledger.state.word == "degraded")
        _ = try fixture.redis("CONFIG", "SET", "maxmemory", "0")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(isReported(harness))
        #expect(try harness.fail(ledger, "198.51.100.8").decider == .authority)
        harness.stop(ledger)
    }

    @Test func `holds up none of those that wait with it to be carried over`() throws {
        let fixture = try RedisFixture(isStarted: false, deadline: .milliseconds(250))
        let harness = fixture.harness
        let ledger = try fixture.open(startupWait: .milliseconds(50))
        #expect(harness.wait { ledger.state.word == "degraded" })
        // Several slices of them, some of which hold nothing else.
        for _ in 1...400 { _ = try harness.fail(ledger, "198.51.100.7") }
        for _ in 1...3 { _ = try harness.fail(ledger, "198.51.100.8") }
        try fixture.server.start()
        _ = try fixture.redis("SET", odd, "abc")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(try fixture.redis("GET", "login_fail:198.51.100.8") == "3")
        #expect(try fixture.redis("GET", odd) == "abc")
        harness.stop(ledger)
    }
}
