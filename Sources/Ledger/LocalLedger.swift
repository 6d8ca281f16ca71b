internal import Policy
internal import Wire

/// Blocks and counters in memory, and the rules that join them: pure, with time as a parameter.
struct LocalLedger {
    var rules: LoginRules
    var book = BlockBook()
    var counters = FailureCounters()
    var held = HeldGuesses()
    /// Blocks lately, by `LoginKey.history`: the count is how many, the deadline when they are forgotten.
    var history = FailureCounters()

    init(rules: LoginRules) { self.rules = rules }

    struct Decision: Hashable {
        var counter: FailureCounters.Counter
        /// The block of exactly what is counted that is in force now.
        var block: BlockRecord?
        var isNewlyBlocked: Bool
        /// A rule that only observes would have blocked now, and for so long.
        var wouldBlock: Interval?
    }

    /// Counts the failure; at the limit whom it is counted for is blocked, and the counter ends with the block.
    mutating func record(_ failure: LoginFailure, at now: Instant, wall: WallTime) -> Decision {
        let key = failure.key
        let rule = rules[key.rule]
        let limit = rule.limit(under: key)
        held.release(failure.id, of: key)
        let former = self.counter(under: key, rule, at: now)?.count
        var counter =
            switch rule.counted {
            case .fixed: counters.record(failure.id, of: key, window: rule.window, at: now)
            case .sliding:
                counters.record(failure.id, of: key, sliding: rule.window, limit: limit, at: now)
            }
        let present = block(of: key.subject, at: now)
        let verdict = rule.verdict(on: failure.address, under: key, count: counter.count)
        var decision = Decision(counter: counter, block: present, isNewlyBlocked: false)
        if verdict == .observed, counter.count == limit, former != limit {
            decision.wouldBlock = rule.block
            counters.expire(key, at: now + rule.block)
        }
        guard verdict == .block, present == nil else { return decision }
        let before = blocks(of: key.subject, at: now)
        let record = automaticBlock(
            under: key, failures: counter.count, until: now + rule.length(after: before), wall: wall)
        book.set(record)
        counters.expire(key, at: record.deadline)
        noteBlock(record, after: before)
        counter.deadline = record.deadline
        return Decision(counter: counter, block: record, isNewlyBlocked: true)
    }

    /// Takes a place for the guess while failures and places stay below the limit. At the limit without a block, which an
    /// operator has lifted then, one guess at a time may go; when it fails it blocks again.
    /// - Parameter threshold: as of `Ledger.reserve`.
    mutating func reserve(
        _ guess: LoginFailure, until deadline: Instant, upTo threshold: Int? = nil, at now: Instant
    ) -> Reservation.Answer {
        let key = guess.key
        let rule = rules[key.rule]
        guard rule.holdsBack(guess.address) else { return .granted }
        if isLocked(key, at: now) { return .blocked }
        held.expire(at: now)
        if held.contains(guess.id, of: key) { return .granted }
        let count = counter(under: key, rule, at: now)?.count ?? 0
        let places = held.count(of: key)
        let limit = rule.limit(under: key)
        if count >= limit, block(of: key.subject, at: now) != nil { return .blocked }
        if let threshold, count >= threshold { return .challenged }
        if count >= limit {
            if places > 0 { return .full }
        } else if count + places >= min(limit, threshold ?? .max) {
            return .full
        }
        held.hold(guess.id, of: key, until: deadline)
        return .granted
    }

    /// Whether the guess had a place.
    @discardableResult
    mutating func release(_ guess: LoginFailure) -> Bool {
        held.release(guess.id, of: guess.key)
    }

    func holds(_ guess: LoginFailure) -> Bool { held.contains(guess.id, of: guess.key) }

    func counter(under key: LoginKey, _ rule: LoginRule, at now: Instant) -> FailureCounters.Counter? {
        counters.counter(of: key, sliding: rule.counted == .sliding ? rule.window : nil, at: now)
    }

    /// How often the rules have blocked it lately.
    func blocks(of subject: BlockSubject, at now: Instant) -> Int {
        rules.escalates ? history.counter(of: .history(of: subject), at: now)?.count ?? 0 : 0
    }

    /// The next block is longer, if it comes soon enough.
    mutating func noteBlock(_ record: BlockRecord, after blocks: Int) {
        guard rules.escalates, record.deadline != .never else { return }
        history.set(
            .history(of: record.subject),
            FailureCounters.Counter(count: blocks + 1, deadline: record.deadline + LoginRule.Escalation.memory))
    }

    /// Blocks of addresses are met by *screen*, whatever the count is; those of accounts here.
    func isLocked(_ key: LoginKey, at now: Instant) -> Bool {
        key.subject.account != nil && block(of: key.subject, at: now) != nil
    }

    func automaticBlock(under key: LoginKey, failures: Int, until deadline: Instant, wall: WallTime) -> BlockRecord {
        BlockRecord(
            key.subject, origin: .automatic(failures: failures),
            reason: LocalLedger.reason(of: key), actor: "gateway", since: wall, deadline: deadline)
    }

    /// Tells by which rule a block was set.
    static func reason(of key: LoginKey) -> String {
        key.rule == LoginRule.plainName ? "failed_logins" : "failed_logins:\(key.rule)"
    }

    func block(of subject: BlockSubject, at now: Instant) -> BlockRecord? {
        guard let record = book[subject], record.deadline > now else { return nil }
        return record
    }

    /// Removes block and counters together.
    mutating func unblock(_ subject: BlockSubject, at now: Instant) -> BlockRecord? {
        forgetFailures(of: subject)
        guard let record = book.remove(subject), record.deadline > now else { return nil }
        return record
    }

    mutating func forgetFailures(of subject: BlockSubject) {
        for key in rules.keys(countedFor: subject) { counters.clear(key) }
        history.clear(.history(of: subject))
    }
}
