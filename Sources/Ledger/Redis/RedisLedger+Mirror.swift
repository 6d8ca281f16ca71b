internal import Policy
internal import Transport
internal import Wire

/// One round of learning everything anew.
struct Resync {
    enum Step {
        case readingEpoch
        case scanning
        /// The scan is through; some keys are still being read.
        case reading
    }
    var step = Step.readingEpoch
    /// Whether the data is the data we knew; false after a flush or on the first start ever.
    var hasEpoch = false
    let becauseOfFlush: Bool
    /// Distinguishes the replies of this round from those of one that was given up.
    let number: Int
    /// Hundreds of thousands of keys found at once are no news that deserves a record each.
    var announcements = 1_000
}

/// Changes on their way to the workers and to the disk, in order, in slices.
struct OutgoingChanges {
    enum State { case resting, scheduled }

    var state = State.resting
    var records: [JournalRecord] = []
    private var deltas: [BlockDelta] = []
    private static let slice = 1_024

    mutating func set(_ entry: BlockEntry) {
        if case .set(var entries) = deltas.last, entries.count < OutgoingChanges.slice {
            deltas.removeLast()
            entries.append(entry)
            deltas.append(.set(entries))
        } else {
            deltas.append(.set([entry]))
        }
    }

    mutating func lift(_ network: IPNetwork) {
        if case .lift(var networks) = deltas.last, networks.count < OutgoingChanges.slice {
            deltas.removeLast()
            networks.append(network)
            deltas.append(.lift(networks))
        } else {
            deltas.append(.lift([network]))
        }
    }

    mutating func take() -> ([BlockDelta], [JournalRecord]) {
        defer { self = OutgoingChanges() }
        return (deltas, records)
    }
}

