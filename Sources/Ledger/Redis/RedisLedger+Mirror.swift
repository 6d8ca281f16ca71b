internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// One round of learning everything anew.
struct Resync {
    enum Step {
        case readingEpoch
        case scanning
        /// The scan is through; some keys are still being read.
        case reading
        /// What was not found is being put back, or taken out.
        case settling
    }
    var step = Step.readingEpoch
    /// The marks of the data, as the store has them.
    var epochs = RedisEpochs.Reading()
    /// What the scan did not find has been asked for by name.
    var isVerified = false
    /// Nobody could say of these: they are neither put back nor taken out.
    var onTheirWay: Set<StoreKey> = []
    let becauseOfFlush: Bool
    /// Distinguishes the replies of this round from those of one that was given up.
    let number: Int
    /// What was lost, and how much of it is put back.
    var missing = 0
    var restoredBlocks = 0
    var restoredRevocations = 0
    /// Hundreds of thousands of keys found at once are no news that deserves a record each.
    var announcements = 1_000
}

/// A key of the store, told apart by its bytes: to `String`, `é` in two spellings is one.
package struct StoreKey: Hashable {
    let text: String

    package static func == (a: StoreKey, b: StoreKey) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    package func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}

/// Changes on their way to the workers and to the disk, in order, in slices.
struct OutgoingChanges {
    enum State { case resting, scheduled }

    var state = State.resting
    var records: [JournalRecord] = []
    private var deltas: [BlockDelta] = []
    private var revocations: [RevocationDelta] = []
    var sharedChanged = false
    private static let slice = 1_024

    /// Workers know blocks of addresses; of accounts only the control thread hears.
    mutating func set(_ block: BlockRecord) {
        guard block.isOfAddresses else { return }
        let entry = block.entry
        if case .set(var entries) = deltas.last, entries.count < OutgoingChanges.slice {
            deltas.removeLast()
            entries.append(entry)
            deltas.append(.set(entries))
        } else {
            deltas.append(.set([entry]))
        }
    }

    mutating func lift(_ subject: BlockSubject) {
        guard subject.account == nil else { return }
        let network = subject.network
        if case .lift(var networks) = deltas.last, networks.count < OutgoingChanges.slice {
            deltas.removeLast()
            networks.append(network)
            deltas.append(.lift(networks))
        } else {
            deltas.append(.lift([network]))
        }
    }

    mutating func revoke(_ entry: RevocationEntry) {
        if case .set(var entries) = revocations.last, entries.count < OutgoingChanges.slice {
            revocations.removeLast()
            entries.append(entry)
            revocations.append(.set(entries))
        } else {
            revocations.append(.set([entry]))
        }
    }

    mutating func unrevoke(_ target: RevocationTarget) {
        if case .lift(var targets) = revocations.last, targets.count < OutgoingChanges.slice {
            revocations.removeLast()
            targets.append(target)
            revocations.append(.lift(targets))
        } else {
            revocations.append(.lift([target]))
        }
    }

    mutating func take() -> Taken {
        defer { self = OutgoingChanges() }
        return Taken(
            blocks: deltas, revocations: revocations, sharedChanged: sharedChanged, records: records)
    }

    struct Taken {
        var blocks: [BlockDelta]
        var revocations: [RevocationDelta]
        var sharedChanged: Bool
        var records: [JournalRecord]
    }
}

extension RedisLedger {
    /// Redis reports changes of these keys; nil: everything is gone.
    func invalidated(_ keys: [[UInt8]]?) {
        guard let keys else { return beginResync(becauseOfFlush: true) }
        for key in keys {
            if let text = String(validating: key, as: UTF8.self) {
                dirty.insert(StoreKey(text: text))
            } else {
                // No text asks for it, and it names nothing: names are UTF-8.
                unparsable(String(decoding: key, as: UTF8.self), isGone: false)
            }
        }
        fetch()
    }

    /// Where a key ends on our clock: nil when it is gone.
    func deadline(ofTTL milliseconds: Int64) -> Instant? {
        switch milliseconds {
        case -2: nil
        case 0..<Int64.max / 2_000_000: clock.now() + Interval(nanoseconds: milliseconds * 1_000_000)
        default: .never
        }
    }

    // MARK: Reading keys

