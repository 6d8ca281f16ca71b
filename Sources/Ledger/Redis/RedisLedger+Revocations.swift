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
        let noted = noteSet(RevocationKey.of(record.target), overHand: revocationBook[record.target]?.origin == .byHand)
        revocationBook.set(record)
        outgoing.revoke(record.entry)
        journal?.append(
            [
                .revocation(StoredRevocation(record, clock: clock, isPending: true)),
                .revocationLiftSettled(record.target),
            ] + noted, durable: true)
        scheduleExpiry()
        sendDelta()
        let done = { [self] (decider: Decider) in
            sink.ledger(noted: .revokedByCommand(record, decider: decider))
            completion(decider)
        }
        guard let authority else { return done(.local) }
        let telling = Telling.now(record.since)
        tell(record, telling, authority) { [weak self] reply in
            guard let self else { return }
            if let error = reply?.error {
                degrade(.refusing, error)
            } else if let reply {
                told(record, telling, reply)
            }
            done(reply == nil || reply?.error != nil ? .local : .authority)
        }
    }

    package func unrevoke(
        _ target: RevocationTarget, actor: String, completion: @escaping (RevocationRecord?, Decider) -> Void
    ) {
        sendDelta()
        let wall = clock.wall()
        let noted = note(RevocationKey.of(target), overHand: revocationBook[target]?.origin == .byHand, at: wall)
        var lifted: RevocationRecord?
        if case .ended(let record) = revocationBook.remove(target), record.deadline > clock.now() { lifted = record }
        pendingRevocations.remove(target)
        pendingRevocationLifts.insert(target)
        outgoing.unrevoke(target)
        journal?.append([noted, .revocationLifted(target), .pendingRevocationLift(target)], durable: true)
        sendDelta()
        if let lifted {
            totals.revocationsLifted += 1
            sink.ledger(noted: .revocationLifted(lifted, .command(actor: actor)))
        }
        guard let authority else { return completion(lifted, .local) }
        deleteRevocations([target], authority, telling: { _ in .now(wall) }) {
            completion(lifted, $0 ? .authority : .local)
        }
    }

    // MARK: Carrying over

    /// What was taken back while Redis was away, or refused to write.
    func uploadRevocationLifts(_ session: any RedisStore) {
        let targets = RedisLedger.next(of: pendingRevocationLifts, besides: uploadingRevocationLifts)
        guard !targets.isEmpty else { return }
        uploadingRevocationLifts.formUnion(targets)
        let words = Dictionary(uniqueKeysWithValues: targets.map { ($0, word(of: RevocationKey.of($0))) })
        deleteRevocations(targets, session, telling: { .carried(words[$0]!) }) { [weak self] isDone in
            guard let self, self.session === session else { return }
            uploadingRevocationLifts.subtract(targets)
            guard isDone else { return }
            if isRefusing { recover() } else { uploadRevocationLifts(session) }
        }
    }

    private func deleteRevocations(
        _ targets: [RevocationTarget], _ session: any RedisStore, telling: (RevocationTarget) -> Telling,
        completion: @escaping (Bool) -> Void
    ) {
        var left = targets.count
        var isDone = true
        var refusal: String?
        var overtakenKeys: [(String, Telling)] = []
        for target in targets {
            let key = RevocationKey.of(target)
            let told = telling(target)
            say(.drop, of: key, told, session) { [weak self] reply in
                if reply?.integer == 0 { overtakenKeys.append((key, told)) }
                isDone = isDone && reply != nil && reply?.error == nil
                refusal = reply?.error ?? refusal
                left -= 1
                guard left == 0, let self else { return }
                if isDone {
                    // Something else may have been said of some of them since.
                    let settled = targets.filter { pendingRevocationLifts.remove($0) != nil }
                    for target in settled {
                        let key = RevocationKey.of(target)
                        if !overtakenKeys.contains(where: { $0.0 == key }) {
                            took(.revocationLift(target), word(of: key))
                        }
                        settleWord(of: key)
                    }
                    save(settled.map { .revocationLiftSettled($0) })
                    for (key, telling) in overtakenKeys { overtaken(key, telling) }
                }
                // It is asked again from time to time.
                if let refusal { degrade(.refusing, refusal) }
                completion(isDone)
            }
        }
    }

    /// A slice at a time; the answer to its last one sends the next.
    func uploadRevocations(_ session: any RedisStore) {
        let now = clock.now()
        for target in RedisLedger.next(of: pendingRevocations, besides: uploadingRevocations) {
            let key = RevocationKey.of(target)
            guard let record = revocationBook[target], record.deadline > now else {
                pendingRevocations.remove(target)
                settleWord(of: key)
                continue
            }
            uploadingRevocations.insert(target)
            let telling = tellingOfSet(key, since: record.since)
            tell(record, telling, session) { [weak self] reply in
                guard let self, let reply else { return }
                uploadingRevocations.remove(target)
                if let error = reply.error { return degrade(.refusing, error) }
                told(record, telling, reply)
                if isRefusing { recover() }
                if uploadingRevocations.isEmpty, !isRefusing, self.session === session { uploadRevocations(session) }
            }
        }
    }

    /// The store has it, or something later. Another one of the same target may have been set since.
    private func told(_ record: RevocationRecord, _ telling: Telling, _ reply: RESPValue) {
        guard revocationBook[record.target] == record, pendingRevocations.remove(record.target) != nil else { return }
        let key = RevocationKey.of(record.target)
        settleWord(of: key)
        save([.revocation(StoredRevocation(record, clock: clock))])
        if reply.integer == 0 { overtaken(key, telling) }
    }

    private func tell(
        _ record: RevocationRecord, _ telling: Telling, _ session: any RedisStore,
        completion: @escaping (RESPValue?) -> Void
    ) {
        say(
            .set(RevocationValue(record).text, left: record.remaining(at: clock.now()), isMarked: false),
            of: RevocationKey.of(record.target), telling, session, completion: completion)
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
        // Whoever types it does not count the number up.
        if record.origin == .byHand, resync == nil, let session {
            goesOn(with: RevocationKey.of(record.target), session)
        }
        if mayAnnounce() { sink.ledger(noted: .revocationSeen(record)) }
    }

    /// At the end of a resynchronisation.
    var unseenRevocations: [RevocationRecord] {
        let now = clock.now()
        return revocationBook.unseen().filter { $0.deadline > now && !isOnItsWay(RevocationKey.of($0.target)) }
    }

    /// A slice with each round trip, as of blocks.
    func settleMissingRevocations(_ missing: ArraySlice<RevocationRecord>, _ session: any RedisStore) {
        guard resync != nil else { return }
        var records: [JournalRecord] = []
        for record in missing.prefix(RedisLedger.slice)
        where revocationBook.isUnseen(record.target) && !pendingRevocations.contains(record.target) {
            if isKept(RevocationKey.of(record.target)) {
                // The store has the data that we knew: what is missing there was deleted.
                apply(revocationBook.remove(record.target), lifted: .deleted)
            } else {
                // Whoever loses them gives stolen tokens back: asked again until it is done.
                self.resync!.missing += 1
                self.resync!.restoredRevocations += 1
                pendingRevocations.insert(record.target)
                records += [
                    .revocation(StoredRevocation(record, clock: clock, isPending: true)),
                    noteRestored(RevocationKey.of(record.target)),
                ]
            }
        }
        save(records)
        if !records.isEmpty { uploadRevocations(session) }
        let rest = missing.dropFirst(RedisLedger.slice)
        guard !rest.isEmpty else { return endResync(session) }
        settleNext(session) { [unowned self] in settleMissingRevocations(rest, session) }
    }

    func expireRevocations() {
        for record in revocationBook.expire(at: clock.now()) {
            if pendingRevocations.remove(record.target) != nil { settleWord(of: RevocationKey.of(record.target)) }
            totals.revocationsLifted += 1
            outgoing.unrevoke(record.target)
            outgoing.records.append(.revocationLifted(record.target))
            sink.ledger(noted: .revocationLifted(record, .expired))
        }
        sendSoon()
    }
}
