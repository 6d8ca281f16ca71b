import Policy
import Testing
import Transport
import Wire

@testable import Ledger

extension Harness {
    fileprivate func share(_ ledger: any Ledger, _ id: String, _ sealed: String?) throws -> Decider {
        var outcome: Decider?
        ledger.share(try #require(SharedName(.key, id)), sealed.map { SharedText($0) }) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }
}

@Suite struct `Keys added to the embedded ledger` {
    @Test func `are told at once, and again after a restart, until they are taken away`() throws {
        let directory = TemporaryDirectory()
        for round in 0..<3 {
            let harness = Harness()
            let ledger = try EmbeddedLedger(
                rule: fiveFailures, stateDirectory: directory.path, on: harness.loop, sink: harness)
            ledger.start()
            #expect(harness.sharedKeys == [[:], ["new": "s1"], [:]][round])
            if round < 2 {
                #expect(try harness.share(ledger, "new", ["s1", nil][round]) == .authority)
                #expect(harness.sharedKeys == [["new": "s1"], [:]][round])
            }
            harness.stop(ledger)
        }
    }
}

@Suite struct `An added key in the journal` {
    @Test func `comes back whole, however long it may be`() throws {
        let sealed = String(repeating: "A", count: longestSharedText)
        let (a, b) = (try #require(SharedName(.key, "a")), try #require(SharedName(.key, "b")))
        var bytes = JournalCoding.magic
        for record in [
            JournalRecord.shared(a, StoredText(text: sealed)), .shared(b, StoredText(text: "s")), .sharedRemoved(b),
            .sharedPending(a), .sharedPending(b), .sharedSettled(b),
        ] { JournalCoding.append(record, to: &bytes) }
        var state = JournalState()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.shared == [a: StoredText(text: sealed)])
        #expect(state.pendingShared == [a])
        var again = JournalCoding.magic
        try state.forEachRecord { JournalCoding.append($0, to: &again) }
        var other = JournalState()
        _ = JournalCoding.replay(again, into: &other)
        #expect(other == state)
    }

    @Test(arguments: ["", "a b", "a/b", "é", "a:b", String(repeating: "a", count: 129)])
    func `has a name that needs no quoting`(_ name: String) {
        #expect(!SharedKeyName.isSound(name))
        #expect(SharedName(storeKey: "keyring:" + name) == nil)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Keys added on a real Redis` {
    @Test func `are in the store, and leave it again`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        #expect(try harness.share(ledger, "new", "sealed") == .authority)
        #expect(harness.sharedKeys == ["new": "sealed"])
        #expect(try fixture.redis("GET", "keyring:new") == "sealed")
        #expect(try harness.share(ledger, "new", nil) == .authority)
        #expect(try fixture.redis("EXISTS", "keyring:new") == "0")
        #expect(harness.sharedKeys == [:])
        harness.stop(ledger)
    }

    @Test func `follow the store, and come back when its data is lost`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "keyring:theirs", "one")
        #expect(harness.wait { harness.sharedKeys == ["theirs": "one"] })
        _ = try fixture.redis("SET", "keyring:theirs", "two")
        #expect(harness.wait { harness.sharedKeys == ["theirs": "two"] })
        _ = try fixture.redis("FLUSHALL")
        #expect(harness.wait { (try? fixture.redis("GET", "keyring:theirs")) == "two" })
        #expect(harness.sharedKeys == ["theirs": "two"])
        _ = try fixture.redis("DEL", "keyring:theirs")
        #expect(harness.wait { harness.sharedKeys == [:] })
        _ = try fixture.redis("SET", "keyring:a/b", "no")
        #expect(fixture.sees { $0 == .unparsableKey("keyring:a/b") })
        #expect(harness.sharedKeys == [:])
        harness.stop(ledger)
    }

    @Test func `are told to the store when it is back`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        #expect(try harness.share(ledger, "gone", "g") == .authority)
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        #expect(try harness.share(ledger, "new", "sealed") == .local)
        #expect(try harness.share(ledger, "gone", nil) == .local)
        #expect(harness.sharedKeys == ["new": "sealed"])
        try fixture.server.start()
        #expect(harness.wait { (try? fixture.redis("GET", "keyring:new")) == "sealed" })
        #expect(harness.wait { ledger.state == .connected })
        #expect(try fixture.redis("EXISTS", "keyring:gone") == "0")
        #expect(harness.sharedKeys == ["new": "sealed"])
        harness.stop(ledger)
    }
}