    /// Reads what changed, some hundred keys with one write; a key that changes meanwhile is read again.
    func fetch() {
        guard let session, fetches < 4 else { return }
        while fetches < 4, !dirty.isEmpty {
            let keys = Array(dirty.prefix(256))
            dirty.subtract(keys)
            fetches += 1
            var found: [(key: String, value: RESPValue, ttl: Int64)] = []
            var moving: [String] = []
            var refusal: String?
            for key in keys.map(\.text) {
                var value: RESPValue?
                // Any type counts; only a string tells who set it. Read first: of a key that goes in between nothing is
                // believed.
                session.call(["GETRANGE", key, "0", "4095"]) { value = $0 }
                session.call(["PTTL", key]) { ttl in
                    let error = ttl?.error ?? value?.error.flatMap { $0.hasPrefix("WRONGTYPE") ? nil : $0 }
                    if let error, RedisLedger.saysMoving(error) { return moving.append(key) }
                    refusal = error ?? refusal
                    if let value, let ttl = ttl?.integer { found.append((key, value, ttl)) }
                }
            }
            // What is gone because all is gone was not deleted: the resynchronisation that follows puts it back.
            readEpochs(of: keys.map(\.text), session) { [weak self] reading in
                guard let self, self.session === session else { return }
                // Busy, or a right that was taken away: nobody would tell of these keys again.
                if let refusal = refusal ?? reading.refusal {
                    session.close()
                    return sessionLost(RedisRemedy.explain(refusal, user: configuration.username))
                }
                for one in found {
                    if one.ttl == -2, reading.unknown.contains(reading.owner(one.key)) {
                        moving.append(one.key)
                    } else if one.ttl != -2 || isDeleted(one.key, reading) {
                        learned(one.key, ttl: one.ttl, one.value)
                    }
                }
                heard(reading)
                readLater(moving)
                fetches -= 1
                // Another replica knew more, and has found it out first.
                if resync == nil, epochs.isOlder(reading) { beginResync(becauseOfFlush: false) }
                fetch()
                continueResync()
            }
        }
    }

    /// The session that would have answered is gone.
    func forgetQuestions() {
        replaying = []
        uploading = []
        uploadingLifts = []
        uploadingRevocations = []
        uploadingRevocationLifts = []
        dirty = []
        movingKeys = []
        fetches = 0
        resync = nil
    }

    private func learned(_ key: String, ttl: Int64, _ value: RESPValue) {
        if RevocationKey.isOne(key) { return learnedRevocation(key, ttl: ttl, value) }
        if SharedName.isMeant(key) { return learnedShared(key, ttl: ttl, value) }
        guard let subject = BlockKey.subject(ofBlock: key) else { return unparsable(key, isGone: ttl == -2) }
        // What an operator did here is on its way to the store; an older reading must not undo it.
        if pendingLifts.contains(subject) { return }
        if pendingBlocks.contains(subject), local.book[subject]?.origin == .command { return }
        guard let deadline = deadline(ofTTL: ttl) else {
            let change = local.book.remove(key: key)
            if pendingBlocks.contains(subject), case .ended(let record) = change {
                local.book.set(record)
            } else {
                apply(change, announced: false)
            }
            return
        }
        let ours: BlockValue? = if case .bytes(let bytes) = value { BlockValue(bytes) } else { nil }
        var record = record(subject, ours, until: deadline)
        if let known = local.book.record(ofKey: key) {
            if ours == nil, known.origin == .byHand { record.since = known.since }
            record.deadline = steady(record.deadline, known.deadline)
        }
        apply(local.book.set(record, key: key), announced: false)
    }

    /// Two readings of one deadline differ by the way there and back: the former stands.
    func steady(_ deadline: Instant, _ known: Instant) -> Instant {
        guard deadline != .never, known != .never else { return deadline }
        let difference = deadline - known
        return difference < .milliseconds(25) && .milliseconds(-25) < difference ? known : deadline
    }

    func unparsable(_ key: String, isGone: Bool) {
        if isGone {
            reportedKeys.remove(key)
        } else if reportedKeys.count < 10_000, reportedKeys.insert(key).inserted {
            totals.unparsableKeys += 1
            sink.ledger(noted: .unparsableKey(key))
        }
    }

