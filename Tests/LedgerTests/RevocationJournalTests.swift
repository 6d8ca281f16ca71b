import Policy
import Testing
import Wire

@testable import Ledger

private func target(_ kind: RevocationTarget.Kind, _ name: String) -> RevocationTarget { RevocationTarget(kind, name)! }

private func stored(
    _ target: RevocationTarget, cutoff: RevocationCutoff = .everyToken, from: WallTime? = nil,
    origin: RevocationRecord.Origin = .command, reason: String = "stolen", actor: String = "alice",
    until deadline: WallTime? = nil, isPending: Bool = false
) -> StoredRevocation {
    StoredRevocation(
        RevocationRecord(
            target: target, cutoff: cutoff, from: from, origin: origin, reason: reason, actor: actor,
            since: WallTime(milliseconds: 1_700_000_000_001), deadline: .never),
        deadline: deadline, isPending: isPending)
}

private func replayed(_ records: [JournalRecord]) -> JournalState {
    var bytes = JournalCoding.magic
    for record in records { JournalCoding.append(record, to: &bytes) }
    var state = JournalState()
    #expect(JournalCoding.replay(bytes, into: &state) == bytes.count)
    return state
}

@Suite struct `A revocation in the journal` {
    private let all = [
        stored(target(.subject, "alice")),
        stored(target(.token, String(repeating: "é", count: 256)), until: WallTime(milliseconds: 1_800_000_000_002)),
        stored(
            target(.role, "a\u{0}\n:"), cutoff: .issuedBefore(WallTime(milliseconds: -5)), origin: .byHand,
            isPending: true),
        stored(
            target(.key, "idp/one"), cutoff: .issuedBefore(WallTime(milliseconds: 0)), from: WallTime(milliseconds: 0),
            reason: "", actor: ""),
        stored(
            target(.issuer, "\u{301}x"), from: WallTime(milliseconds: 1_900_000_000_003),
            until: WallTime(milliseconds: -1)),
    ]

    @Test func `comes back as it was`() {
        #expect(Set(all.map(\.record.target.kind)) == Set(RevocationTarget.Kind.allCases))
        let state = replayed(all.map { .revocation($0) })
        #expect(state.revocations.count == all.count)
        for one in all { #expect(state.revocations[one.record.target] == one) }
    }

    @Test func `is gone when it was lifted, and is pending until it is settled`() {
        let lift = target(.subject, "alice")
        #expect(replayed([.revocation(all[0]), .revocationLifted(lift)]) == JournalState())
        let pending = replayed([.pendingRevocationLift(lift), .pendingRevocationLift(all[1].record.target)])
        #expect(pending.pendingRevocationLifts == [lift, all[1].record.target])
        #expect(replayed([.pendingRevocationLift(lift), .revocationLiftSettled(lift)]) == JournalState())
        let again = stored(lift, isPending: true)
        #expect(replayed([.revocation(all[0]), .revocation(again)]).revocations == [lift: again])
    }

    @Test func `is the same after the journal was written anew, and over when its time is`() throws {
        var state = replayed(all.map { .revocation($0) } + [.pendingRevocationLift(target(.role, "x")), .complete])
        var bytes = JournalCoding.magic
        try state.forEachRecord { JournalCoding.append($0, to: &bytes) }
        var again = JournalState()
        #expect(JournalCoding.replay(bytes, into: &again) == bytes.count)
        #expect(again == state)
        state.expire(at: WallTime(milliseconds: 1_800_000_000_002))
        #expect(state.revocations.count == 3)
        #expect(state.revocations[all[1].record.target] == nil)
        #expect(state.revocations[all[4].record.target] == nil)
    }

    @Test func `keeps its place on disks that were written by an earlier version`() {
        // Kinds are numbered by their order in the list; another order would make users of roles.
        #expect(RevocationTarget.Kind.allCases.prefix(5).map(\.rawValue) == ["jti", "sub", "role", "key", "iss"])
        var bytes: [UInt8] = []
        JournalCoding.put(target(.subject, "al"), to: &bytes)
        #expect(bytes == [1, 2, 0, 97, 108])
    }

    @Test func `is whole or not there, wherever the write was torn`() {
        var bytes = JournalCoding.magic
        JournalCoding.append(.revocation(all[0]), to: &bytes)
        let good = bytes.count
        for record in [JournalRecord.revocation(all[3]), .revocationLifted(all[0].record.target)] {
            var longer = bytes
            JournalCoding.append(record, to: &longer)
            for length in good..<longer.count {
                var state = JournalState()
                #expect(JournalCoding.replay(Array(longer[..<length]), into: &state) == good)
                #expect(state.revocations == [all[0].record.target: all[0]])
            }
            for index in good..<longer.count {
                var damaged = longer
                damaged[index] ^= 0x20
                var state = JournalState()
                #expect(JournalCoding.replay(damaged, into: &state) == good)
            }
        }
    }

    /// The checksum does not guard against what another version wrote.
    @Test func `of another form is none, and does not bring the gateway down`() {
        var whole: [UInt8] = []
        JournalCoding.put(all[3], to: &whole)
        for length in 0..<whole.count {
            var cursor = JournalCoding.Cursor(bytes: whole, position: 0, end: length)
            #expect(cursor.revocation() == nil, "\(length)")
        }
        for (index, value) in [(0, UInt8(5)), (0, 255), (1, 0), (1, 255), (whole.count - 5, 0), (whole.count - 5, 3)] {
            var other = whole
            other[index] = value
            var cursor = JournalCoding.Cursor(bytes: other, position: 0, end: other.count)
            #expect(cursor.revocation() == nil, "\(index): \(value)")
        }
        let tooLong = [UInt8(1), 1, 2] + [UInt8](repeating: 97, count: 513)
        var cursor = JournalCoding.Cursor(bytes: tooLong, position: 0, end: tooLong.count)
        #expect(cursor.target() == nil)
        let empty: [UInt8] = [1, 0, 0]
        cursor = JournalCoding.Cursor(bytes: empty, position: 0, end: 3)
        #expect(cursor.target() == nil)
    }

    @Test func `fits into a record with the longest texts there are`() {
        let long = String(repeating: "x", count: 5_000)
        let largest = stored(target(.subject, String(repeating: "n", count: 512)), reason: long, actor: long)
        let state = replayed([.revocation(largest)])
        #expect(state.revocations.values.first?.record.reason == String(repeating: "x", count: 1_024))
    }
}
