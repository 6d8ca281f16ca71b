import Policy
import Testing
import Transport
import Wire

@testable import Ledger

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Revocations on a real Redis` {
    // MARK: By command

    @Test func `are in force before the operator is answered, and in the store when he is`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let time = WallTime(milliseconds: 1_700_000_000_123)
        var decider: Decider?
        ledger.revoke(revocation("alice", cutoff: .issuedBefore(time), for: .seconds(300))) { decider = $0 }
        #expect(harness.isRevoked("alice"))
        #expect(harness.wait { decider != nil })
        #expect(decider == .authority)
        let value = try fixture.redis("GET", "revoked:sub:alice")
        #expect(value.hasPrefix(#"{"by":"alice","reason":"stolen","issued_before":"2023-11-14T22:13:20.123Z","at":""#))
        #expect((280...300).contains(try fixture.server.integer("TTL", "revoked:sub:alice")))
        #expect(harness.isRevoked("alice", issued: time))
        #expect(!harness.isRevoked("alice", issued: WallTime(milliseconds: 1_700_000_000_124)))

        _ = try harness.revoke(ledger, revocation("alice"))
        #expect(try fixture.server.integer("TTL", "revoked:sub:alice") == -1, "the end of the former went with it")
        let lifted = try harness.unrevoke(ledger, "alice")
        #expect(lifted.lifted?.cutoff == .everyToken && lifted.decider == .authority)
        #expect(!harness.isRevoked("alice"))
        #expect(try fixture.redis("EXISTS", "revoked:sub:alice") == "0")
        #expect(try harness.unrevoke(ledger, "alice").lifted == nil)
        #expect(ledger.totals.revocationsSet == 2 && ledger.totals.revocationsSeen == 0)
        harness.stop(ledger)
    }

    @Test func `reach the other replica, and leave it again`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let other = Harness()
        let first = try fixture.openConnected()
        let second = try fixture.openReplica(of: first, for: other)
        let names = [
            "alice", "é", "e\u{301}", "\u{301}x", "a\u{fffd}b", "a:b:", "*", "line\nbreak",
            String(repeating: "n", count: 512),
        ]
        for name in names { _ = try harness.revoke(first, revocation(name)) }
        #expect(other.wait { names.allSatisfy { other.isRevoked($0) } })
        #expect(
            second.revocations().allSatisfy { $0.origin == .command && $0.actor == "alice" && $0.reason == "stolen" })
        #expect(second.totals.revocationsSeen == names.count && second.totals.unparsableKeys == 0)
        for name in names { _ = try harness.unrevoke(first, name) }
        #expect(other.wait { !names.contains { other.isRevoked($0) } })
        #expect(second.revocationCount == 0)
        harness.stop(first)
        other.stop(second)
    }

    /// What the scan does not find is taken for deleted, so every name must be found.
    @Test func `are known again by a new session, whatever their names look like`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let names = ["alice", "\u{301}x", "a\u{fffd}b", "caf\u{e9}", "cafe\u{301}", "a:b"]
        for name in names { _ = try harness.revoke(ledger, revocation(name)) }
        let former = ledger.totals.resyncs
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "pubsub")
        #expect(harness.wait { ledger.totals.resyncs > former && ledger.resync == nil && ledger.state == .connected })
        for name in names { #expect(harness.isRevoked(name), "\(name)") }
        #expect(ledger.revocationCount == names.count)
        harness.stop(ledger)
    }

    // MARK: By hand

    @Test func `follow SET, EXPIRE, PERSIST, another time and DEL`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "revoked:sub:alice", "1")
        #expect(harness.wait { harness.isRevoked("alice", issued: .now()) })
        var known: RevocationRecord? { ledger.revocations().first }
        #expect(known?.origin == .byHand && known?.actor == "redis" && known?.deadline == .never)
        let since = known?.since
        _ = try fixture.redis("EXPIRE", "revoked:sub:alice", "300")
        #expect(harness.wait { known?.deadline != .never })
        _ = try fixture.redis("PERSIST", "revoked:sub:alice")
        #expect(harness.wait { known?.deadline == .never })
        _ = try fixture.redis("SET", "revoked:sub:alice", "1700000000")
        #expect(harness.wait { !harness.isRevoked("alice", issued: WallTime(seconds: 1_700_000_001)) })
        #expect(harness.isRevoked("alice", issued: WallTime(seconds: 1_700_000_000)))
        _ = try fixture.redis("SET", "revoked:sub:alice", "1800000000")
        #expect(harness.wait { harness.isRevoked("alice", issued: WallTime(seconds: 1_700_000_001)) })
        #expect(known?.since == since, "it is revoked for as long as it was")
        _ = try fixture.redis("DEL", "revoked:sub:alice")
        #expect(harness.wait { !harness.isRevoked("alice") })
        #expect(fixture.sees { if case .revocationLifted(_, .deleted) = $0 { true } else { false } })

        _ = try fixture.redis("SET", "revoked:jti:j-1", "1", "PX", "1000")
        #expect(harness.wait { harness.isRevoked("j-1", .token) })
        #expect(harness.wait { !harness.isRevoked("j-1", .token) })
        #expect(fixture.sees { if case .revocationLifted(_, .expired) = $0 { true } else { false } })
        #expect(try fixture.redis("EXISTS", "revoked:jti:j-1") == "0")
        harness.stop(ledger)
    }

    @Test func `that were there before are in force with the first answer, of any type`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        _ = try fixture.redis("SET", "revoked:sub:alice", "1", "EX", "300")
        _ = try fixture.redis("LPUSH", "revoked:jti:list", "1700000000")
        _ = try fixture.redis("HSET", "revoked:role:hash", "issued_before", "1")
        _ = try fixture.redis("SET", "revoked:key:idp/2024-05", "{broken")
        _ = try fixture.redis("SET", "revoked:iss:https://idp.example.org", "1795936156123")
        _ = try fixture.redis("SET", "revoked:sub:long", String(repeating: "9", count: 100_000))
        let ledger = try fixture.openConnected()
        #expect(harness.isRevoked("alice", issued: .now()))
        #expect(harness.isRevoked("list", .token, issued: .now()))
        #expect(harness.isRevoked("hash", .role, issued: .now()))
        #expect(harness.isRevoked("idp/2024-05", .key, issued: .now()))
        #expect(harness.isRevoked("https://idp.example.org", .issuer, issued: .now()))
        #expect(harness.isRevoked("long", issued: .now()))
        #expect(ledger.revocationCount == 6)
        harness.stop(ledger)
    }

    @Test func `of keys that name nothing are told once, and revoke nothing`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let keys = [
            "revoked:bogus", "revoked:user:alice", "revoked:sub:", "revoked:sub:" + String(repeating: "x", count: 513),
        ]
        for key in keys { _ = try fixture.redis("SET", key, "1") }
        _ = try fixture.redis("EVAL", "return redis.call('SET', 'revoked:sub:a' .. string.char(255) .. 'b', 1)", "0")
        #expect(harness.wait { ledger.totals.unparsableKeys == 5 })
        for key in keys { #expect(harness.events.contains(.unparsableKey(key)), "\(key.prefix(30))") }
        #expect(harness.events.contains(.unparsableKey("revoked:sub:a\u{fffd}b")))
        #expect(ledger.revocationCount == 0)
        #expect(!harness.isRevoked("a\u{fffd}b"))
        // One that is not UTF-8 is not taken for one that only looks as it is shown.
        _ = try fixture.redis("SET", "revoked:sub:a\u{fffd}b", "1")
        #expect(harness.wait { harness.isRevoked("a\u{fffd}b") })
        _ = try fixture.redis("EVAL", "return redis.call('DEL', 'revoked:sub:a' .. string.char(255) .. 'b')", "0")
        _ = try fixture.redis("SET", "revoked:sub:marker", "1")
        #expect(harness.wait { harness.isRevoked("marker") })
        #expect(harness.isRevoked("a\u{fffd}b"))
        #expect(ledger.totals.unparsableKeys == 5)
        harness.stop(ledger)
    }

    @Test func `are taken in by thousands at the start, and let go`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let fill = "for i = 1, 20000 do redis.call('SET', 'revoked:jti:' .. i, 1, 'EX', 300) end"
        _ = try fixture.redis("EVAL", fill, "0")
        let ledger = try fixture.openConnected()
        #expect(harness.revoked.count == 20_000)
        #expect(
            harness.isRevoked("1", .token) && harness.isRevoked("20000", .token) && !harness.isRevoked("20001", .token))
        let seen = harness.events.count { if case .revocationSeen = $0 { true } else { false } }
        #expect(seen == 1_000, "more at once are no news that deserves a record each")
        #expect(ledger.totals.revocationsSeen == 20_000)
        _ = try fixture.redis("EVAL", "for i = 1, 20000 do redis.call('DEL', 'revoked:jti:' .. i) end", "0")
        #expect(harness.wait { harness.revoked.count == 0 })
        harness.stop(ledger)
    }

    // MARK: Redis is away, or has lost its data

    @Test func `all come back after FLUSHALL, with what is left of them`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.revoke(
            ledger, revocation("alice", cutoff: .issuedBefore(WallTime(seconds: 2_000_000_000)), for: .seconds(300)))
        _ = try fixture.redis("SET", "revoked:role:admin", "1")
        #expect(harness.wait { harness.isRevoked("admin", .role) })
        _ = try fixture.redis("SET", "ip_block:192.0.2.1", "1")
        #expect(harness.wait { harness.isBlocked("192.0.2.1") })
        _ = try harness.revoke(ledger, revocation("bob"))
        _ = try harness.unrevoke(ledger, "bob")
        _ = try fixture.redis("FLUSHALL")
        #expect(fixture.sees { $0 == .flushDetected(blocks: 0, revocations: 2) })
        #expect(harness.isRevoked("alice") && harness.isRevoked("admin", .role) && !harness.isRevoked("bob"))
        #expect(harness.wait { (try? fixture.redis("EXISTS", "gateway:epoch")) == "1" })
        #expect((280...300).contains(try fixture.server.integer("TTL", "revoked:sub:alice")))
        #expect(try fixture.redis("GET", "revoked:sub:alice").contains(#""issued_before":"2033-05-18T03:33:20.000Z""#))
        #expect(try fixture.redis("EXISTS", "revoked:role:admin", "revoked:sub:bob") == "1")
        let lifted = harness.events.contains {
            if case .revocationLifted(let record, _) = $0 { record.target.text != "bob" } else { false }
        }
        #expect(!lifted, "none was out of force for a moment")
        harness.stop(ledger)
    }

    /// Whoever comes first to an empty Redis says that it has data; the others must not take that for theirs.
    @Test func `come back from a replica that knew them, also when a new one was there before it`() throws {
        let fixture = try RedisFixture(deadline: .milliseconds(200))
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.revoke(ledger, revocation("alice"))
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        try fixture.server.start()
        // The new replica has been faster: it found nothing, and said that it was there.
        _ = try fixture.redis("SET", "gateway:epoch", "2026-11-29T07:00:00.000Z")
        #expect(harness.wait { ledger.state == .connected && ledger.resync == nil })
        #expect(harness.isRevoked("alice"))
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice")) == "1" })
        harness.stop(ledger)
    }

    @Test func `that were deleted while the session was lost are no more`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for name in ["alice", "bob"] { _ = try harness.revoke(ledger, revocation(name)) }
        _ = try fixture.redis(
            "EVAL",
            "redis.call('DEL', 'revoked:sub:alice') redis.call('SET', 'revoked:sub:carol', 1) return 1", "0")
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        #expect(harness.wait { !harness.isRevoked("alice") && harness.isRevoked("carol") && harness.isRevoked("bob") })
        #expect(harness.wait { ledger.state == .connected })
        harness.stop(ledger)
    }

    @Test func `hold here at once while Redis is away, and are carried over`() throws {
        let fixture = try RedisFixture(
            options: ["--appendonly", "yes", "--appendfsync", "always"], deadline: .milliseconds(200))
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for name in ["old", "again"] { _ = try harness.revoke(ledger, revocation(name)) }
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        #expect(harness.isRevoked("old"))
        let record = revocation("alice", for: .seconds(300))
        #expect(try harness.revoke(ledger, record) == .local)
        #expect(harness.isRevoked("alice"))
        #expect(harness.events.contains(.revokedByCommand(record, decider: .local)))
        let lifted = try harness.unrevoke(ledger, "old")
        #expect(lifted.lifted != nil && lifted.decider == .local)
        #expect(!harness.isRevoked("old"))
        // Both ways and back: what was said last counts.
        _ = try harness.unrevoke(ledger, "again")
        _ = try harness.revoke(ledger, revocation("again"))
        _ = try harness.revoke(ledger, revocation("never"))
        _ = try harness.unrevoke(ledger, "never")

        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice", "revoked:sub:again")) == "2" })
        #expect(try fixture.redis("EXISTS", "revoked:sub:old", "revoked:sub:never") == "0")
        #expect(try fixture.server.integer("TTL", "revoked:sub:alice") > 250)
        #expect(harness.wait { ledger.pendingRevocations.isEmpty && ledger.pendingRevocationLifts.isEmpty })
        #expect(harness.names(ledger) == ["alice", "again"])
        harness.stop(ledger)
    }

    @Test func `set and taken back while Redis is away outlive a restart that finds it still away`() throws {
        let fixture = try RedisFixture(
            options: ["--appendonly", "yes", "--appendfsync", "always"], deadline: .milliseconds(200))
        let harness = fixture.harness
        let first = try fixture.openConnected()
        for name in ["old", "kept"] { _ = try harness.revoke(first, revocation(name)) }
        fixture.server.kill()
        #expect(harness.wait { first.state.word == "degraded" })
        _ = try harness.revoke(first, revocation("alice"))
        _ = try harness.unrevoke(first, "old")
        harness.stop(first)

        let second = try fixture.open()
        #expect(second.isReady)
        #expect(harness.isRevoked("kept") && harness.isRevoked("alice") && !harness.isRevoked("old"))
        try fixture.server.start()
        #expect(harness.wait { second.state == .connected })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice", "revoked:sub:kept")) == "2" })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:old")) == "0" })
        #expect(harness.wait { second.pendingRevocations.isEmpty && second.pendingRevocationLifts.isEmpty })
        #expect(harness.names(second) == ["kept", "alice"])
        harness.stop(second)
    }

    @Test func `are carried over when Redis refuses to write for a while`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.revoke(ledger, revocation("old"))
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "1")
        #expect(try harness.revoke(ledger, revocation("alice")) == .local)
        #expect(harness.isRevoked("alice"))
        #expect(try harness.unrevoke(ledger, "old").decider == .local)
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice")) == "1" })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:old")) == "0" })
        #expect(harness.wait { ledger.state == .connected })
        harness.stop(ledger)
    }

    @Test func `taken back while Redis refuses to write are carried over by themselves`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.revoke(ledger, revocation("old"))
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "1")
        #expect(try harness.unrevoke(ledger, "old").decider == .local)
        #expect(ledger.state.word == "degraded")
        _ = try fixture.redis("CONFIG", "SET", "min-replicas-to-write", "0")
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:old")) == "0" })
        #expect(harness.wait { ledger.state == .connected })
        #expect(ledger.totals.reconnects == 0)
        harness.stop(ledger)
    }

    /// A crash in this moment must not bring the former end back.
    @Test func `that are set again in the moment in which they end are on the disk`() throws {
        let fixture = try RedisFixture(isStarted: false)
        let harness = fixture.harness
        let ledger = try fixture.open(startupWait: .milliseconds(50))
        harness.onEvent = { [unowned ledger, unowned harness] event in
            guard case .revocationLifted(_, .expired) = event else { return }
            harness.onEvent = nil
            ledger.revoke(revocation("alice")) { _ in }
        }
        _ = try harness.revoke(ledger, revocation("alice", for: .milliseconds(20)))
        #expect(harness.wait { harness.onEvent == nil })
        #expect(harness.isRevoked("alice"))
        harness.stop(ledger)
        let second = try fixture.open()
        #expect(harness.names(second) == ["alice"])
        #expect(second.pendingRevocations.count == 1)
        harness.stop(second)
    }
}