    /// A block as the store's value describes it; nil is a value that tells nothing.
    func record(_ subject: BlockSubject, _ value: BlockValue?, until deadline: Instant) -> BlockRecord {
        if let value {
            return BlockRecord(
                subject, origin: value.origin, reason: value.reason, actor: value.by, since: value.at,
                deadline: deadline)
        }
        return BlockRecord(
            subject, origin: .byHand, reason: "set by hand", actor: "redis", since: clock.wall(),
            deadline: deadline)
    }

    // MARK: What follows from a change

    /// Passes a change on to workers, disk and audit.
    /// - Parameter announced: The caller has said more about it than could be said here.
    func apply(_ change: BlockBook.Change, announced: Bool, lifted cause: LiftCause? = nil) {
        switch change {
        case .none: return
        case .began(let record):
            if record.isAutomatic, !announced {
                local.noteBlock(record, after: local.blocks(of: record.subject, at: clock.now()))
            }
            outgoing.set(record)
            outgoing.records.append(.block(StoredBlock(record, clock: clock)))
            if !announced { seen(record) }
        case .changed(let record, let former):
            if record.deadline != former.deadline { outgoing.set(record) }
            outgoing.records.append(.block(StoredBlock(record, clock: clock)))
            if !announced,
                record.isPermanent != former.isPermanent || record.origin != former.origin
                    || record.deadline - former.deadline > .seconds(1)
                    || former.deadline - record.deadline > .seconds(1)
            {
                seen(record)
            }
        case .ended(let record):
            outgoing.lift(record.subject)
            outgoing.records.append(.lift(record.subject))
            totals.blocksLifted += 1
            let left = record.deadline - clock.now()
            let isLifted = left > .seconds(2)
            // Whoever lifts it by hand has most likely deleted the counters too: what we remember of them is stale. Else it is
            // over, and Redis has noticed first: only the count of the rule that set it ends with it.
            for key in local.rules.keys(countedFor: record.subject)
            where isLifted || record.isAutomatic && record.reason == LocalLedger.reason(of: key) {
                local.counters.clear(key)
            }
            if isLifted { forgetHistory(of: record) }
            if !announced {
                let isOver = left <= .milliseconds(50)
                sink.ledger(noted: .lifted(record, cause ?? (isOver ? .expired : .deleted)))
            }
        }
        scheduleExpiry()
        sendSoon()
    }

    /// Whoever lifts a block by hand means that it was a mistake: the next one is a first one again.
    private func forgetHistory(of record: BlockRecord) {
        guard local.rules.escalates, record.isAutomatic else { return }
        local.history.clear(.history(of: record.subject))
        session?.call(["DEL", BlockKey.history(record.subject)])
    }

    /// What changes in one turn leaves together.
    func sendSoon() {
        guard outgoing.state == .resting else { return }
        outgoing.state = .scheduled
        loop.atEndOfTurn { [weak self] in self?.sendDelta() }
    }

    func sendDelta() {
        let changes = outgoing.take()
        for delta in changes.blocks { sink.ledger(changed: delta) }
        for delta in changes.revocations { sink.ledger(revoked: delta) }
        if changes.sharedChanged { sink.ledger(shared: sharedBook) }
        save(changes.records)
    }

    private func seen(_ record: BlockRecord) {
        totals.blocksSeen += 1
        guard mayAnnounce() else { return }
        sink.ledger(noted: .blockSeen(record))
        if record.isPermanent, record.origin == .byHand { sink.ledger(noted: .permanentBlock(record)) }
    }

    /// Whether one more that was found deserves a record.
    func mayAnnounce() -> Bool {
        guard resync != nil else { return true }
        guard resync!.announcements > 0 else { return false }
        resync!.announcements -= 1
        return true
    }

    // MARK: Mark and sweep

    /// Everything known stays in force until the scan is complete.
    func beginResync(becauseOfFlush: Bool) {
        guard let session else { return }
        totals.resyncs += 1
        local.book.beginRound()
        revocationBook.beginRound()
        seenShared = []
        let number = totals.resyncs
        resync = Resync(becauseOfFlush: becauseOfFlush, number: number)
        // Read before the scan: whoever restores sets it last, so with the epoch the scan finds all that was restored.
        readEpochs(session) { [weak self] reading in
            guard let self, resync?.number == number else { return }
            renewOlder(reading, session) { [weak self] reading in
                guard let self, resync?.number == number else { return }
                resync!.epochs = reading
                resync!.step = .scanning
                scan(RedisSession.mirrored[...], from: "0", number, session)
            }
        }
    }

