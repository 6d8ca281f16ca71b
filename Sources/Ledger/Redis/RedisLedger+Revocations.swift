package import Policy
internal import Wire

/// Revocations in the mirror: as blocks, but that no rule sets them, and that all of them come back when the store loses its data.
extension RedisLedger {
    package func revocations() -> [RevocationRecord] { revocationBook.records(at: clock.now()) }

    package func revocation(of target: RevocationTarget) -> RevocationRecord? {
        revocationBook.record(of: target, at: clock.now())
    }

    package var revocationCount: Int { revocationBook.count }

    // MARK: What operators do

    package func revoke(_ record: RevocationRecord, completion: @escaping (Decider) -> Void) {
        totals.revocationsSet += 1
        // What was learned before stands before it in the journal, too.
        sendDelta()
        // In force here at once; the store hears of it now or when it is back.
        pendingRevocations.insert(record.target)
        pendingRevocationLifts.remove(record.target)
        revocationBook.set(record)
        outgoing.revoke(record.entry)
        journal?.append(
            [
                .revocation(StoredRevocation(record, clock: clock, isPending: true)),
                .revocationLiftSettled(record.target),
            ], durable: true)
        scheduleExpiry()
        sendDelta()
        let done = { [self] (decider: Decider) in
            sink.ledger(noted: .revokedByCommand(record, decider: decider))
            completion(decider)
        }
        guard let authority else { return done(.local) }
        upload(record, [], authority) { [weak self] reply in
            guard let self else { return }
            if let error = reply?.error {
                degrade(.refusing, error)
            } else if reply != nil {
                uploaded(record)
            }
            done(reply == nil || reply?.error != nil ? .local : .authority)
        }
    }

    package func unrevoke(
        _ target: RevocationTarget, actor: String, completion: @escaping (RevocationRecord?, Decider) -> Void
    ) {
        sendDelta()
        var lifted: RevocationRecord?
        if case .ended(let record) = revocationBook.remove(target), record.deadline > clock.now() { lifted = record }
        pendingRevocations.remove(target)
        pendingRevocationLifts.insert(target)
        outgoing.unrevoke(target)
        journal?.append([.revocationLifted(target), .pendingRevocationLift(target)], durable: true)
        sendDelta()
        if let lifted {
            totals.revocationsLifted += 1
            sink.ledger(noted: .revocationLifted(lifted, .command(actor: actor)))
        }
        guard let authority else { return completion(lifted, .local) }
        deleteRevocations([target], authority) { completion(lifted, $0 ? .authority : .local) }
    }

    // MARK: Carrying over

    /// What was taken back while Redis was away, or refused to write.
    func uploadRevocationLifts(_ session: RedisSession) {
        deleteRevocations(Array(pendingRevocationLifts), session) { [weak self] isDone in
            if let self, isDone, isRefusing { recover() }
        }
    }

    private func deleteRevocations(
        _ targets: [RevocationTarget], _ session: RedisSession, completion: @escaping (Bool) -> Void
    ) {
        var isDone = true
        var refusal: String?
        for (index, target) in targets.enumerated() {
            session.call(["DEL", RevocationKey.of(target)]) { [weak self] reply in
                isDone = isDone && reply != nil && reply?.error == nil
                refusal = reply?.error ?? refusal
                guard index == targets.count - 1, let self else { return }
                if isDone {
                    pendingRevocationLifts.subtract(targets)
                    save(targets.map { .revocationLiftSettled($0) })
                }
                // It is asked again from time to time.
                if let refusal { degrade(.refusing, refusal) }
                completion(isDone)
            }
        }
    }

    func uploadRevocations(_ session: RedisSession) {
        let now = clock.now()
        for target in pendingRevocations.subtracting(uploadingRevocations) {
            guard let record = revocationBook[target], record.deadline > now else {
                pendingRevocations.remove(target)
                continue
            }
            uploadingRevocations.insert(target)
            upload(record, [], session) { [weak self] reply in
                guard let self, let reply else { return }
                uploadingRevocations.remove(target)
                if let error = reply.error { return degrade(.refusing, error) }
                if isRefusing { recover() }
                uploaded(record)
            }
        }
    }

