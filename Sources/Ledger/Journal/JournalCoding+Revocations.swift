internal import Policy
internal import Wire

/// How revocations stand in the journal.
extension JournalCoding {
    static func put(_ target: RevocationTarget, to bytes: inout [UInt8]) {
        // Its place in the list: what is on disks must not change its meaning, so kinds are only ever added at the end.
        bytes.append(UInt8(RevocationTarget.Kind.allCases.firstIndex(of: target.kind)!))
        put(target.text, to: &bytes)
    }

    static func put(_ revocation: StoredRevocation, to bytes: inout [UInt8]) {
        let record = revocation.record
        put(record.target, to: &bytes)
        switch record.cutoff {
        case .everyToken: put(Int64.max, to: &bytes)
        case .issuedBefore(let time): put(time.milliseconds, to: &bytes)
        }
        put(record.from?.milliseconds ?? .min, to: &bytes)
        put(record.since.milliseconds, to: &bytes)
        put(revocation.deadline?.milliseconds ?? .max, to: &bytes)
        bytes.append(revocation.isPending ? 1 : 0)
        bytes.append(record.origin == .command ? 1 : 2)
        put(record.reason, to: &bytes)
        put(record.actor, to: &bytes)
    }
}

extension JournalCoding.Cursor {
    mutating func target() -> RevocationTarget? {
        let kinds = RevocationTarget.Kind.allCases
        guard let place = byte(), place < kinds.count, let name = text() else { return nil }
        return RevocationTarget(kinds[Int(place)], name)
    }

    mutating func revocation() -> StoredRevocation? {
        guard let target = target(), let cutoff = number(Int64.self), let from = number(Int64.self),
            let since = number(Int64.self), let deadline = number(Int64.self), let pending = byte(),
            let origin = byte(), (1...2).contains(origin), let reason = text(), let actor = text()
        else { return nil }
        let record = RevocationRecord(
            target: target, cutoff: cutoff == .max ? .everyToken : .issuedBefore(WallTime(milliseconds: cutoff)),
            from: from == .min ? nil : WallTime(milliseconds: from), origin: origin == 1 ? .command : .byHand,
            reason: reason, actor: actor, since: WallTime(milliseconds: since), deadline: .never)
        return StoredRevocation(
            record, deadline: deadline == .max ? nil : WallTime(milliseconds: deadline), isPending: pending == 1)
    }
}
