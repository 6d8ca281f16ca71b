internal import Policy
internal import Settings
internal import Transport
package import Wire

/// A failed login whose 401 is held back until somebody has decided.
struct WaitingFailure {
    let failure: LoginFailure
    let at: Instant
    let completion: (FailureOutcome) -> Void
}

extension RedisLedger {
    package func recordFailure(
        _ failure: LoginFailure, now: Instant, completion: @escaping (FailureOutcome) -> Void
    ) {
        totals.failures += 1
        let waitingFailure = WaitingFailure(failure: failure, at: now, completion: completion)
        let authority = authority
        guard authority != nil || mayRecoverSoon else { return decideLocally(waitingFailure) }
        waiting[failure.id] = waitingFailure
        let deadline = now + configuration.deadline
        if deadlines.isEmpty { deadlineTimer?.fire(after: deadline - clock.now()) }
        deadlines.append((deadline, failure.id))
        if let authority { count(failure, age: .zero, authority) }
    }

    // MARK: Asking the authority

    /// - Parameter age: Since the failure; its window began then.
    private func count(_ failure: LoginFailure, age: Interval, _ session: any RedisStore) {
        let rule = local.rules[failure.key.rule]
        let window = rule.window
        let sliding = rule.counted == .sliding ? [String(rule.limit(under: failure.key))] : []
        session.run(
            .count,
            keys: [
                BlockKey.failures(failure.key), BlockKey.seen(failure.key), BlockKey.pending(failure.key),
            ],
            [
                String(max(1, (window - age).milliseconds)), failure.id.description, "1024",
                String(max(1, window.milliseconds)),
            ] + sliding
        ) { [weak self] reply in
            self?.counted(failure, reply, session)
        }
    }

    private func counted(_ failure: LoginFailure, _ reply: RESPValue?, _ session: any RedisStore) {
        // The session ended: it is told again on the next one, or decided here at its deadline.
        guard let reply else { return }
        if let error = reply.error { return refused(failure, error) }
        guard let parts = reply.array, parts.count == 4, let count = parts[0].integer, let ttl = parts[1].integer,
            let serverTime = parts[2].integer
        else { return refused(failure, "an unexpected reply") }
        guard RedisLedger.isSane(count: count, ttl: ttl, time: serverTime) else {
            return refused(failure, RedisLedger.unusable)
        }
        let counter = FailureCounters.Counter(count: Int(count), deadline: deadline(ofTTL: ttl) ?? .never)
        learn(counter, of: failure.key, besides: failure.id)
        local.release(failure)
        let rule = local.rules[failure.key.rule]
        let limit = rule.limit(under: failure.key)
        switch rule.verdict(on: failure.address, under: failure.key, count: counter.count) {
        case .counted: settle(failure, count: counter.count, isNewlyBlocked: false)
        case .exempt:
            // No block is to come of it: without the mark the first guess behind the exemption would find one lost.
            if counter.count >= limit {
                let end = serverTime + (ttl > 0 ? ttl : rule.window.milliseconds)
                let keys = [BlockKey.failures(failure.key), BlockKey.seen(failure.key)]
                session.run(.mark, keys: keys, ["0", String(end)]) { _ in }
            }
            settle(failure, count: counter.count, isNewlyBlocked: false)
        case .observed:
            // As a block would, it ends the count; one that is carried over was told of here.
            if counter.count == limit, parts[3] == .integer(0) {
                let keys = [BlockKey.failures(failure.key), BlockKey.seen(failure.key)]
                session.run(.mark, keys: keys, [String(serverTime + rule.block.milliseconds), "0"]) { _ in }
                if !replaying.contains(failure.id) {
                    sink.ledger(
                        noted: .wouldBlock(
                            failure, failures: counter.count, for: rule.block, decider: .authority))
                }
            }
            settle(failure, count: counter.count, isNewlyBlocked: false)
        case .block:
            block(
                failure, count: counter.count, counterTTL: ttl, serverTime: serverTime, session,
                refused: { [unowned self] in refused(failure, $0) },
                done: { [unowned self] in settle(failure, count: counter.count, isNewlyBlocked: $0) })
        }
    }

    /// Takes over what the store says of a counter. While failures wait that it has not heard of, a lower count of the store's is
    /// no reason to know of fewer.
    func learn(_ counter: FailureCounters.Counter, of key: LoginKey, besides id: FailureID? = nil) {
        let untold = unsettled.count(under: key) - (id.flatMap { unsettled[$0] } == nil ? 0 : 1)
        if untold > 0, let known = local.counter(under: key, local.rules[key.rule], at: clock.now()),
            known.count > counter.count
        {
            return
        }
        local.counters.set(key, counter)
    }

