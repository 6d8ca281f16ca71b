import Policy
import Testing
import Transport
import Wire

@testable import Ledger

/// More than one connection may hold waits to be told. The limit is lower here, so that thousands do.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `More words than one connection holds` {
    private let limit = 1 << 20
    private let many = 6_000

    private func network(_ number: Int, in half: Int) -> IPNetwork {
        IPNetwork("10.\(half).\(number / 256).\(number % 256)")!
    }

    @Test func `that were said while Redis was away all reach it, on one session`() throws {
        let fixture = try RedisFixture(isStarted: false, deadline: .milliseconds(250))
        let harness = fixture.harness
        let ledger = try fixture.open(startupWait: .milliseconds(50), outputLimit: limit)
        for number in 0..<many {
            let blocked = network(number, in: 1)
            ledger.block(blocked, for: .seconds(900), reason: "abuse", actor: "alice") { _ in }
            ledger.unblock(.network(network(number, in: 2)), actor: "alice") { _ in }
            ledger.revoke(revocation("in-\(number)", .token)) { _ in }
            ledger.unrevoke(RevocationTarget(.token, "out-\(number)")!, actor: "bob") { _, _ in }
        }
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        let reconnects = ledger.totals.reconnects
        #expect(
            harness.wait {
                ledger.pendingBlocks.isEmpty && ledger.pendingLifts.isEmpty && ledger.pendingRevocations.isEmpty
                    && ledger.pendingRevocationLifts.isEmpty
            })
        #expect(ledger.totals.reconnects == reconnects)
        #expect(ledger.words.isEmpty)
        // Each block and revocation, each mark of what was taken back, the epoch, and how far its data is.
        #expect(try fixture.server.integer("DBSIZE") == 4 * many + 2)
        harness.stop(ledger)
    }

    @Test func `are lifted when their keys are gone, but for what was set anew`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let fill =
            "for i = 0, ARGV[1] - 1 do local n = math.floor(i / 256) .. '.' .. i % 256 "
            + "redis.call(ARGV[2], 'ip_block:10.1.' .. n, ARGV[3]) redis.call(ARGV[2], 'revoked:jti:' .. i, ARGV[3]) end"
        _ = try fixture.redis("EVAL", fill, "0", String(many), "SET", "1")
        let ledger = try fixture.openConnected()
        #expect(ledger.blockCount == many && ledger.revocationCount == many)
        let resyncs = ledger.totals.resyncs
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "pubsub")
        // Nobody turns the ledger's loop in between.
        _ = try fixture.redis("EVAL", fill.replacing(", ARGV[3]", with: ""), "0", String(many), "DEL")
        _ = try fixture.redis("MSET", "ip_block:10.1.23.111", "1", "revoked:jti:5999", "1")
        #expect(harness.wait { ledger.totals.resyncs > resyncs && ledger.resync == nil })
        #expect(ledger.blocks().map(\.network.description) == ["10.1.23.111"])
        #expect(ledger.revocations().map(\.target.text) == ["5999"])
        #expect(harness.table.count == 1 && harness.revoked.count == 1)
        harness.stop(ledger)
    }

    @Test func `come back after FLUSHALL, and all blocks are lifted at once`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let value = #"{"by":"gateway","reason":"failed_logins","failures":5,"at":"2026-11-21T07:19:16.123Z"}"#
        let fill =
            "for i = 0, ARGV[1] - 1 do local n = math.floor(i / 256) .. '.' .. i % 256 "
            + "redis.call('SET', 'ip_block:10.1.' .. n, ARGV[2], 'EX', 900) redis.call('SET', 'revoked:jti:' .. i, 1) end"
        _ = try fixture.redis("EVAL", fill, "0", String(many), value)
        let ledger = try fixture.open(outputLimit: limit)
        try #require(harness.wait { ledger.state == .connected })
        #expect(ledger.blockCount == many && ledger.revocationCount == many)
        _ = try fixture.redis("FLUSHALL")
        // A sanitizer takes its time over so many.
        #expect(
            harness.wait(.seconds(120)) {
                harness.events.contains { if case .flushDetected = $0 { true } else { false } }
            })
        #expect(harness.wait(.seconds(120)) { ledger.pendingBlocks.isEmpty && ledger.pendingRevocations.isEmpty })
        #expect(harness.wait(.seconds(120)) { (try? fixture.redis("DBSIZE")) == String(2 * many + 2) })
        #expect(ledger.totals.reconnects == 0 && ledger.words.isEmpty)
        #expect(!harness.events.contains { if case .overtaken = $0 { true } else { false } })

        let outcome = try harness.unblock(ledger, .all)
        #expect(outcome.lifted.count == many && outcome.decider == .authority)
        #expect(ledger.blockCount == 0 && ledger.pendingLifts.isEmpty)
        #expect(try fixture.redis("EXISTS", "ip_block:10.1.0.0", "ip_block:10.1.23.111") == "0")
        #expect(ledger.totals.reconnects == 0)
        harness.stop(ledger)
    }

    @Test func `of an account that was tried from everywhere are sent in slices`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let alice = AccountMark("0123456789abcdef0000000000000001")!
        let pairs = LoginRule(
            "accounts", by: .pair, limit: 5, window: .seconds(300), block: .seconds(1_800), exempt: [])
        let ledger = try fixture.open(outputLimit: limit)
        try #require(harness.wait { ledger.state == .connected })
        ledger.adopt(LoginRules([fiveFailures, pairs]))
        for number in 0..<many {
            ledger.local.counters.set(
                LoginKey(rule: "accounts", network(number, in: 1), account: alice),
                FailureCounters.Counter(count: 1, deadline: .now() + .seconds(300)))
        }
        #expect(try harness.unblock(ledger, .accounts(alice, from: nil)).decider == .authority)
        #expect(ledger.local.counters.keys == [] && ledger.pendingLifts.isEmpty)
        #expect(ledger.totals.reconnects == 0)
        harness.stop(ledger)
    }
}
