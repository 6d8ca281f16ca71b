import Policy
import Testing
import Transport
import Wire

@testable import Ledger

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Rules in a real Redis` {
    private let address = IPAddress("198.51.100.7")!

    private func failure(_ rule: LoginRule) -> LoginFailure {
        LoginFailure(id: .random(), address: address, key: rule.key(of: address, nil))
    }

    private func fail(_ rule: LoginRule, _ ledger: RedisLedger, _ harness: Harness) throws -> FailureOutcome {
        var outcome: FailureOutcome?
        ledger.recordFailure(failure(rule), now: .now()) { outcome = $0 }
        harness.wait { outcome != nil }
        return try #require(outcome)
    }

    private func growing(_ name: String = "login", limit: Int = 2, block: Interval = .seconds(100)) -> LoginRule {
        var rule = LoginRule(name, limit: limit, window: .seconds(600), block: block, exempt: [])
        rule.escalation = LoginRule.Escalation(factor: 3, longest: .seconds(1_000))
        return rule
    }

    @Test func `count under names of their own, and an unblock forgets them all`() throws {
        let fixture = try RedisFixture()
        let mfa = LoginRule("mfa", limit: 2, window: .seconds(60), block: .seconds(30), exempt: [])
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules([fiveFailures, mfa]))
        #expect(try fail(fiveFailures, ledger, fixture.harness).count == 1)
        #expect(try fail(mfa, ledger, fixture.harness).count == 1)
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "1")
        #expect(try fixture.redis("GET", "login_fail:mfa@198.51.100.7") == "1")
        let second = try fail(mfa, ledger, fixture.harness)
        #expect(second.isNewlyBlocked && second.block?.reason == "failed_logins:mfa")
        #expect(try (1...30).contains(fixture.server.integer("TTL", "ip_block:198.51.100.7")))
        _ = try fixture.harness.unblock(ledger, .network(IPNetwork(address)))
        #expect(try fixture.redis("--scan", "--pattern", "login_fail:*") == "")
        #expect(try fixture.redis("--scan", "--pattern", "ip_block:*") == "")
        fixture.harness.stop(ledger)
    }

    @Test func `make blocks longer for all replicas, until an unblock`() throws {
        let fixture = try RedisFixture()
        let rule = growing()
        let history = "login_fail:blocks:{ip_block:198.51.100.7}"
        func left() throws -> Int { try fixture.server.integer("PTTL", "ip_block:198.51.100.7") }
        // One replica after the other, none of which knows what the last one did; and each block ends while none is there.
        for (blocks, length) in [(1, 100_000), (2, 300_000), (3, 900_000), (4, 1_000_000)] {
            let place = TemporaryDirectory()
            let replica = try fixture.open(rule, stateDirectory: place.path)
            try #require(fixture.harness.wait { replica.state == .connected })
            for _ in 0..<2 { _ = try fail(rule, replica, fixture.harness) }
            #expect(try (length - 20_000...length).contains(left()))
            #expect(try fixture.server.integer("GET", history) == blocks)
            #expect(try fixture.server.integer("PTTL", history) > 86_400_000)
            let ends =
                "return redis.call('PTTL', 'ip_block:198.51.100.7') - redis.call('PTTL', 'login_fail:198.51.100.7')"
            // The clock of Redis 7.0 goes on between the two readings.
            #expect(try abs(fixture.server.integer("EVAL", ends, "0")) <= 1_000)
            fixture.harness.stop(replica)
            _ = try fixture.redis("DEL", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        }
        let ledger = try fixture.openConnected(rule)
        _ = try fixture.harness.unblock(ledger, .network(IPNetwork(address)))
        #expect(try fixture.redis("EXISTS", history) == "0")
        for _ in 0..<2 { _ = try fail(rule, ledger, fixture.harness) }
        #expect(try (80_000...100_000).contains(left()))
        // By hand, too, as soon as a replica sees it.
        _ = try fixture.redis("DEL", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        #expect(fixture.harness.wait { (try? fixture.redis("EXISTS", history)) == "0" })
        fixture.harness.stop(ledger)
    }

    @Test func `slide when they shall: what is older than the window neither counts nor takes places`() throws {
        let fixture = try RedisFixture()
        var rule = LoginRule(limit: 3, window: .seconds(3_600), block: .seconds(60), exempt: [])
        rule.counted = .sliding
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules(rule))
        let seen = "login_seen:{login_fail:198.51.100.7}"
        /// Makes the oldest failures older than the window.
        func age(_ number: Int) throws {
            let script =
                "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[1])) do redis.call('ZADD', KEYS[1], 1, id) end"
            _ = try fixture.redis("EVAL", script, "1", seen, String(number - 1))
        }
        for count in 1...2 { #expect(try fail(rule, ledger, fixture.harness).count == count) }
        try age(1)
        #expect(try fail(rule, ledger, fixture.harness).count == 2)
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "2")
        #expect(try fixture.server.integer("PTTL", "login_fail:198.51.100.7") > 3_500_000)
        try age(2)
        for expected in [Reservation.Answer.granted, .granted, .granted, .full] {
            var answer: Reservation?
            ledger.reserve(failure(rule), for: .seconds(900), now: .now()) { answer = $0 }
            fixture.harness.wait { answer != nil }
            #expect(answer?.answer == expected)
        }
        fixture.harness.stop(ledger)
    }

    @Test func `block in a sliding window, and the count ends with the block`() throws {
        let fixture = try RedisFixture()
        var rule = LoginRule(limit: 3, window: .seconds(3_600), block: .seconds(60), exempt: [])
        rule.counted = .sliding
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules(rule))
        for count in 1...2 { #expect(try fail(rule, ledger, fixture.harness).count == count) }
        #expect(try fail(rule, ledger, fixture.harness).isNewlyBlocked)
        // One that was under way prolongs nothing.
        #expect(try fail(rule, ledger, fixture.harness).count == 4)
        #expect(try (30_000...60_000).contains(fixture.server.integer("PTTL", "login_fail:198.51.100.7")))
        // Whoever deletes the counter has forgotten what was in it.
        _ = try fixture.redis("DEL", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        #expect(fixture.harness.wait { !fixture.harness.isBlocked("198.51.100.7") })
        #expect(try fail(rule, ledger, fixture.harness).count == 1)
        fixture.harness.stop(ledger)
    }

    @Test func `that only observe say so once, and refuse nobody a place`() throws {
        let fixture = try RedisFixture()
        var rule = LoginRule(limit: 2, window: .seconds(3_600), block: .seconds(60), exempt: [])
        rule.action = .observe
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules(rule))
        for count in 1...4 {
            let outcome = try fail(rule, ledger, fixture.harness)
            #expect(outcome.count == count && outcome.block == nil && !outcome.isNewlyBlocked)
        }
        let told = fixture.harness.events.filter { if case .wouldBlock = $0 { true } else { false } }
        #expect(told.count == 1)
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7") == "0")
        #expect(try (30_000...60_000).contains(fixture.server.integer("PTTL", "login_fail:198.51.100.7")))
        for _ in 0..<5 {
            var answer: Reservation?
            ledger.reserve(failure(rule), for: .seconds(9), now: .now()) { answer = $0 }
            fixture.harness.wait { answer != nil }
            #expect(answer?.answer == .granted)
        }
        fixture.harness.stop(ledger)
    }
}
