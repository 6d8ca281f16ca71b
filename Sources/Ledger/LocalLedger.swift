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
        /// The block of exactly this address that is in force now.
        var block: BlockRecord?
        var isNewlyBlocked: Bool
    }

    /// Counts the failure; at the limit the address is blocked, and its counter ends with the block.
    mutating func record(_ failure: LoginFailure, at now: Instant, wall: WallTime) -> Decision {
        var counter = counters.record(failure.id, of: failure.address, window: rule.window, at: now)
        let present = block(of: failure.address, at: now)
        guard rule.verdict(on: failure.address, count: counter.count) == .block, present == nil else {
            return Decision(counter: counter, block: present, isNewlyBlocked: false)
        }
        let record = automaticBlock(of: failure.address, failures: counter.count, until: now + rule.block, wall: wall)
        book.set(record)
        counters.expire(failure.address, at: record.deadline)
        counter.deadline = record.deadline
        return Decision(counter: counter, block: record, isNewlyBlocked: true)
    }

    func automaticBlock(of address: IPAddress, failures: Int, until deadline: Instant, wall: WallTime) -> BlockRecord {
        BlockRecord(
            network: IPNetwork(address), origin: .automatic(failures: failures), reason: "failed_logins",
            actor: "gateway", since: wall, deadline: deadline)
    }

    func block(of address: IPAddress, at now: Instant) -> BlockRecord? {
        guard let record = book[IPNetwork(address)], record.deadline > now else { return nil }
        return record
    }

    /// Removes block and counter together.
    mutating func unblock(_ network: IPNetwork, at now: Instant) -> BlockRecord? {
        if network.isSingleAddress { counters.clear(network.base) }
        guard let record = book.remove(network), record.deadline > now else { return nil }
        return record
    }
}
