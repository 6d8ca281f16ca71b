internal import Policy
internal import Wire

/// Blocks and counters in memory, and the rules that join them: pure, with time as a parameter.
struct LocalLedger {
    var rules: LoginRules
    var book = BlockBook()
    var counters = FailureCounters()
    var held = HeldGuesses()

    init(rules: LoginRules) { self.rules = rules }

    struct Decision: Hashable {
        var counter: FailureCounters.Counter
        /// The block of exactly what is counted that is in force now.
        var block: BlockRecord?
        var isNewlyBlocked: Bool
    }

    /// Counts the failure; at the limit whom it is counted for is blocked, and the counter ends with the block.
    mutating func record(_ failure: LoginFailure, at now: Instant, wall: WallTime) -> Decision {
        let key = failure.key
        let rule = rules[key.rule]
        held.release(failure.id, of: key)
        var counter = counters.record(failure.id, of: key, window: rule.window, at: now)
        let present = block(of: key.subject, at: now)
        guard rule.verdict(on: failure.address, count: counter.count) == .block, present == nil else {
            return Decision(counter: counter, block: present, isNewlyBlocked: false)
        }
        let record = automaticBlock(under: key, failures: counter.count, until: now + rule.block, wall: wall)
        book.set(record)
        counters.expire(key, at: record.deadline)
        counter.deadline = record.deadline
        return Decision(counter: counter, block: record, isNewlyBlocked: true)
    }

    /// Takes a place for the guess while failures and places stay below the limit. At the limit without a block, which an
    /// operator has lifted then, one guess at a time may go; when it fails it blocks again.
    mutating func reserve(_ guess: LoginFailure, until deadline: Instant, at now: Instant) -> Reservation.Answer {
        let key = guess.key
        let rule = rules[key.rule]
        if rule.isExempt(guess.address) { return .granted }
        if isLocked(key, at: now) { return .blocked }
        held.expire(at: now)
        if held.contains(guess.id, of: key) { return .granted }
        let count = counters.counter(of: key, at: now)?.count ?? 0
        let places = held.count(of: key)
        if count >= rule.limit {
            if block(of: key.subject, at: now) != nil { return .blocked }
            if places > 0 { return .full }
        } else if count + places >= rule.limit {
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

    /// Blocks of addresses are met by *screen*, whatever the count is; those of accounts here.
    func isLocked(_ key: LoginKey, at now: Instant) -> Bool {
        key.subject.account != nil && block(of: key.subject, at: now) != nil
    }

    func automaticBlock(under key: LoginKey, failures: Int, until deadline: Instant, wall: WallTime) -> BlockRecord {
        BlockRecord(
            key.subject, origin: .automatic(failures: failures),
            reason: key.rule == LoginRule.plainName ? "failed_logins" : "failed_logins:\(key.rule)",
            actor: "gateway", since: wall, deadline: deadline)
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
    }
}