    /// The store has it. Another one of the same target may have been set since.
    private func uploaded(_ record: RevocationRecord) {
        guard revocationBook[record.target] == record else { return }
        pendingRevocations.remove(record.target)
        save([.revocation(StoredRevocation(record, clock: clock))])
    }

    func upload(
        _ record: RevocationRecord, _ condition: [String], _ session: RedisSession,
        completion: @escaping (RESPValue?) -> Void
    ) {
        let left = record.remaining(at: clock.now()).map { ["PX", String(max(1, $0.milliseconds))] } ?? []
        session.call(
            ["SET", RevocationKey.of(record.target), RevocationValue(record).text] + condition + left,
            completion: completion)
    }

    // MARK: Learning

    /// What the store says of a key that begins with `RevocationKey.prefix`.
    func learnedRevocation(_ key: String, ttl: Int64, _ value: RESPValue) {
        guard let target = RevocationKey.target(of: key) else { return unparsable(key, isGone: ttl == -2) }
        // What an operator did here is on its way to the store; an older reading must not undo it.
        if pendingRevocationLifts.contains(target) || pendingRevocations.contains(target) { return }
        guard let deadline = deadline(ofTTL: ttl) else { return apply(revocationBook.remove(target)) }
        let read: RevocationValue =
            if case .bytes(let bytes) = value { RevocationValue(bytes) } else { RevocationValue([]) }
        var record = read.record(of: target, seen: clock.wall(), until: deadline)
        if let known = revocationBook[target] {
            if record.origin == .byHand, known.origin == .byHand { record.since = known.since }
            record.deadline = steady(record.deadline, known.deadline)
        }
        apply(revocationBook.set(record))
    }

    /// Passes a change on to workers, disk and audit.
    func apply(_ change: RevocationBook.Change, lifted cause: LiftCause? = nil) {
        switch change {
        case .none: return
        case .began(let record):
            outgoing.revoke(record.entry)
            outgoing.records.append(.revocation(StoredRevocation(record, clock: clock)))
            seen(record)
        case .changed(let record, let former):
            if record.entry != former.entry { outgoing.revoke(record.entry) }
            outgoing.records.append(.revocation(StoredRevocation(record, clock: clock)))
            if record.entry != former.entry || record.origin != former.origin { seen(record) }
        case .ended(let record):
            outgoing.unrevoke(record.target)
            outgoing.records.append(.revocationLifted(record.target))
            totals.revocationsLifted += 1
            let isOver = record.deadline <= clock.now() + .milliseconds(50)
            sink.ledger(noted: .revocationLifted(record, cause ?? (isOver ? .expired : .deleted)))
        }
        scheduleExpiry()
        sendSoon()
    }

    private func seen(_ record: RevocationRecord) {
        totals.revocationsSeen += 1
        if mayAnnounce() { sink.ledger(noted: .revocationSeen(record)) }
    }

    /// At the end of a resynchronisation.
    /// - Parameter isKept: the store has the data that we knew: what is missing there was deleted.
    /// - Returns: how many were put back.
    func settleMissingRevocations(isKept: Bool, _ session: RedisSession) -> (missing: Int, restored: Int) {
        let now = clock.now()
        let missing = revocationBook.unseen().filter { $0.deadline > now && !pendingRevocations.contains($0.target) }
        for record in missing {
            if isKept {
                apply(revocationBook.remove(record.target), lifted: .deleted)
            } else {
                // Whoever loses them gives stolen tokens back: asked again until it is done.
                pendingRevocations.insert(record.target)
                save([.revocation(StoredRevocation(record, clock: clock, isPending: true))])
                upload(record, ["NX"], session) { [weak self] reply in
                    guard let self, let reply else { return }
                    if let error = reply.error { return degrade(.refusing, error) }
                    uploaded(record)
                }
            }
        }
        return (missing.count, isKept ? 0 : missing.count)
    }

    func expireRevocations() {
        for record in revocationBook.expire(at: clock.now()) {
            pendingRevocations.remove(record.target)
            totals.revocationsLifted += 1
            outgoing.unrevoke(record.target)
            outgoing.records.append(.revocationLifted(record.target))
            sink.ledger(noted: .revocationLifted(record, .expired))
        }
        sendSoon()
    }
}
