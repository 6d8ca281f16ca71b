import Policy
import Testing
import Transport
import Wire

@testable import Ledger

@Suite struct `Revocations in the embedded ledger` {
    let directory = TemporaryDirectory()
    let harness = Harness()

    private func open() throws -> EmbeddedLedger {
        let ledger = try EmbeddedLedger(
            rule: fiveFailures, stateDirectory: directory.path, on: harness.loop, sink: harness)
        ledger.start()
        return ledger
    }

    @Test func `are in force before the operator is answered, and on the disk when he is`() throws {
        let ledger = try open()
        let record = revocation("mallory")
        var decider: Decider?
        ledger.revoke(record) { decider = $0 }
        #expect(harness.isRevoked("mallory"))
        #expect(!harness.isRevoked("alice"))
        #expect(harness.events.contains(.revokedByCommand(record, decider: .authority)))
        #expect(harness.wait { decider != nil })
        #expect(decider == .authority)
        var state = JournalState()
        _ = JournalCoding.replay(contents(of: directory.path + "/" + EmbeddedLedger.journalName), into: &state)
        #expect(state.revocations[record.target]?.record.actor == "alice")
        #expect(ledger.revocations() == [record])
        #expect(ledger.revocationCount == 1)
        #expect(ledger.totals.revocationsSet == 1)
        harness.stop(ledger)
    }

    @Test func `are taken back, once`() throws {
        let ledger = try open()
        let record = revocation("j-1", .token)
        _ = try harness.revoke(ledger, record)
        #expect(try harness.unrevoke(ledger, "j-1", .token).lifted == record)
        #expect(!harness.isRevoked("j-1", .token))
        #expect(harness.events.contains(.revocationLifted(record, .command(actor: "bob"))))
        harness.forgetEvents()
        let again = try harness.unrevoke(ledger, "j-1", .token)
        #expect(again.lifted == nil && again.decider == .authority)
        #expect(harness.events == [])
        #expect(ledger.totals.revocationsLifted == 1)
        harness.stop(ledger)
        let second = try open()
        #expect(second.revocations() == [])
        harness.stop(second)
    }

    @Test func `are replaced by a later one of the same name`() throws {
        let ledger = try open()
        _ = try harness.revoke(ledger, revocation("alice"))
        _ = try harness.revoke(ledger, revocation("alice", cutoff: .issuedBefore(WallTime(seconds: 999))))
        #expect(!harness.isRevoked("alice"))
        #expect(harness.isRevoked("alice", issued: WallTime(seconds: 999)))
        #expect(ledger.revocationCount == 1)
        harness.stop(ledger)
    }

    @Test func `end by themselves`() throws {
        let ledger = try open()
        _ = try harness.revoke(ledger, revocation("alice", for: .milliseconds(80)))
        _ = try harness.revoke(ledger, revocation("bob"))
        #expect(harness.isRevoked("alice"))
        #expect(harness.wait { !harness.isRevoked("alice") })
        #expect(harness.names(ledger) == ["bob"])
        #expect(
            harness.events.contains {
                if case .revocationLifted(let record, .expired) = $0 { record.target.text == "alice" } else { false }
            })
        harness.stop(ledger)
    }

    @Test func `outlive a restart, with their end, and those that are over do not`() throws {
        let first = try open()
        let time = WallTime(milliseconds: 1_700_000_000_123)
        _ = try harness.revoke(first, revocation("alice", cutoff: .issuedBefore(time), for: .seconds(300)))
        _ = try harness.revoke(first, revocation("idp/one", .key, reason: "leaked"))
        _ = try harness.revoke(first, revocation("admin", .role, for: .milliseconds(1)))
        harness.stop(first)

        let second = try open()
        #expect(harness.revocations.last.map { if case .replaceAll = $0 { true } else { false } } == true)
        #expect(harness.isRevoked("alice", issued: time))
        #expect(!harness.isRevoked("alice", issued: WallTime(milliseconds: 1_700_000_000_124)))
        #expect(harness.isRevoked("idp/one", .key))
        #expect(harness.names(second) == ["alice", "idp/one"])
        let left = try #require(second.revocations().first { $0.target.text == "alice" }?.remaining(at: .now()))
        #expect(left > .seconds(280) && left <= .seconds(300))
        harness.stop(second)
    }
}