    /// What a healthy store can say. Anything else must not reach our arithmetic: 2^53 milliseconds are 285,000 years.
    static func isSane(count: Int64, ttl: Int64, time: Int64) -> Bool {
        let most = Int64(1) << 53
        return (0..<most).contains(count) && (-2..<most).contains(ttl) && (0..<most).contains(time)
    }

    /// What somebody has set by hand and Redis takes for a number, or an end: `nan`, -5, 1e20.
    static let unusable = "not a number of failures, or an end that is too far away"

    /// An error that would come for ever, and says nothing of other keys. Before version 7 it is quoted in that of the script.
    static func concernsOneKey(_ error: String) -> Bool {
        error.contains("WRONGTYPE ") || error.contains("not an integer") || error.contains("would overflow")
            || error == unusable
    }

    /// The second, idempotent step: every count at the limit asks for the block, so one that was lost or deleted by hand
    /// is set again.
    /// - Parameter done: whether this set the block. `sendDelta` is left to it.
    func block(
        _ failure: LoginFailure, count: Int, counterTTL: Int64, serverTime: Int64, _ session: any RedisStore,
        refused: @escaping (String) -> Void, done: @escaping (Bool) -> Void
    ) {
        let key = failure.key
        let rule = local.rules[key.rule]
        let end = serverTime + rule.block.milliseconds
        // One that does not grow is remembered all the same: the next one may be of a rule whose blocks do.
        // Those of accounts never do.
        let isRemembered = local.rules.escalates && key.subject.account == nil
        let growth = [
            rule.block.milliseconds, Int64(rule.escalation?.factor ?? 1),
            rule.escalation?.longest.milliseconds ?? rule.block.milliseconds, LoginRule.Escalation.memory.milliseconds,
        ]
        let value = BlockValue(
            local.automaticBlock(under: key, failures: count, until: .never, wall: clock.wall()))
        session.run(
            .block, keys: [BlockKey.block(key.subject)] + (isRemembered ? [BlockKey.history(key.subject)] : []),
            [value.text, String(end)] + (isRemembered ? growth.map { String($0) } : [])
        ) { [weak self] reply in
            guard let self, let reply else { return }
            if let error = reply.error { return refused(error) }
            guard let parts = reply.array, parts.count == 5, let set = parts[0].integer, let ttl = parts[1].integer,
                let end = parts[3].integer, let before = parts[4].integer
            else { return refused("an unexpected reply") }
            guard RedisLedger.isSane(count: before, ttl: ttl, time: end) else { return refused(RedisLedger.unusable) }
            // Block and counter end at the same instant. A block that was there keeps its end; when a replica died
            // between the steps, its counter is mended here. The block of another rule ends nothing of this one's: at the
            // limit without a block behind that one, this rule sets its own.
            let found: BlockValue? = if case .bytes(let bytes) = parts[2] { BlockValue(bytes) } else { nil }
            var counterEnd: Int64 = 0
            if set == 1 {
                counterEnd = end
            } else if ttl > 0, counterTTL > ttl + 1_000, found?.failures != nil, found?.reason == value.reason {
                counterEnd = serverTime + ttl
            }
            // Of one without an end nobody knows how long it stands; the counter's own end comes first.
            let blockEnd = set == 1 ? end : serverTime + (ttl > 0 ? ttl : max(counterTTL, 1))
            session.run(
                .mark, keys: [BlockKey.failures(key), BlockKey.seen(key)],
                [String(counterEnd), String(blockEnd)]
            ) { _ in }
            let isNew = set == 1
            if isNew { goesOn(with: BlockKey.block(key.subject), session) }
            if let deadline = deadline(ofTTL: ttl) {
                let record = record(key.subject, isNew ? value : found, until: deadline)
                if isNew {
                    local.counters.expire(key, at: deadline)
                    local.noteBlock(record, after: Int(before))
                    totals.blocksSet += 1
                    apply(local.book.set(record), announced: true)
                    sink.ledger(noted: .blocked(record, by: failure, decider: .authority))
                } else {
                    apply(local.book.set(record), announced: false)
                }
            }
            done(isNew)
        }
    }

