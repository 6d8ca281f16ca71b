import Policy
import Testing
import Transport
import Wire

@testable import Ledger

private let admin = SharedName(.lockdown, "/admin")!

extension Harness {
    fileprivate var lockdowns: [String: String] { texts(.lockdown) }

    fileprivate func share(_ ledger: any Ledger, _ text: SharedText?) throws -> Decider {
        var outcome: Decider?
        ledger.share(admin, text) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }
}

@Suite struct `A lockdown in the embedded ledger` {
    @Test func `has the same end after a restart, and is over by itself`() throws {
        let directory = TemporaryDirectory()
        let end = Instant.now() + .seconds(3)
        for round in 0..<2 {
            let harness = Harness()
            let ledger = try EmbeddedLedger(
                rule: fiveFailures, stateDirectory: directory.path, on: harness.loop, sink: harness)
            ledger.start()
            if round == 0 {
                #expect(try harness.share(ledger, SharedText("until", until: end)) == .authority)
            } else {
                #expect(harness.lockdowns == ["/admin": "until"])
                let restored = try #require(harness.shared[admin]?.deadline)
                #expect(restored - end < .milliseconds(50) && end - restored < .milliseconds(50))
                #expect(harness.wait { harness.lockdowns.isEmpty })
                #expect(Instant.now() >= restored)
            }
            harness.stop(ledger)
        }
    }

    @Test func `that ended while nobody was there does not come back`() throws {
        var state = JournalState()
        state.apply(.shared(admin, StoredText(text: "x", deadline: WallTime(milliseconds: 1_000))))
        state.apply(.sharedPending(admin))
        state.expire(at: WallTime(milliseconds: 999))
        #expect(state.shared.count == 1 && state.pendingShared == [admin])
        state.expire(at: WallTime(milliseconds: 1_000))
        #expect(state.shared.isEmpty && state.pendingShared.isEmpty)
    }
}

@Suite struct `A lockdown in the journal` {
    @Test func `comes back whole, with its end`() throws {
        let long = try #require(SharedName(.lockdown, String(repeating: "r", count: Lockdown.longestName)))
        let text = StoredText(
            text: String(repeating: "x", count: longestSharedText), deadline: WallTime(milliseconds: 1_800_000_000_000))
        var bytes = JournalCoding.magic
        for record in [
            JournalRecord.shared(long, text), .shared(admin, StoredText(text: "")), .sharedPending(admin),
            .sharedPending(long), .sharedSettled(long),
        ] { JournalCoding.append(record, to: &bytes) }
        var state = JournalState()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.shared == [long: text, admin: StoredText(text: "")])
        #expect(state.pendingShared == [admin])
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `A lockdown on a real Redis` {
    @Test func `has its end in the store, and comes back with it when the data is lost`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        #expect(try harness.share(ledger, SharedText("text", until: .now() + .seconds(300))) == .authority)
        #expect(try fixture.redis("GET", "lockdown:/admin") == "text")
        #expect((280...300).contains(try fixture.server.integer("TTL", "lockdown:/admin")))
        _ = try fixture.redis("FLUSHALL")
        #expect(harness.wait { (try? fixture.redis("GET", "lockdown:/admin")) == "text" })
        #expect((270...300).contains(try fixture.server.integer("TTL", "lockdown:/admin")))
        #expect(harness.lockdowns == ["/admin": "text"])
        #expect(try harness.share(ledger, nil) == .authority)
        #expect(try fixture.redis("EXISTS", "lockdown:/admin") == "0")
        #expect(harness.lockdowns == [:])
        harness.stop(ledger)
    }

    @Test func `is whatever stands there, of any type, until it goes`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "lockdown:/admin", "1", "EX", "300")
        #expect(harness.wait { harness.lockdowns == ["/admin": "1"] })
        let end = try #require(harness.shared[admin]?.deadline)
        #expect(end - .now() < .seconds(301) && end - .now() > .seconds(270))
        _ = try fixture.redis("EXPIRE", "lockdown:/admin", "3000")
        #expect(harness.wait { (harness.shared[admin]?.deadline ?? end) - end > .seconds(1_000) })
        _ = try fixture.redis("PERSIST", "lockdown:/admin")
        #expect(harness.wait { harness.shared[admin]?.deadline == .never })
        _ = try fixture.redis("DEL", "lockdown:/admin")
        #expect(harness.wait { harness.lockdowns.isEmpty })
        _ = try fixture.redis("LPUSH", "lockdown:/admin", "x")
        #expect(harness.wait { harness.lockdowns == ["/admin": ""] })
        _ = try fixture.redis("SET", "lockdown:a b", "1")
        #expect(fixture.sees { $0 == .unparsableKey("lockdown:a b") })
        #expect(harness.lockdowns == ["/admin": ""])
        harness.stop(ledger)
    }

    @Test func `ends by itself, also while Redis is away, and is not told to it afterwards`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        let end = Instant.now() + .milliseconds(300)
        #expect(try harness.share(ledger, SharedText("text", until: end)) == .local)
        #expect(harness.lockdowns == ["/admin": "text"])
        #expect(harness.wait { harness.lockdowns.isEmpty })
        #expect(Instant.now() >= end)
        try fixture.server.start()
        // Somebody else's, which has nothing to do with ours. The ledger is not there yet: nobody turns its loop.
        _ = try fixture.redis("SET", "lockdown:/admin", "theirs", "EX", "300")
        #expect(harness.wait { ledger.state == .connected && harness.lockdowns == ["/admin": "theirs"] })
        #expect(try fixture.redis("GET", "lockdown:/admin") == "theirs")
        harness.stop(ledger)
    }
}
