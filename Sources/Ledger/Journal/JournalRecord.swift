package import Policy
package import Wire

/// A block as it is kept on disk: with a civil deadline, because the monotonic clock does not survive a reboot.
package struct StoredBlock: Hashable, Sendable {
    package var network: IPNetwork
    package var origin: BlockOrigin
    package var reason: String
    package var actor: String
    package var since: WallTime
    /// nil: permanent.
    package var deadline: WallTime?
    /// Decided here while the authority was away, and not yet carried over.
    package var isPending: Bool

    init(_ record: BlockRecord, clock: LedgerClock, isPending: Bool = false) {
        network = record.network
        origin = record.origin
        reason = record.reason
        actor = record.actor
        since = record.since
        deadline = clock.wall(of: record.deadline)
        self.isPending = isPending
    }

    init(
        network: IPNetwork, origin: BlockOrigin, reason: String, actor: String, since: WallTime, deadline: WallTime?,
        isPending: Bool
    ) {
        self.network = network
        self.origin = origin
        self.reason = reason
        self.actor = actor
        self.since = since
        self.deadline = deadline
        self.isPending = isPending
    }

    func record(clock: LedgerClock) -> BlockRecord {
        BlockRecord(
            network: network, origin: origin, reason: reason, actor: actor, since: since,
            deadline: clock.deadline(of: deadline))
    }
}

/// A failure that the authority has not confirmed.
package struct UnsettledFailure: Hashable, Sendable {
    package var failure: LoginFailure
    package var at: WallTime
}

/// One line of the journal. Each says what is so, not what changed, so that applying it twice does no harm.
package enum JournalRecord: Hashable, Sendable {
    case block(StoredBlock)
    case lift(IPNetwork)
    case counter(IPAddress, count: Int, deadline: WallTime)
    case clearCounter(IPAddress)
    case clearAllCounters
    case unsettled(UnsettledFailure)
    case settled(FailureID)
    /// The network is to be unblocked in the store as soon as that answers.
    case pendingLift(IPNetwork)
    case liftSettled(IPNetwork)
    /// The blocks are all that the store had at one time: enough to serve with.
    case complete
}

/// What a journal amounts to.
package struct JournalState: Hashable, Sendable {
    package var blocks: [IPNetwork: StoredBlock] = [:]
    package var counters: [IPAddress: StoredCounter] = [:]
    package var unsettled: [FailureID: UnsettledFailure] = [:]
    package var pendingLifts: Set<IPNetwork> = []
    package var isComplete = false

    package struct StoredCounter: Hashable, Sendable {
        package var count: Int
        package var deadline: WallTime
    }

    package init() {}

    package mutating func apply(_ record: JournalRecord) {
        switch record {
        case .block(let block): blocks[block.network] = block
        case .lift(let network): blocks[network] = nil
        case .counter(let address, let count, let deadline):
            counters[address] = StoredCounter(count: count, deadline: deadline)
        case .clearCounter(let address): counters[address] = nil
        case .clearAllCounters: counters = [:]
        case .unsettled(let failure): unsettled[failure.failure.id] = failure
        case .settled(let id): unsettled[id] = nil
        case .pendingLift(let network): pendingLifts.insert(network)
        case .liftSettled(let network): pendingLifts.remove(network)
        case .complete: isComplete = true
        }
    }

    /// Forgets what is over.
    package mutating func expire(at now: WallTime) {
        blocks = blocks.filter { $0.value.deadline.map { $0 > now } ?? true }
        counters = counters.filter { $0.value.deadline > now }
    }

    /// The shortest journal that amounts to this.
    package func forEachRecord(_ body: (JournalRecord) throws(LedgerError) -> Void) throws(LedgerError) {
        for block in blocks.values { try body(.block(block)) }
        for (address, counter) in counters {
            try body(.counter(address, count: counter.count, deadline: counter.deadline))
        }
        for failure in unsettled.values { try body(.unsettled(failure)) }
        for network in pendingLifts { try body(.pendingLift(network)) }
        if isComplete { try body(.complete) }
    }
}
