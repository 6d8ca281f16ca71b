import Policy
import Testing
import Wire

@testable import Ledger

/// The gateway goes back to an older version: its journal has records of kinds that this one does not know.
@Suite struct `A journal of a later version` {
    private func later(_ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        JournalCoding.put(UInt32(payload.count), to: &bytes)
        JournalCoding.put(CRC32.checksum(payload.span), to: &bytes)
        return bytes + payload
    }

    private func journal() -> [UInt8] {
        var bytes = JournalCoding.magic
        JournalCoding.append(.pendingLift(BlockSubject(IPNetwork("192.0.2.1")!)), to: &bytes)
        // A kind that is not known, one that is and has more in it, and one without anything.
        bytes += later([250, 1, 2, 3]) + later([10, 1]) + later([])
        JournalCoding.append(.pendingRevocationLift(RevocationTarget(.subject, "alice")!), to: &bytes)
        return bytes
    }

    @Test func `is read but for what only that one knows`() {
        var state = JournalState()
        let bytes = journal()
        #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
        #expect(state.pendingLifts == [BlockSubject(IPNetwork("192.0.2.1")!)])
        #expect(state.pendingRevocationLifts == [RevocationTarget(.subject, "alice")!])
        #expect(state.unknownRecords == 3 && !state.isComplete)
    }

    @Test func `is not cut off, and is told of`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/" + EmbeddedLedger.journalName
        write(journal(), to: path)
        let harness = Harness()
        let ledger = try EmbeddedLedger(
            rule: fiveFailures, stateDirectory: directory.path, on: harness.loop, sink: harness)
        ledger.start()
        #expect(harness.events.contains(.journalUnknown(records: 3)))
        #expect(!harness.events.contains { if case .journalTorn = $0 { true } else { false } })
        harness.stop(ledger)
        #expect(contents(of: path).starts(with: journal()))
    }

    @Test func `ends where a record is damaged, whatever its kind`() {
        var state = JournalState()
        var bytes = journal()
        let end = bytes.count
        bytes += later([251, 1])
        bytes[bytes.count - 1] ^= 1
        #expect(JournalCoding.replay(bytes, into: &state) == end)
    }
}
