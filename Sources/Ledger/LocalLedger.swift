internal import Policy
internal import Wire

/// Blocks and counters in memory, and the rule that joins them: pure, with time as a parameter.
struct LocalLedger {
    var rule: LoginRule
    var book = BlockBook()
    var counters = FailureCounters()
    var held = HeldGuesses()

    init(rule: LoginRule) { self.rule = rule }

    struct Decision: Hashable {
        var counter: FailureCounters.Counter
        /// The block of exactly what is counted that is in force now.
        var block: BlockRecord?
        var isNewlyBlocked: Bool
    }

    /// Counts the failure; at the limit its address or prefix is blocked, and the counter ends with the
    /// block.
    mutating func record(_ failure: LoginFailure, at now: Instant, wall: WallTime) -> Decision {
        let subject = rule.subject(of: failure.address)
        held.release(failure.id)
        var counter = counters.record(failure.id, of: subject, window: rule.window, at: now)
        let present = block(of: subject, at: now)
        guard rule.verdict(on: failure.address, count: counter.count) == .block, present == nil else {
            return Decision(counter: counter, block: present, isNewlyBlocked: false)
        }
        let record = automaticBlock(of: subject, failures: counter.count, until: now + rule.block, wall: wall)
        book.set(record)
        counters.expire(subject, at: record.deadline)
        counter.deadline = record.deadline
        return Decision(counter: counter, block: record, isNewlyBlocked: true)
    }

    /// Takes a place for the guess while failures and places stay below the limit. At the limit without a block, which an
    /// operator has lifted then, one guess at a time may go; when it fails it blocks again.
    mutating func reserve(_ guess: LoginFailure, until deadline: Instant, at now: Instant) -> Reservation.Answer {
        if rule.isExempt(guess.address) { return .granted }
        let subject = rule.subject(of: guess.address)
        held.expire(at: now)
        if holds(guess) { return .granted }
        let count = counters.counter(of: subject, at: now)?.count ?? 0
        let places = held.count(of: subject)
        if count >= rule.limit {
            if block(of: subject, at: now) != nil { return .blocked }
            if places > 0 { return .full }
        } else if count + places >= rule.limit {
            return .full
        }
        held.hold(guess.id, of: subject, until: deadline)
        return .granted
    }

    /// Whom its place was counted for; nil: it had none.
    @discardableResult
    mutating func release(_ guess: LoginFailure) -> IPNetwork? { held.release(guess.id) }

    func holds(_ guess: LoginFailure) -> Bool { held.subject(of: guess.id) != nil }

    /// Whom its place is counted for, or would be.
    func place(of guess: LoginFailure) -> IPNetwork { held.subject(of: guess.id) ?? rule.subject(of: guess.address) }

    func automaticBlock(of subject: IPNetwork, failures: Int, until deadline: Instant, wall: WallTime) -> BlockRecord {
        BlockRecord(
            network: subject, origin: .automatic(failures: failures), reason: "failed_logins",
            actor: "gateway", since: wall, deadline: deadline)
    }

    func block(of subject: IPNetwork, at now: Instant) -> BlockRecord? {
        guard let record = book[subject], record.deadline > now else { return nil }
        return record
    }

    /// Removes block and counter together.
    mutating func unblock(_ network: IPNetwork, at now: Instant) -> BlockRecord? {
        counters.clear(network)
        guard let record = book.remove(network), record.deadline > now else { return nil }
        return record
    }
}
