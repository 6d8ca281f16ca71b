import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

/// Two rules that count the same logins and come to their limits together.
private let quick = LoginRule(limit: 2, window: .seconds(600), block: .seconds(1), exempt: [])
private let slow = LoginRule("slow", limit: 4, window: .seconds(86_400), block: .seconds(604_800), exempt: [])
private let client = IPAddress("198.51.100.7")!

private func failure(_ rule: LoginRule) -> LoginFailure {
    LoginFailure(id: .random(), address: client, key: rule.key(of: client, nil))
}

@Suite struct `Several rules here` {
    @Test func `count on when the block of another one is over`() {
        var ledger = LocalLedger(rules: LoginRules([quick, slow]))
        var now = Instant(nanoseconds: 1_000_000_000_000)
        func fail(_ rule: LoginRule) -> LocalLedger.Decision {
            ledger.record(failure(rule), at: now, wall: WallTime(seconds: 0))
        }
        for _ in 0..<2 {
            for _ in 0..<2 {
                _ = fail(quick)
                _ = fail(slow)
            }
            #expect(ledger.block(of: BlockSubject(IPNetwork(client)), at: now)?.reason == "failed_logins")
            now = now + .seconds(2)
            _ = ledger.book.expire(at: now)
        }
        #expect(fail(quick).counter.count == 1)
        let fifth = fail(slow)
        #expect(fifth.counter.count == 5 && fifth.isNewlyBlocked)
        #expect(fifth.block?.reason == "failed_logins:slow" && fifth.block?.deadline == now + .seconds(604_800))
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Several rules in a real Redis` {
    private let block = "ip_block:198.51.100.7"

    /// One login that fails by both.
    private func fail(_ ledger: RedisLedger, _ harness: Harness) {
        var answers = 0
        for rule in [quick, slow] { ledger.recordFailure(failure(rule), now: .now()) { _ in answers += 1 } }
        harness.wait { answers == 2 }
        #expect(answers == 2)
    }

    @Test func `count on when the block of another one is over, and block then`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules([quick, slow]))
        for count in [2, 4] {
            for _ in 0..<2 { fail(ledger, harness) }
            #expect(harness.wait { (try? fixture.redis("EXISTS", block)) == "0" && ledger.blockCount == 0 })
            #expect(try fixture.server.integer("GET", "login_fail:slow@198.51.100.7") == count)
        }
        #expect(try fixture.server.integer("TTL", "login_fail:slow@198.51.100.7") > 80_000)
        // The next login finds the limit reached, and has its block set before it goes anywhere.
        var answer: Reservation?
        ledger.reserve(failure(slow), for: .seconds(9), now: .now()) { answer = $0 }
        harness.wait { answer != nil }
        #expect(answer?.answer == .blocked)
        #expect(try fixture.server.integer("TTL", block) > 600_000)
        #expect(ledger.blocks().map(\.reason) == ["failed_logins:slow"])
        harness.stop(ledger)
    }

    @Test func `are counted on from what was known, when Redis goes after a block of another one was over`() throws {
        let fixture = try RedisFixture(deadline: .milliseconds(250))
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        ledger.adopt(LoginRules([quick, slow]))
        for _ in 0..<2 { fail(ledger, harness) }
        // So near to its end it is over, for all that this replica can tell.
        _ = try fixture.redis("DEL", block)
        #expect(harness.wait { ledger.blockCount == 0 })
        fixture.server.kill()
        #expect(harness.wait { ledger.state != .connected })
        var outcome: FailureOutcome?
        ledger.recordFailure(failure(slow), now: .now()) { outcome = $0 }
        harness.wait { outcome != nil }
        #expect(outcome?.count == 3 && outcome?.decider == .local)
        harness.stop(ledger)
    }

    @Test func `have one memory of blocks, also of those of a rule whose blocks do not grow`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let constant = LoginRule(limit: 1, window: .seconds(600), block: .seconds(100), exempt: [])
        var growing = LoginRule("growing", limit: 1, window: .seconds(600), block: .seconds(100), exempt: [])
        growing.escalation = LoginRule.Escalation(factor: 3, longest: .seconds(10_000))
        let history = "login_fail:blocks:{ip_block:198.51.100.7}"
        // The blocks are deleted while no replica is there that would take it for a pardon; and each knows nothing of before.
        for (rule, blocks, length) in [(constant, 1, 100), (growing, 2, 300), (constant, 3, 100), (growing, 4, 2_700)] {
            let place = TemporaryDirectory()
            let ledger = try fixture.open(stateDirectory: place.path)
            try #require(harness.wait { ledger.state == .connected })
            ledger.adopt(LoginRules([constant, growing]))
            var outcome: FailureOutcome?
            ledger.recordFailure(failure(rule), now: .now()) { outcome = $0 }
            harness.wait { outcome != nil }
            #expect(outcome?.isNewlyBlocked == true)
            #expect(try fixture.server.integer("GET", history) == blocks)
            #expect(try (length - 30...length).contains(fixture.server.integer("TTL", block)))
            harness.stop(ledger)
            _ = try fixture.redis("DEL", block, "login_fail:198.51.100.7", "login_fail:growing@198.51.100.7")
        }
    }

    @Test func `count what waits for Redis under the prefix of today`() throws {
        let fixture = try RedisFixture(isStarted: false, deadline: .milliseconds(250))
        let harness = fixture.harness
        let address = IPAddress("2001:db8:0:1::7")!
        let alice = AccountMark("0123456789abcdef0000000000000001")!
        func rules(_ bits: Int) -> [LoginRule] {
            [(LoginRule.plainName, LoginRule.Counting.address), ("slow", .address), ("accounts", .pair)].map {
                LoginRule(
                    $0, by: $1, limit: 5, window: .seconds(600), block: .seconds(300), exempt: [], ipv6Prefix: bits)
            }
        }
        func open(_ bits: Int) throws -> RedisLedger {
            let redis = Configuration.Redis(
                location: .unix(path: fixture.server.socket), username: nil, password: nil, database: 0,
                deadline: .milliseconds(250), startupWait: .milliseconds(50))
            let ledger = try RedisLedger(
                rules: LoginRules(rules(bits)), redis: redis, stateDirectory: fixture.directory.path, on: harness.loop,
                resolver: ResolverPort(fixture.resolver, on: harness.loop), sink: harness)
            ledger.start()
            return ledger
        }
        let first = try open(64)
        var answers = 0
        for rule in rules(64) {
            let one = LoginFailure(
                id: .random(), address: address, key: rule.key(of: address, rule.counting == .pair ? alice : nil))
            first.recordFailure(one, now: .now()) { _ in answers += 1 }
        }
        #expect(harness.wait { answers == 3 })
        harness.stop(first)
        try fixture.server.start()
        let second = try open(56)
        #expect(harness.wait { second.state == .connected && second.waitingFailures == 0 })
        let found = try fixture.redis("--scan", "--pattern", "login_fail:*").split(separator: "\n").sorted()
        #expect(
            found == [
                "login_fail:2001:db8::/56", "login_fail:accounts@\(alice)@2001:db8::/56",
                "login_fail:slow@2001:db8::/56",
            ])
        harness.stop(second)
    }
}
