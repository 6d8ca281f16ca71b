import Policy
import Testing
import Transport
import Wire

@testable import Ledger

@Suite struct `How far the data is` {
    private let key = "gateway:epoch"

    private func reading(_ text: String?, _ reached: Int64?) -> RedisEpochs.Reading {
        var reading = RedisEpochs.Reading()
        reading.texts[key] = text
        reading.reached[key] = reached
        reading.current = [key]
        return reading
    }

    private func known(_ text: String, _ reached: Int64) -> RedisEpochs {
        var epochs = RedisEpochs()
        _ = epochs.adopt([key: text], of: [key], reached: [key: reached])
        return epochs
    }

    @Test func `tells an older state of the same data from that data, and from other data`() {
        let epochs = known("a", 7)
        #expect(epochs.older(reading("a", 6)) == [key] && epochs.older(reading("a", 0)) == [key])
        #expect(epochs.older(reading("a", 7)) == [] && epochs.older(reading("a", 8)) == [])
        #expect(epochs.older(reading("a", nil)) == [], "nobody says")
        #expect(epochs.older(reading("b", 0)) == [] && epochs.older(reading(nil, 0)) == [])
        #expect(RedisEpochs().older(reading("a", 0)) == [], "nothing was known")
    }

    @Test func `is told to other replicas by the mark, which they do not know`() {
        let epochs = known("a", 7)
        let renewed = reading("b" + RedisEpochs.olderSuffix, 9)
        #expect(epochs.isOlder(renewed) && !epochs.isKept(key, renewed))
        #expect(!epochs.isOlder(reading("a", 6)) && !epochs.isOlder(reading("b", 0)), "not yet, and other data")
        #expect(!known("b" + RedisEpochs.olderSuffix, 9).isOlder(renewed), "it is known by now")
    }

    @Test func `goes up alone, but for data with another mark, and is kept in the journal`() {
        var epochs = known("a", 7)
        let isNews = [epochs.heard(8, of: key), epochs.heard(8, of: key), epochs.heard(3, of: key)]
        #expect(isNews == [true, false, false])
        let isOfOthers = epochs.heard(1, of: "gateway:epoch:{1}")
        #expect(!isOfOthers, "of no data that is known")
        #expect(RedisEpochs(text: epochs.text) == epochs)
        _ = epochs.adopt(["gateway:epoch": "a"], of: [key], reached: [key: 5])
        #expect(epochs.reached == [key: 8])
        _ = epochs.adopt([key: "b older"], of: [key], reached: [key: 5])
        #expect(epochs.reached == [key: 5] && epochs.known == [key: "b older"])
        #expect(RedisEpochs(text: epochs.text) == epochs)
        _ = epochs.adopt(["gateway:epoch:{1}": "c"], of: ["gateway:epoch:{1}"])
        #expect(epochs.reached == [:])
    }

    @Test func `stands where the rights of the gateway reach, with its server`() {
        #expect(RedisEpochs.counter(of: "gateway:epoch") == "gateway:said:{gateway:epoch}")
        let counter = RedisEpochs.counter(of: "gateway:epoch:{15}")
        #expect(counter.hasPrefix("gateway:epoch:") && RedisSlot.of(counter) == RedisSlot.of("gateway:epoch:{15}"))
    }
}

/// As when it is killed and begins from its last snapshot, which `save 3600 1` makes once an hour.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `A Redis that begins anew with older data` {
    private let brief = Interval.milliseconds(200)
    private let mark = "gateway:epoch"

    private func reaches(_ number: Int64, _ ledger: RedisLedger, _ harness: Harness) -> Bool {
        harness.wait { ledger.epochs.reached[mark] ?? 0 >= number }
    }

    @Test func `loses no revocation and brings none back, and it is no deletion by hand`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try harness.revoke(ledger, revocation("old"))
        #expect(reaches(1, ledger, harness))
        #expect(try fixture.redis("SAVE") == "OK")
        let saved = ledger.epochs.reached[mark] ?? 0
        _ = try harness.revoke(ledger, revocation("alice"))
        #expect(reaches(saved + 1, ledger, harness))
        _ = try harness.unrevoke(ledger, "old")
        #expect(reaches(saved + 2, ledger, harness))
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        harness.forgetEvents()
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected && ledger.resync == nil })
        #expect(harness.events.contains(.flushDetected(blocks: 0, revocations: 1)))
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice")) == "1" })
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:old")) == "0" })
        #expect(harness.isRevoked("alice") && !harness.isRevoked("old"))
        #expect(!harness.events.contains { if case .revocationLifted = $0 { true } else { false } })
        #expect(try fixture.redis("GET", mark).hasSuffix(RedisEpochs.olderSuffix))
        // Known by now: what somebody deletes from here on is deleted.
        #expect(harness.wait { ledger.pendingRevocations.isEmpty && ledger.pendingRevocationLifts.isEmpty })
        _ = try fixture.redis("DEL", "revoked:sub:alice")
        #expect(harness.wait { !harness.isRevoked("alice") })
        harness.stop(ledger)
    }

    @Test func `is noticed by a gateway that was restarted meanwhile, and by the one that came second`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let (harness, other) = (fixture.harness, Harness())
        let first = try fixture.openConnected()
        #expect(try fixture.redis("SAVE") == "OK")
        _ = try harness.revoke(first, revocation("alice"))
        #expect(reaches(1, first, harness))
        let second = try fixture.openReplica(of: first, for: other)
        #expect(other.isRevoked("alice"))
        harness.stop(first)
        fixture.server.kill()
        #expect(other.wait { second.state.word == "degraded" })
        try fixture.server.start()
        let again = try fixture.openConnected()
        #expect(harness.isRevoked("alice"))
        #expect(harness.wait { (try? fixture.redis("EXISTS", "revoked:sub:alice")) == "1" })
        #expect(other.wait { second.state == .connected && second.resync == nil })
        #expect(other.isRevoked("alice"))
        harness.stop(again)
        other.stop(second)
    }
}