extension RedisLedger {
    /// Redis reports changes of these keys; nil: everything is gone.
    func invalidated(_ keys: [String]?) {
        guard let keys else { return beginResync(becauseOfFlush: true) }
        dirty.formUnion(keys)
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
    private func fetch() {
        guard let session, fetches < 4 else { return }
        while fetches < 4, !dirty.isEmpty {
            let keys = Array(dirty.prefix(256))
            dirty.subtract(keys)
            fetches += 1
            for (index, key) in keys.enumerated() {
                var ttl: RESPValue?
                session.call(["PTTL", key]) { ttl = $0 }
                // Any type counts as a block; only a string tells who set it.
                session.call(["GETRANGE", key, "0", "1023"]) { [weak self] value in
                    guard let self, let value, self.session === session else { return }
                    if let ttl = ttl?.integer { learned(key, ttl: ttl, value) }
                    if index == keys.count - 1 {
                        fetches -= 1
                        fetch()
                        continueResync()
                    }
                }
            }
        }
    }

    /// The session that would have answered is gone.
    func forgetQuestions() {
        replaying = []
        uploading = []
        dirty = []
        fetches = 0
        resync = nil
    }

    private func learned(_ key: String, ttl: Int64, _ value: RESPValue) {
        guard let network = BlockKey.network(ofBlock: key) else { return unparsable(key, isGone: ttl == -2) }
        // What an operator did here is on its way to the store; an older reading must not undo it.
        if pendingLifts.contains(network) { return }
        if pendingBlocks.contains(network), local.book[network]?.origin == .command { return }
        guard let deadline = deadline(ofTTL: ttl) else {
            let change = local.book.remove(key: key)
            if pendingBlocks.contains(network), case .ended(let record) = change {
                local.book.set(record)
            } else {
                apply(change, announced: false)
            }
            return
        }
        let ours: BlockValue? = if case .bytes(let bytes) = value { BlockValue(bytes) } else { nil }
        var record = record(network, ours, until: deadline)
        if let known = local.book.record(ofKey: key) {
            if ours == nil, known.origin == .byHand { record.since = known.since }
            // Two readings of one deadline differ by the way there and back.
            let difference = known.isPermanent || record.isPermanent ? nil : record.deadline - known.deadline
            if let difference, difference < .milliseconds(25), .milliseconds(-25) < difference {
                record.deadline = known.deadline
            }
        }
        apply(local.book.set(record, key: key), announced: false)
    }

    private func unparsable(_ key: String, isGone: Bool) {
        // A name that is no UTF-8 cannot be asked for by its text, so its absence says nothing.
        if isGone, !key.contains("\u{fffd}") {
            reportedKeys.remove(key)
        } else if reportedKeys.count < 10_000, reportedKeys.insert(key).inserted {
            totals.unparsableKeys += 1
            sink.ledger(noted: .unparsableKey(key))
        }
    }

    /// A block as the store's value describes it; nil is a value that tells nothing.
    func record(_ network: IPNetwork, _ value: BlockValue?, until deadline: Instant) -> BlockRecord {
        if let value {
            return BlockRecord(
                network: network, origin: value.origin, reason: value.reason, actor: value.by, since: value.at,
                deadline: deadline)
        }
        return BlockRecord(
            network: network, origin: .byHand, reason: "set by hand", actor: "redis", since: clock.wall(),
            deadline: deadline)
    }

    // MARK: What follows from a change

    /// Passes a change on to workers, disk and audit.
    /// - Parameter announced: The caller has said more about it than could be said here.
    func apply(_ change: BlockBook.Change, announced: Bool, lifted cause: LiftCause? = nil) {
        switch change {
        case .none: return
        case .began(let record):
            outgoing.set(record.entry)
            outgoing.records.append(.block(StoredBlock(record, clock: clock)))
            if !announced { seen(record) }
        case .changed(let record, let former):
            if record.deadline != former.deadline { outgoing.set(record.entry) }
            outgoing.records.append(.block(StoredBlock(record, clock: clock)))
            if !announced,
                record.isPermanent != former.isPermanent || record.origin != former.origin
                    || record.deadline - former.deadline > .seconds(1)
                    || former.deadline - record.deadline > .seconds(1)
            {
                seen(record)
            }
        case .ended(let record):
            outgoing.lift(record.network)
            outgoing.records.append(.lift(record.network))
            totals.blocksLifted += 1
            // Whoever lifts it by hand has most likely deleted the counter too: what we remember of it is stale.
            if record.network.isSingleAddress { local.counters.clear(record.network.base) }
            if !announced {
                let isOver = record.deadline <= clock.now() + .milliseconds(50)
                sink.ledger(noted: .lifted(record, cause ?? (isOver ? .expired : .deleted)))
            }
        }
        scheduleExpiry()
        if outgoing.state == .resting {
            outgoing.state = .scheduled
            loop.atEndOfTurn { [weak self] in self?.sendDelta() }
        }
    }

    func sendDelta() {
        let (deltas, records) = outgoing.take()
        for delta in deltas { sink.ledger(changed: delta) }
        save(records)
    }

    private func seen(_ record: BlockRecord) {
        totals.blocksSeen += 1
        if resync != nil {
            guard resync!.announcements > 0 else { return }
            resync!.announcements -= 1
        }
        sink.ledger(noted: .blockSeen(record))
        if record.isPermanent, record.origin == .byHand { sink.ledger(noted: .permanentBlock(record)) }
    }

    // MARK: Mark and sweep

    /// Everything known stays in force until the scan is complete.
    func beginResync(becauseOfFlush: Bool) {
        guard let session else { return }
        totals.resyncs += 1
        local.book.beginRound()
        let number = totals.resyncs
        resync = Resync(becauseOfFlush: becauseOfFlush, number: number)
        // Read before the scan: whoever restores sets it last, so with the epoch the scan finds all that was restored.
        session.call(["EXISTS", BlockKey.epoch]) { [weak self] reply in
            guard let self, resync?.number == number, let reply else { return }
            resync!.hasEpoch = reply.integer == 1
            resync!.step = .scanning
            scan(from: "0", number, session)
        }
    }

    private func scan(from cursor: String, _ number: Int, _ session: RedisSession) {
        session.call(["SCAN", cursor, "MATCH", BlockKey.blockPrefix + "*", "COUNT", "1000"]) { [weak self] reply in
            guard let self, resync?.number == number, let reply else { return }
            guard let parts = reply.array, parts.count == 2, let next = parts[0].text, let keys = parts[1].array else {
                session.close()
                return sessionLost(reply.error ?? "an unexpected reply to SCAN")
            }
            if next == "0" { resync!.step = .reading }
            invalidated(keys.compactMap(\.text))
            if next == "0" {
                continueResync()
            } else {
                scan(from: next, number, session)
            }
        }
    }

    private func continueResync() {
        guard let resync, resync.step == .reading, dirty.isEmpty, fetches == 0, let session else { return }
        let now = clock.now()
        let missing = local.book.unseen().filter {
            $0.record.deadline > now && !pendingBlocks.contains($0.record.network)
        }
        var restored = 0
        for (key, record) in missing {
            if !resync.hasEpoch, record.isAutomatic {
                restored += 1
                upload(record, ["NX"], session) { _ in }
            } else {
                apply(
                    local.book.remove(key: key), announced: false, lifted: resync.hasEpoch ? .deleted : .flushed)
            }
        }
        if !resync.hasEpoch {
            session.call(["SET", BlockKey.epoch, clock.wall().text, "NX"])
            if resync.becauseOfFlush || !missing.isEmpty {
                totals.flushes += 1
                sink.ledger(noted: .flushDetected(restored: restored))
            }
        }
        self.resync = nil
        resynced()
    }
}