    /// - Parameter prefixes: those of keys that are still to be found; the first is being scanned.
    private func scan(_ prefixes: ArraySlice<String>, from cursor: String, _ number: Int, _ session: any RedisStore) {
        session.call(["SCAN", cursor, "MATCH", prefixes.first! + "*", "COUNT", "1000"]) { [weak self] reply in
            guard let self, resync?.number == number, let reply else { return }
            guard let parts = reply.array, parts.count == 2, let next = parts[0].text, let keys = parts[1].array else {
                session.close()
                return sessionLost(reply.error ?? "an unexpected reply to SCAN")
            }
            let rest = next == "0" ? prefixes.dropFirst() : prefixes
            if rest.isEmpty { resync!.step = .reading }
            invalidated(keys.compactMap(\.data))
            if rest.isEmpty {
                continueResync()
            } else {
                scan(rest, from: next, number, session)
            }
        }
    }

    private func continueResync() {
        guard let resync, resync.step == .reading, dirty.isEmpty, fetches == 0, let session else { return }
        if session.movesKeys, !resync.isVerified {
            // It may have gone from a server that was still to be scanned to one that had been.
            self.resync!.isVerified = true
            dirty = Set(unseenKeys.map(StoreKey.init(text:)))
            if !dirty.isEmpty { return fetch() }
        }
        self.resync!.step = .settling
        let now = clock.now()
        settleMissing(local.book.unseen().filter { $0.record.deadline > now && !isOnItsWay($0.key) }[...], session)
    }

    private var unseenKeys: [String] {
        local.book.unseen().map(\.key) + unseenRevocations.map { RevocationKey.of($0.target) }
            + sharedBook.keys.filter { !seenShared.contains($0) }.map(\.storeKey)
    }

    /// What the scan did not find, a slice with each round trip: hundreds of thousands at once would hold up whoever logs in.
    /// In between some of it may have been set anew.
    private func settleMissing(_ missing: ArraySlice<(key: String, record: BlockRecord)>, _ session: any RedisStore) {
        guard resync != nil else { return }
        var restored: [JournalRecord] = []
        for (key, record) in missing.prefix(RedisLedger.slice)
        where local.book.isUnseen(key) && !pendingBlocks.contains(record.subject) {
            let isKept = isKept(key)
            if !isKept { self.resync!.missing += 1 }
            if !isKept, record.isAutomatic {
                // Asked again until it is done: what is missing in the store next time was lifted.
                pendingBlocks.insert(record.subject)
                restored.append(.block(StoredBlock(record, clock: clock, isPending: true)))
            } else {
                apply(
                    local.book.remove(key: key), announced: false, lifted: isKept ? .deleted : .flushed)
            }
        }
        self.resync!.restoredBlocks += restored.count
        save(restored)
        if !restored.isEmpty { uploadBlocks(session) }
        let rest = missing.dropFirst(RedisLedger.slice)
        guard rest.isEmpty else { return settleNext(session) { [unowned self] in settleMissing(rest, session) } }
        settleMissingRevocations(unseenRevocations[...], session)
    }

    /// Goes on with the next answer, if this round is still the one.
    func settleNext(_ session: any RedisStore, then next: @escaping () -> Void) {
        session.call(["PING"]) { [weak self, number = resync?.number] reply in
            if let self, reply != nil, resync?.number == number { next() }
        }
    }

    func endResync(_ session: any RedisStore) {
        guard let resync else { return }
        settleMissingShared(session)
        // Also of what has moved to other slots in this round.
        mark(session.epochKeys.filter { resync.epochs.texts[$0] == nil }, session)
        let isLost = resync.epochs.current.contains { !epochs.isKept($0, resync.epochs) }
        if isLost, resync.becauseOfFlush || resync.missing > 0 || epochs.isOlder(resync.epochs) {
            totals.flushes += 1
            sink.ledger(
                noted: .flushDetected(blocks: resync.restoredBlocks, revocations: resync.restoredRevocations))
        }
        // Not before what was lost is on its way back.
        adopt(resync.epochs.texts, reached: resync.epochs.reached, session)
        self.resync = nil
        resynced()
    }
}
