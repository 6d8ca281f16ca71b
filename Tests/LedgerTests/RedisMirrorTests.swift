import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `The mirror of a real Redis` {
    @Test func `holds what was there before, ours and by hand, of any type, in any spelling`() throws {
        let fixture = try RedisFixture()
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1", "EX", "300")
        _ = try fixture.redis("LPUSH", "ip_block:192.0.2.2", "x")
        _ = try fixture.redis("HSET", "ip_block:2001:DB8::7", "a", "b")
        _ = try fixture.redis("SET", "ip_block:203.0.113.0/24", "", "EX", "300")
        _ = try fixture.redis("SET", "ip_block:::ffff:192.0.2.3", "1")
        _ = try fixture.redis("SET", "ip_block:nonsense", "1")
        _ = try fixture.redis("EVAL", "return redis.call('SET', 'ip_block:' .. string.char(255), 1)", "0")
        let ledger = try fixture.openConnected()
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::7", "203.0.113.200", "192.0.2.3"] {
            #expect(fixture.harness.isBlocked(address), "\(address)")
        }
        #expect(!fixture.harness.isBlocked("192.0.2.4"))
        #expect(ledger.blocks().count == 5)
        #expect(fixture.harness.events.contains(.unparsableKey("ip_block:nonsense")))
        #expect(ledger.totals.unparsableKeys == 2)
        let permanent = fixture.harness.events.compactMap {
            if case .permanentBlock(let record) = $0 { record.network.description } else { nil }
        }
        #expect(Set(permanent) == ["192.0.2.2", "2001:db8::7", "192.0.2.3"])
        fixture.harness.stop(ledger)
    }

    @Test func `follows SET, EXPIRE, PERSIST, DEL and expiry`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1", "EX", "300")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        _ = try fixture.redis("PERSIST", "ip_block:192.0.2.1")
        #expect(harness.wait { ledger.blocks().first?.isPermanent == true })
        _ = try fixture.redis("EXPIRE", "ip_block:192.0.2.1", "60")
        #expect(harness.wait { ledger.blocks().first?.isPermanent == false })
        _ = try fixture.redis("DEL", "ip_block:192.0.2.1")
        #expect(harness.wait { !harness.isBlocked("192.0.2.1") })
        #expect(fixture.sees { if case .lifted(_, .deleted) = $0 { true } else { false } })

        _ = try fixture.redis("SET", "ip_block:192.0.2.2", "1", "PX", "1000")
        #expect(harness.wait { harness.isBlocked("192.0.2.2") })
        #expect(harness.wait { !harness.isBlocked("192.0.2.2") })
        #expect(try fixture.redis("EXISTS", "ip_block:192.0.2.2") == "0")
        #expect(fixture.sees { if case .lifted(_, .expired) = $0 { true } else { false } })
        harness.stop(ledger)
    }

    @Test func `keeps an address blocked while one of its spellings is left`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("MSET", "ip_block:192.0.2.1", "1", "ip_block:::ffff:192.0.2.1", "1")
        #expect(harness.wait { ledger.blocks().count == 1 && harness.isBlocked("192.0.2.1") })
        _ = try fixture.redis("DEL", "ip_block:192.0.2.1")
        // The marker is seen after the deletion, because both are read in order.
        _ = try fixture.redis("SET", "ip_block:192.0.2.99", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.99") })
        #expect(harness.isBlocked("192.0.2.1"))
        _ = try fixture.redis("DEL", "ip_block:::ffff:192.0.2.1")
        #expect(harness.wait { !harness.isBlocked("192.0.2.1") })
        harness.stop(ledger)
    }

    @Test func `restores automatic blocks after FLUSHALL, and raises the alarm`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        _ = try fixture.redis("FLUSHALL")
        #expect(fixture.sees { $0 == .flushDetected(blocks: 1, revocations: 0) })
        #expect(harness.isBlocked("198.51.100.7"))
        #expect(!harness.isBlocked("192.0.2.1"))
        #expect(harness.wait { (try? fixture.redis("EXISTS", "gateway:epoch")) == "1" })
        #expect(try fixture.server.integer("TTL", "ip_block:198.51.100.7") > 290)
        harness.stop(ledger)
    }

    @Test func `lets Redis win after an absence in which its data was kept`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let first = try fixture.openConnected()
        for _ in 1...5 { _ = try harness.fail(first, "198.51.100.7") }
        harness.stop(first)
        _ = try fixture.redis("DEL", "ip_block:198.51.100.7", "login_fail:198.51.100.7")
        let second = try fixture.open()
        #expect(second.isReady, "the snapshot is enough to serve with")
        #expect(harness.isBlocked("198.51.100.7"), "what was known stays in force until the scan is complete")
        #expect(harness.wait { second.state == .connected })
        #expect(harness.wait { !harness.isBlocked("198.51.100.7") })
        #expect(try fixture.redis("EXISTS", "ip_block:198.51.100.7") == "0")
        harness.stop(second)
    }

    @Test func `finds what changed while the subscriber was lost`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "pubsub")
        _ = try fixture.redis("DEL", "ip_block:192.0.2.1")
        _ = try fixture.redis("SET", "ip_block:192.0.2.2", "1")
        #expect(harness.wait { !harness.isBlocked("192.0.2.1") && harness.isBlocked("192.0.2.2") })
        // And it goes on hearing of changes.
        _ = try fixture.redis("SET", "ip_block:192.0.2.3", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.3") })
        #expect(ledger.state == .connected)
        harness.stop(ledger)
    }

    @Test func `takes in thousands of keys at once, and their end`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let fill =
            "for i = 0, 7999 do redis.call('SET', 'ip_block:10.' .. math.floor(i / 65536) .. '.' .. "
            + "math.floor(i / 256) % 256 .. '.' .. i % 256, 1, 'EX', 300) end"
        _ = try fixture.redis("EVAL", fill, "0")
        let ledger = try fixture.openConnected()
        #expect(harness.table.count == 8_000)
        #expect(harness.isBlocked("10.0.31.63"))
        _ = try fixture.redis("FLUSHALL")
        #expect(harness.wait { harness.table.count == 0 })
        _ = try fixture.redis("EVAL", fill, "0")
        #expect(harness.wait { harness.table.count == 8_000 })
        harness.stop(ledger)
    }

    @Test func `works with a password, an ACL user, another database, over TCP and by name`() throws {
        let port = FreePort.pick()
        let fixture = try RedisFixture(
            options: [
                "--port", String(port), "--user", "gateway", "on", ">secret", "~ip_block:*", "~login_fail:*",
                "~account_lock:*", "~revoked:*", "~keyring:*", "~lockdown:*", "~ip_allow:*", "~ip_shared:*",
                "~login_seen:*", "~login_pending:*",
                "~gateway:epoch", "~gateway:said:*", "&__redis__:invalidate", "+@all", "-@admin", "-@dangerous",
                "+client|id", "+client|tracking",
            ])
        let harness = fixture.harness
        let ledger = try fixture.open(
            location: .tcp(Configuration.SocketAddressText(host: "localhost", port: port)), username: "gateway",
            password: "secret", database: 3)
        #expect(harness.wait { ledger.state == .connected })
        _ = try fixture.redis("-n", "3", "SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        for _ in 1...5 { _ = try harness.fail(ledger, "198.51.100.7") }
        #expect(try fixture.redis("-n", "3", "GET", "login_fail:198.51.100.7") == "5")
        #expect(try harness.block(ledger, "198.51.100.8", for: nil).decider == .authority)
        #expect(try harness.unblock(ledger, .network(IPNetwork("198.51.100.8")!)).decider == .authority)
        #expect(try fixture.redis("-n", "3", "EXISTS", "gateway:said:{ip_block:198.51.100.8}") == "1")
        #expect(harness.wait { ledger.store?.keys != nil && ledger.store?.memory != nil })
        harness.stop(ledger)
    }

    @Test(arguments: ["zadd", "zscore", "time", "evalsha", "pexpireat", "exists", "zremrangebyscore"])
    func `has no session without a command that only scripts or rare cases need`(_ command: String) throws {
        let fixture = try RedisFixture(
            options: ["--user", "gateway", "on", ">secret", "~*", "&*", "+@all", "-" + command])
        let harness = fixture.harness
        let ledger = try fixture.open(username: "gateway", password: "secret", startupWait: .milliseconds(50))
        #expect(
            harness.wait {
                if case .degraded(let reason, _) = ledger.state { reason.contains("+" + command) } else { false }
            })
        _ = try fixture.redis("ACL", "SETUSER", "gateway", "+" + command)
        #expect(harness.wait { ledger.state == .connected })
        // Nothing is left of the tries.
        #expect(try fixture.redis("KEYS", "*") == "gateway:epoch")
        harness.stop(ledger)
    }

    @Test func `reads anew what Redis refused to tell of for a moment`() throws {
        let fixture = try RedisFixture(
            options: ["--user", "gateway", "on", ">secret", "~*", "&*", "+@all"])
        let harness = fixture.harness
        let ledger = try fixture.open(username: "gateway", password: "secret")
        try #require(harness.wait { ledger.state == .connected })
        _ = try fixture.redis("ACL", "SETUSER", "gateway", "-pttl")
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(
            harness.wait {
                if case .degraded(let reason, _) = ledger.state { reason.contains("+pttl") } else { false }
            })
        _ = try fixture.redis("ACL", "SETUSER", "gateway", "+pttl")
        #expect(harness.wait { ledger.state == .connected && harness.isBlocked("192.0.2.1") })
        harness.stop(ledger)
    }

    @Test func `says what is wrong when the password is`() throws {
        let fixture = try RedisFixture(options: ["--requirepass", "secret"])
        let ledger = try fixture.open(password: "wrong", startupWait: .milliseconds(50))
        #expect(
            fixture.harness.wait {
                if case .degraded(let r, _) = ledger.state { r.contains("WRONGPASS") } else { false }
            })
        if case .degraded(let reason, _) = ledger.state { #expect(!reason.contains("wrong")) }
        #expect(fixture.harness.wait { ledger.isReady })
        fixture.harness.stop(ledger)
    }
}