    /// The authority has it. The workers are told of a block before the 401 may go out.
    private func settle(_ failure: LoginFailure, count: Int, isNewlyBlocked: Bool) {
        sendDelta()
        told(failure)
        places[failure.id] = nil
        if replaying.remove(failure.id) != nil { totals.replayed += 1 }
        if unsettled.removeValue(forKey: failure.id) != nil { save([.settled(failure.id)]) }
        waiting.removeValue(forKey: failure.id)?.completion(
            FailureOutcome(
                count: count, block: local.block(of: failure.key.subject, at: clock.now()),
                isNewlyBlocked: isNewlyBlocked, decider: .authority))
        if isRefusing { recover() } else if replaying.isEmpty { replay() }
    }

    /// An error reply. One that concerns this key alone would come for ever, so the failure is not told again.
    private func refused(_ failure: LoginFailure, _ error: String) {
        replaying.remove(failure.id)
        if isMoving(error) {
            guard let waitingFailure = waiting.removeValue(forKey: failure.id) else { return }
            sink.ledger(noted: .counterUnusable(failure.key, error))
            return decideLocally(waitingFailure)
        }
        if RedisLedger.concernsOneKey(error) {
            sink.ledger(noted: .counterUnusable(failure.key, error))
            if unsettled.removeValue(forKey: failure.id) != nil { save([.settled(failure.id)]) }
            if let waitingFailure = waiting.removeValue(forKey: failure.id) {
                decideLocally(waitingFailure, isToBeReplayed: false)
            }
            // The block, if it came to that, belongs into the store all the same. And what else is to be carried over must not
            // wait for what cannot be: while Redis refuses, nobody else asks whether it still does.
            return replay()
        }
        degrade(.refusing, error)
    }

    // MARK: Deadlines

    func deadlinesPassed() {
        let now = clock.now()
        var passed = 0
        while passed < deadlines.count, deadlines[passed].at <= now {
            if let late = waiting.removeValue(forKey: deadlines[passed].id) { missed(late) }
            passed += 1
        }
        deadlines.removeFirst(min(passed, deadlines.count))
        if let next = deadlines.first { deadlineTimer?.fire(after: next.at - now) }
    }

    private func missed(_ late: WaitingFailure) {
        authorityIsSlow()
        decideLocally(late)
    }

    func authorityIsSlow() {
        guard let session = authority else { return }
        degrade(.slow, "no answer within \(configuration.deadline.milliseconds) ms")
        slowness.begins(at: clock.now())
        askHowFast(session)
    }

    func askAgainHowFast() {
        if isSlow, let session { askHowFast(session) }
    }

    /// Replies come in order: when this one is there, nothing of before is outstanding.
    private func askHowFast(_ session: any RedisStore) {
        let asked = clock.now()
        session.call(["PING"]) { [weak self] reply in
            guard let self, reply != nil, self.session === session, isSlow else { return }
            let now = clock.now()
            if slowness.answered(after: now - asked, deadline: configuration.deadline, at: now) { return recover() }
            slowTimer?.fire(after: Slowness.pause)
        }
    }

    private var isSlow: Bool {
        if case .degraded(let outage) = health, outage.cause == .slow { return true }
        return false
    }

    func sendWaiting(_ session: any RedisStore) {
        for late in waiting.values { count(late.failure, age: .zero, session) }
        for late in waitingGuesses.values { ask(late, session) }
    }

    // MARK: Deciding here

    func decideAllLocally() {
        let all = waiting.values
        waiting = [:]
        deadlines = []
        deadlineTimer?.cancel()
        for failure in all { decideLocally(failure) }
        reserveAllLocally()
    }

    private func decideLocally(_ late: WaitingFailure, isToBeReplayed: Bool = true) {
        totals.failuresDecidedLocally += 1
        let failure = late.failure
        let now = clock.now()
        let decision = local.record(failure, at: now, wall: clock.wall())
        var records: [JournalRecord] = []
        if isToBeReplayed {
            if unsettled.count < RedisLedger.unsettledLimit {
                let kept = UnsettledFailure(failure: failure, at: clock.wall() + (late.at - now))
                unsettled[failure.id] = kept
                records.append(.unsettled(kept))
            } else {
                totals.replayDropped += 1
                if totals.replayDropped % 1_000 == 1 {
                    sink.ledger(noted: .replayOverflow(dropped: totals.replayDropped))
                }
            }
        }
        if let length = decision.wouldBlock {
            sink.ledger(noted: .wouldBlock(failure, failures: decision.counter.count, for: length, decider: .local))
        }
        if decision.isNewlyBlocked, let block = decision.block {
            totals.blocksSet += 1
            pendingBlocks.insert(block.subject)
            records.append(.block(StoredBlock(block, clock: clock, isPending: true)))
            outgoing.set(block)
            sendDelta()
            scheduleExpiry()
            sink.ledger(noted: .blocked(block, by: failure, decider: .local))
        }
        journal?.append(records, durable: decision.isNewlyBlocked)
        late.completion(
            FailureOutcome(
                count: decision.counter.count, block: decision.block, isNewlyBlocked: decision.isNewlyBlocked,
                decider: .local))
    }

