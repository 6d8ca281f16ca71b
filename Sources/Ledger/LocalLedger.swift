internal import Policy
internal import Wire

/// Blocks and counters in memory, and the rule that joins them: pure, with time as a parameter.
struct LocalLedger {
    var rule: LoginRule
    var book = BlockBook()
    var counters = FailureCounters()

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
