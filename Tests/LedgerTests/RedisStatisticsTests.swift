import Policy
import Testing
import Wire

@testable import Ledger

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `What is known of Redis as a server` {
    @Test func `are its keys, its memory, its time and its errors`() throws {
        let fixture = try RedisFixture()
        _ = try fixture.redis("EVAL", "for i = 1, 1000 do redis.call('SET', 'theirs:' .. i, 1) end", "0")
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        #expect(harness.wait { ledger.store?.memory != nil })
        let store = try #require(ledger.store)
        #expect((1_000...1_001).contains(try #require(store.keys)))
        #expect(try #require(store.memory) > 100_000 && store.memoryPeak != nil)
        #expect(try #require(store.roundTrip) > .zero)
        #expect(store.errors == 0)
        _ = try fixture.redis("SET", "login_fail:198.51.100.7", "many")
        _ = try harness.fail(ledger, "198.51.100.7")
        #expect(ledger.store!.errors == 1 && ledger.store!.commands > store.commands)
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        #expect(ledger.store?.memory == nil && ledger.store?.keys == nil && ledger.store!.commands > 0)
        harness.stop(ledger)
    }

    @Test func `is nothing where the rights do not allow it, and nothing else is lost by that`() throws {
        let fixture = try RedisFixture(
            options: ["--user", "gateway", "on", ">secret", "~*", "&*", "+@all", "-dbsize", "-memory"])
        let harness = fixture.harness
        let ledger = try fixture.open(username: "gateway", password: "secret")
        try #require(harness.wait { ledger.state == .connected })
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        #expect(ledger.store?.memory == nil && ledger.store?.keys == nil)
        #expect(ledger.state == .connected && ledger.totals.reconnects == 0)
        harness.stop(ledger)
    }
}

@Suite struct `The numbers of a cluster` {
    @Test func `are those of all its nodes together, and what was asked stays when these are left`() {
        let statistics = RedisStatistics()
        let nodes = [statistics.node(), statistics.node()]
        nodes[0].store.keys = 3
        nodes[0].store.commands = 5
        #expect(statistics.total.keys == nil, "one of them is not known")
        nodes[1].store.keys = 4
        nodes[1].store.commands = 6
        nodes[1].store.errors = 1
        nodes[0].store.roundTrip = .milliseconds(1)
        nodes[1].store.roundTrip = .milliseconds(2)
        #expect(statistics.total.keys == 7 && statistics.total.memory == nil)
        #expect(statistics.total.commands == 11 && statistics.total.errors == 1)
        #expect(statistics.total.roundTrip == .milliseconds(2))
        statistics.endNodes()
        #expect(statistics.total.keys == nil && statistics.total.roundTrip == nil)
        #expect(statistics.total.commands == 11 && statistics.total.errors == 1)
        statistics.node().store.commands = 1
        #expect(statistics.total.commands == 12)
    }
}