    // MARK: Carrying over

    /// Tells the authority what was decided here, a slice at a time: blocks first, so that a count that reaches the limit
    /// finds the block with its true end.
    func replay() {
        guard case .inStep(let session) = phase, replaying.isEmpty else { return }
        // While Redis refuses, one failure is enough to find out whether it still does; a block, where there is none.
        if !isRefusing || unsettled.isEmpty {
            uploadBlocks(session)
            uploadRevocations(session)
            if isRefusing || saysAgain {
                saysAgain = false
                takeOutThoseThatAreOver(session)
                uploadLifts(session)
                uploadRevocationLifts(session)
                uploadShared(session)
            }
        }
        // Their turn comes when the last slice of the blocks is on its way.
        guard isRefusing || pendingBlocks.count <= uploading.count else { return }
        let now = clock.wall()
        for kept in unsettled.values.prefix(isRefusing ? 1 : 128) {
            let age = now - kept.at
            if age >= local.rules[kept.failure.key.rule].window {
                // Its window is over; it would begin one that never was.
                unsettled[kept.failure.id] = nil
                save([.settled(kept.failure.id)])
                continue
            }
            replaying.insert(kept.failure.id)
            carryOver(kept, age: max(.zero, age), session)
        }
        guard replaying.isEmpty else { return }
        if !unsettled.isEmpty {
            replay()
        } else if isRefusing, uploading.isEmpty, uploadingRevocations.isEmpty, pendingLifts.isEmpty,
            pendingRevocationLifts.isEmpty, pendingShared.isEmpty
        {
            recover()
        }
    }

    /// Counts a failure of before, unless its address was unblocked since: whoever did that forgot its failures, also those
    /// that wait on a replica that he does not see.
    private func carryOver(_ kept: UnsettledFailure, age: Interval, _ session: any RedisStore) {
        let failure = kept.failure
        session.call(["GET", RedisLedger.mark(of: BlockKey.block(failure.key.subject))]) { [weak self] reply in
            guard let self, let reply else { return }
            // Unblocked here meanwhile, it is forgotten already; the others go on.
            guard replaying.contains(failure.id) else { return replay() }
            if let error = reply.error { return refused(failure, error) }
            guard let unblocked = reply.text, unblocked > kept.at.text else { return count(failure, age: age, session) }
            replaying.remove(failure.id)
            unsettled[failure.id] = nil
            local.counters.clear(failure.key)
            save([.settled(failure.id)])
            if replaying.isEmpty { replay() }
        }
    }

    /// A slice at a time; the answer to its last one sends the next.
    func uploadBlocks(_ session: any RedisStore) {
        let now = clock.now()
        for subject in RedisLedger.next(of: pendingBlocks, besides: uploading) {
            let key = BlockKey.block(subject)
            guard let record = local.book[subject], record.deadline > now else {
                pendingBlocks.remove(subject)
                settleWord(of: key)
                continue
            }
            uploading.insert(subject)
            // An operator's word replaces what is older; a rule's replaces nothing, and gives way to an unblock of since.
            let telling =
                record.isAutomatic ? .restored(since: record.since) : tellingOfSet(key, since: record.since)
            let done = { [weak self] (reply: RESPValue?) -> Void in
                guard let self, let reply else { return }
                uploading.remove(subject)
                if let error = reply.error { return degrade(.refusing, error) }
                defer {
                    if isRefusing { recover() } else if uploading.isEmpty, self.session === session { replay() }
                }
                // Something else may have been said of it since.
                guard record.isAutomatic || local.book[subject] == record, pendingBlocks.remove(subject) != nil
                else { return }
                settleWord(of: key)
                if let record = local.book[subject] { save([.block(StoredBlock(record, clock: clock))]) }
                // Redis may know an older block with another end.
                if reply.integer == 0 { overtaken(key, telling) }
            }
            tell(record, telling, session, completion: done)
        }
    }

    /// A block, with what is left of it.
    func tell(
        _ record: BlockRecord, _ telling: Telling, _ session: any RedisStore, completion: @escaping (RESPValue?) -> Void
    ) {
        say(
            .set(BlockValue(record).text, left: record.remaining(at: clock.now()), isMarked: false),
            of: BlockKey.block(record.subject), telling, session, completion: completion)
    }

    func save(_ records: [JournalRecord]) { journal?.append(records, durable: false) }
}
