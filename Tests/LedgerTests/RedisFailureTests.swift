import Glibc
import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Failed logins on a real Redis` {
    @Test func `block at the fifth, with counter and block ending together`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for count in 1...4 { #expect(try harness.fail(ledger, "198.51.100.7").count == count) }
        #expect(try fixture.server.integer("TTL", "login_fail:198.51.100.7") > 86_000)
        let fifth = try harness.fail(ledger, "198.51.100.7")
        #expect(fifth.isNewlyBlocked && fifth.decider == .authority && fifth.block != nil)
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "5")
        let value = try fixture.redis("GET", "ip_block:198.51.100.7")
        #expect(value.hasPrefix(#"{"by":"gateway","reason":"failed_logins","failures":5,"at":""#))
        let expire = "return {redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2])}"
        let both = try fixture.redis("EVAL", expire, "2", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        let ttls = both.split(separator: "\n").compactMap { Int($0) }
        // The clock of Redis 7.0 goes on between the two readings.
        #expect(ttls.count == 2 && abs(ttls[0] - ttls[1]) <= 1_000 && ttls[0] > 290_000)
        harness.stop(ledger)
    }

    @Test func `are counted exactly when 500 come at once, and block once`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        var outcomes: [FailureOutcome] = []
        for _ in 0..<500 {
            let failure = LoginFailure(id: .random(), address: IPAddress("198.51.100.7")!)
            ledger.recordFailure(failure, now: .now()) { outcomes.append($0) }
        }
        #expect(harness.wait { outcomes.count == 500 })
        #expect(outcomes.map(\.count).sorted() == Array(1...500))
        #expect(outcomes.count(where: \.isNewlyBlocked) == 1)
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "500")
        harness.stop(ledger)
    }

    @Test func `are counted together by two replicas, and both know the block`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let other = Harness()
        let first = try fixture.openConnected()
        let second = try fixture.openReplica(of: first, for: other)
        for _ in 1...3 { _ = try harness.fail(first, "198.51.100.7") }
        #expect(try other.fail(second, "198.51.100.7").count == 4)
        #expect(try other.fail(second, "198.51.100.7").isNewlyBlocked)
        #expect(harness.wait { harness.isBlocked("198.51.100.7") })
        let seen = harness.events.compactMap { if case .blockSeen(let record) = $0 { record.origin } else { nil } }
        #expect(seen == [.automatic(failures: 5)])
        harness.stop(first)
        other.stop(second)
    }

    @Test func `block again after a bare DEL of the block`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("DEL", "ip_block:198.51.100.7")
        #expect(harness.wait { !harness.isBlocked("198.51.100.7") })
        let again = try harness.fail(ledger, "198.51.100.7")
        #expect(again.count == 6 && again.isNewlyBlocked)
        #expect(try fixture.server.integer("TTL", "ip_block:198.51.100.7") > 290)
        harness.stop(ledger)
    }

    @Test func `start from nothing after DEL of both, and after the gateway's own unblock`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("DEL", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        #expect(harness.wait { !harness.isBlocked("198.51.100.7") })
        #expect(try harness.fail(ledger, "198.51.100.7").count == 1)
        for _ in 1...4 { _ = try harness.fail(ledger, "198.51.100.7") }
        #expect(harness.isBlocked("198.51.100.7"))
        let lifted = try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!))
        #expect(lifted.decider == .authority && lifted.lifted.count == 1)
        #expect(!harness.isBlocked("198.51.100.7"))
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(try harness.fail(ledger, "198.51.100.7").count == 1)
        _ = try fixture.redis("SET", "ip_block:::ffff:192.0.2.9", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.9") })
        _ = try harness.unblock(ledger, .all)
        #expect(ledger.blocks() == [])
        #expect(try fixture.redis("EXISTS", "ip_block:::ffff:192.0.2.9", "login_fail:198.51.100.7") == "0")
        harness.stop(ledger)
    }

    @Test func `are counted once however often they are told`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let id = FailureID.random()
        #expect(try harness.fail(ledger, "198.51.100.7", id: id).count == 1)
        #expect(try harness.fail(ledger, "198.51.100.7", id: id).count == 1)
        #expect(try harness.fail(ledger, "198.51.100.7").count == 2)
        harness.stop(ledger)
    }

    @Test func `survive SCRIPT FLUSH`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.fail(ledger, "198.51.100.7")
        _ = try fixture.redis("SCRIPT", "FLUSH")
        let second = try harness.fail(ledger, "198.51.100.7")
        #expect(second.count == 2 && second.decider == .authority)
        harness.stop(ledger)
    }

    @Test func `are counted here when the counter is no integer`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "login_fail:198.51.100.7", "many")
        for _ in 1...4 { #expect(try harness.fail(ledger, "198.51.100.7").decider == .local) }
        #expect(try harness.fail(ledger, "198.51.100.7").isNewlyBlocked)
        #expect(fixture.sees { if case .counterUnusable = $0 { true } else { false } })
        #expect(ledger.state == .connected)
        #expect(harness.wait { (try? fixture.redis("EXISTS", "ip_block:198.51.100.7")) == "1" })
        harness.stop(ledger)
    }

    @Test func `by an operator's command reach the store with words and end`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let outcome = try harness.block(ledger, "203.0.113.0/24", for: .seconds(600))
        #expect(outcome.decider == .authority)
        #expect(harness.isBlocked("203.0.113.5"))
        #expect(
            try fixture.redis("GET", "ip_block:203.0.113.0/24").hasPrefix(#"{"by":"alice","reason":"abuse","at":""#))
        #expect(try fixture.server.integer("TTL", "ip_block:203.0.113.0/24") > 590)
        _ = try harness.block(ledger, "203.0.113.0/24", for: nil)
        #expect(try fixture.server.integer("TTL", "ip_block:203.0.113.0/24") == -1)
        harness.stop(ledger)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `While Redis is away` {
    /// How long the gateway waits for Redis in these tests.
    private let brief = Interval.milliseconds(250)

    @Test func `failures are counted on from what was known, and are in Redis afterwards`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...3 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        fixture.server.kill()
        let fourth = try harness.fail(ledger, "198.51.100.7")
        #expect(fourth.count == 4 && fourth.decider == .local)
        let fifth = try harness.fail(ledger, "198.51.100.7")
        #expect(fifth.isNewlyBlocked && fifth.decider == .local)
        #expect(harness.isBlocked("198.51.100.7") && harness.isBlocked("192.0.2.1"))
        _ = try harness.fail(ledger, "198.51.100.8")
        #expect(ledger.state.word == "degraded")

        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        // The new server has lost its data: what was decided while it was away, and the automatic block, are put back.
        #expect(harness.wait { (try? fixture.redis("GET", "login_fail:198.51.100.7")) == "2" })
        #expect(harness.wait { (try? fixture.redis("GET", "login_fail:198.51.100.8")) == "1" })
        #expect(try fixture.server.integer("TTL", "ip_block:198.51.100.7") > 280)
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(fixture.sees { if case .recovered = $0 { true } else { false } })
        #expect(harness.wait { ledger.unsettled.isEmpty })
        harness.stop(ledger)
    }

    @Test func `a hung server is noticed, holds a login no longer than the deadline, and nothing is counted twice`()
        throws
    {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.fail(ledger, "198.51.100.7")
        fixture.server.freeze()
        let began = Instant.now()
        let late = try harness.fail(ledger, "198.51.100.7")
        let took = Instant.now() - began
        #expect(late.count == 2 && late.decider == .local)
        #expect(took >= .milliseconds(240))
        var next: FailureOutcome?
        let failure = LoginFailure(id: .random(), address: IPAddress("198.51.100.7")!)
        ledger.recordFailure(failure, now: .now()) { next = $0 }
        #expect(next?.count == 3, "only the first waits")
        #expect(fixture.sees { if case .degraded(let reason) = $0 { reason.contains("250 ms") } else { false } })
        // Long enough for the session to be given up, so that both ways of telling it again are taken.
        #expect(harness.wait { ledger.totals.reconnects > 0 })
        fixture.server.thaw()
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "3")
        harness.stop(ledger)
    }

    @Test func `a pause shorter than the patience ends without a new session`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.freeze()
        #expect(try harness.fail(ledger, "198.51.100.7").decider == .local)
        fixture.server.thaw()
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(ledger.totals.reconnects == 0)
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "1")
        #expect(try harness.fail(ledger, "198.51.100.7").count == 2)
        harness.stop(ledger)
    }

    @Test func `what was decided survives a restart of the gateway too`() throws {
        let fixture = try RedisFixture(isStarted: false, deadline: brief)
        let harness = fixture.harness
        let first = try fixture.open()
        for _ in 1...5 { #expect(try harness.fail(first, "198.51.100.7").decider == .local) }
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(first.state.word == "degraded")
        harness.stop(first)

        let second = try fixture.open()
        #expect(!second.isReady, "what Redis knows has never been seen")
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(try harness.fail(second, "198.51.100.7").count == 6)
        try fixture.server.start()
        #expect(harness.wait { second.state == .connected && second.unsettled.isEmpty })
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "6")
        #expect(try fixture.server.integer("TTL", "ip_block:198.51.100.7") > 280)
        let both = "return redis.call('PTTL', KEYS[1]) - redis.call('PTTL', KEYS[2])"
        let difference = try fixture.server.integer(
            "EVAL", both, "2", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        #expect(abs(difference) <= 1_000)
        harness.stop(second)
    }

    @Test func `hundreds of failures are carried over exactly, although the server dies again meanwhile`() throws {
        let fixture = try RedisFixture(options: ["--appendonly", "yes", "--appendfsync", "always"], deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        for n in 0..<900 { _ = try harness.fail(ledger, "198.51.100.\(n % 3)") }
        #expect(ledger.unsettled.count == 900)
        try fixture.server.start()
        #expect(harness.wait { ledger.unsettled.count < 900 })
        fixture.server.kill()
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        for n in 0..<3 { #expect(try fixture.redis("GET", "login_fail:198.51.100.\(n)") == "300") }
        harness.stop(ledger)
    }

    @Test func `a first start is ready after the wait for it`() throws {
        let fixture = try RedisFixture(isStarted: false, deadline: brief)
        let ledger = try fixture.open(startupWait: .milliseconds(60))
        #expect(!ledger.isReady)
        #expect(fixture.harness.wait { ledger.isReady })
        #expect(fixture.sees { $0 == .ready })
        fixture.harness.stop(ledger)
    }

    @Test func `operators block and unblock, and the store hears of it later`() throws {
        let fixture = try RedisFixture(options: ["--appendonly", "yes", "--appendfsync", "always"], deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        #expect(try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!)).decider == .local)
        #expect(!harness.isBlocked("198.51.100.7"))
        #expect(try harness.block(ledger, "203.0.113.0/24", for: nil).decider == .local)
        #expect(harness.isBlocked("203.0.113.1"))
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected && ledger.pendingBlocks.isEmpty })
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(try fixture.redis("EXISTS", "ip_block:203.0.113.0/24") == "1")
        #expect(!harness.isBlocked("198.51.100.7") && harness.isBlocked("203.0.113.1"))
        harness.stop(ledger)
    }

    @Test func `an unblock during an outage forgets the failures that were not carried over yet`() throws {
        let fixture = try RedisFixture(options: ["--appendonly", "yes", "--appendfsync", "always"], deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try harness.fail(ledger, "198.51.100.8")
        #expect(harness.isBlocked("198.51.100.7"))
        _ = try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!))
        #expect(ledger.unsettled.count == 1, "of the other address")
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty && ledger.pendingLifts.isEmpty })
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(try fixture.redis("GET", "login_fail:198.51.100.8") == "1")
        #expect(!harness.isBlocked("198.51.100.7"))
        harness.stop(ledger)
    }

    @Test func `an unblock during a pause reaches the store when it answers again`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        fixture.server.freeze()
        #expect(try harness.fail(ledger, "198.51.100.8").decider == .local)
        #expect(try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!)).decider == .local)
        fixture.server.thaw()
        #expect(harness.wait { ledger.state == .connected && ledger.pendingLifts.isEmpty })
        #expect(ledger.totals.reconnects == 0)
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(!harness.isBlocked("198.51.100.7"))
        harness.stop(ledger)
    }

    @Test func `carries over by itself what was lifted while Redis refused to write`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "1")
        #expect(try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!)).decider == .local)
        #expect(!harness.isBlocked("198.51.100.7"))
        #expect(ledger.state.word == "degraded")
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(harness.wait { ledger.state == .connected && ledger.pendingLifts.isEmpty })
        #expect(ledger.totals.reconnects == 0)
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7", "login_fail:198.51.100.7") == "0")
        #expect(!harness.isBlocked("198.51.100.7"))
        harness.stop(ledger)
    }

    @Test func `a server that refuses to write degrades, and recovers by itself`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("CONFIG", "SET", "maxmemory", "1")
        let refused = try harness.fail(ledger, "198.51.100.7")
        #expect(refused.decider == .local)
        #expect(ledger.state.word == "degraded")
        // Once, although every attempt is refused.
        #expect(try harness.block(ledger, "203.0.113.0/24", for: nil).decider == .local)
        #expect(harness.events.count { if case .degraded = $0 { true } else { false } } == 1)
        _ = try fixture.redis("CONFIG", "SET", "maxmemory", "0")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "1")
        #expect(harness.wait { ledger.pendingBlocks.isEmpty })
        #expect(try fixture.redis("EXISTS", "ip_block:203.0.113.0/24") == "1")
        harness.stop(ledger)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `A server that is made a replica behind its name` {
    @Test func `is left for the one that has the name now`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let other = try RedisServer()
        let place = TemporaryDirectory()
        let name = place.path + "/redis"
        symlink(fixture.server.socket, name)
        let ledger = try fixture.open(location: .unix(path: name))
        try #require(harness.wait { ledger.state == .connected })
        _ = try harness.fail(ledger, "198.51.100.7")
        unlink(name)
        symlink(other.socket, name)
        // The connections stay.
        _ = try fixture.redis("REPLICAOF", "127.0.0.1", "1")
        _ = try harness.fail(ledger, "198.51.100.7")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(try other.command("GET", "login_fail:198.51.100.7") == "1")
        #expect(ledger.totals.reconnects == 1)
        harness.stop(ledger)
    }

    @Test func `is kept when there is no other, and looked for again only now and then`() throws {
        let fixture = try RedisFixture(deadline: .milliseconds(250))
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("REPLICAOF", "127.0.0.1", "1")
        #expect(try harness.fail(ledger, "198.51.100.7").decider == .local)
        #expect(
            harness.wait {
                if case .degraded(let reason, _) = ledger.state { reason.contains("replica") } else { false }
            })
        #expect(try harness.fail(ledger, "198.51.100.7").decider == .local)
        #expect(ledger.totals.reconnects == 1)
        _ = try fixture.redis("REPLICAOF", "NO", "ONE")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "2")
        harness.stop(ledger)
    }
}

/// A port that nobody listened on a moment ago, and that the system gives to no client: whoever runs other tests beside these
/// may have it otherwise before the server does.
enum FreePort {
    static func pick() -> UInt16 {
        let range = String(decoding: contents(of: "/proc/sys/net/ipv4/ip_local_port_range"), as: UTF8.self)
        let lowest = range.split(whereSeparator: \.isWhitespace).first.flatMap { UInt16($0) } ?? 32_768
        for _ in 0..<100 {
            let port = UInt16.random(in: lowest / 3..<lowest)
            if isFree(port) { return port }
        }
        return 0
    }

    private static func isFree(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
