package import Policy
package import Wire

/// A block as it is kept on disk: with a civil deadline, because the monotonic clock does not survive a reboot.
package struct StoredBlock: Hashable, Sendable {
    package var subject: BlockSubject
    package var origin: BlockOrigin
    package var reason: String
    package var actor: String
    package var since: WallTime
    /// nil: permanent.
    package var deadline: WallTime?
    /// Decided here while the authority was away, and not yet carried over.
    package var isPending: Bool

    init(_ record: BlockRecord, clock: LedgerClock, isPending: Bool = false) {
        subject = record.subject
        origin = record.origin
        reason = record.reason
        actor = record.actor
        since = record.since
        deadline = clock.wall(of: record.deadline)
        self.isPending = isPending
    }

    init(
        _ subject: BlockSubject, origin: BlockOrigin, reason: String, actor: String, since: WallTime,
        deadline: WallTime?,
        isPending: Bool
    ) {
        self.subject = subject
        self.origin = origin
        self.reason = reason
        self.actor = actor
        self.since = since
        self.deadline = deadline
        self.isPending = isPending
    }

    func record(clock: LedgerClock) -> BlockRecord {
        BlockRecord(
            subject, origin: origin, reason: reason, actor: actor, since: since,
            deadline: clock.deadline(of: deadline))
    }
}

/// A revocation as it is kept on disk, with a civil deadline.
package struct StoredRevocation: Hashable, Sendable {
    /// `deadline` means nothing here.
    package var record: RevocationRecord
    /// nil: it does not end.
    package var deadline: WallTime?
    /// Set here while the authority was away, and not yet carried over.
    package var isPending: Bool

    init(_ record: RevocationRecord, clock: LedgerClock, isPending: Bool = false) {
        self.init(record, deadline: clock.wall(of: record.deadline), isPending: isPending)
    }

    init(_ record: RevocationRecord, deadline: WallTime?, isPending: Bool) {
        self.record = record
        // What is kept is the civil one; two that differ in nothing else are the same.
        self.record.deadline = .never
        self.deadline = deadline
        self.isPending = isPending
    }

    func record(clock: LedgerClock) -> RevocationRecord {
        var record = record
        record.deadline = clock.deadline(of: deadline)
        return record
    }
}

/// A shared text as it is kept on disk, with a civil deadline.
package struct StoredText: Hashable, Sendable {
    package var text: String
    /// nil: it does not end.
    package var deadline: WallTime?

    func text(clock: LedgerClock) -> SharedText { SharedText(text, until: clock.deadline(of: deadline)) }
}

extension JournalRecord {
    /// What is so of the name from now on.
    static func shared(_ name: SharedName, _ text: SharedText?, clock: LedgerClock) -> JournalRecord {
        guard let text else { return .sharedRemoved(name) }
        return .shared(name, StoredText(text: text.text, deadline: clock.wall(of: text.deadline)))
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
    case lift(BlockSubject)
    case counter(LoginKey, count: Int, deadline: WallTime)
    case clearCounter(LoginKey)
    case clearAllCounters
    case unsettled(UnsettledFailure)
    case settled(FailureID)
    /// The block is to be lifted in the store as soon as that answers.
    case pendingLift(BlockSubject)
    case liftSettled(BlockSubject)
    case revocation(StoredRevocation)
    case revocationLifted(RevocationTarget)
    /// The revocation is to be taken back in the store as soon as that answers.
    case pendingRevocationLift(RevocationTarget)
    case revocationLiftSettled(RevocationTarget)
    case shared(SharedName, StoredText)
    case sharedRemoved(SharedName)
    /// What was said of the name last is to be told to the store as soon as that answers.
    case sharedPending(SharedName)
    case sharedSettled(SharedName)
    /// When that which waits to be told of the key was said.
    case word(StoreKey, Word)
    case wordSettled(StoreKey)
    /// Which data of the store the mirror is of: the value of `BlockKey.epoch`.
    case epoch(String)
    /// Blocks and revocations are all that the store had at one time: enough to serve with.
    case complete
}

/// What a journal amounts to.
package struct JournalState: Hashable, Sendable {
    package var blocks: [BlockSubject: StoredBlock] = [:]
    package var counters: [LoginKey: StoredCounter] = [:]
    package var unsettled: [FailureID: UnsettledFailure] = [:]
    package var pendingLifts: Set<BlockSubject> = []
    package var revocations: [RevocationTarget: StoredRevocation] = [:]
    package var pendingRevocationLifts: Set<RevocationTarget> = []
    package var shared: [SharedName: StoredText] = [:]
    package var pendingShared: Set<SharedName> = []
    var words: [StoreKey: Word] = [:]
    package var epoch: String?
    package var isComplete = false

    package struct StoredCounter: Hashable, Sendable {
        package var count: Int
        package var deadline: WallTime
    }

    package init() {}

    package mutating func apply(_ record: JournalRecord) {
        switch record {
        case .block(let block): blocks[block.subject] = block
        case .lift(let subject): blocks[subject] = nil
        case .counter(let key, let count, let deadline):
            counters[key] = StoredCounter(count: count, deadline: deadline)
        case .clearCounter(let key): counters[key] = nil
        case .clearAllCounters: counters = [:]
        case .unsettled(let failure): unsettled[failure.failure.id] = failure
        case .settled(let id): unsettled[id] = nil
        case .pendingLift(let subject): pendingLifts.insert(subject)
        case .liftSettled(let subject): pendingLifts.remove(subject)
        case .revocation(let revocation): revocations[revocation.record.target] = revocation
        case .revocationLifted(let target): revocations[target] = nil
        case .pendingRevocationLift(let target): pendingRevocationLifts.insert(target)
        case .revocationLiftSettled(let target): pendingRevocationLifts.remove(target)
        case .shared(let name, let text): shared[name] = text
        case .sharedRemoved(let name): shared[name] = nil
        case .sharedPending(let name): pendingShared.insert(name)
        case .sharedSettled(let name): pendingShared.remove(name)
        case .word(let key, let word): words[key] = word
        case .wordSettled(let key): words[key] = nil
        case .epoch(let text): epoch = text
        case .complete: isComplete = true
        }
    }

    /// Forgets what is over.
    package mutating func expire(at now: WallTime) {
        blocks = blocks.filter { $0.value.deadline.map { $0 > now } ?? true }
        counters = counters.filter { $0.value.deadline > now }
        revocations = revocations.filter { $0.value.deadline.map { $0 > now } ?? true }
        let over = shared.filter { $0.value.deadline.map { $0 <= now } ?? false }.keys
        // What the store has of it ends by itself, or never came there.
        pendingShared.subtract(over)
        for name in over {
            shared[name] = nil
            words[StoreKey(text: name.storeKey)] = nil
        }
    }

    /// The shortest journal that amounts to this.
    package func forEachRecord(_ body: (JournalRecord) throws(LedgerError) -> Void) throws(LedgerError) {
        for block in blocks.values { try body(.block(block)) }
        for (key, counter) in counters {
            try body(.counter(key, count: counter.count, deadline: counter.deadline))
        }
        for failure in unsettled.values { try body(.unsettled(failure)) }
        for subject in pendingLifts { try body(.pendingLift(subject)) }
        for revocation in revocations.values { try body(.revocation(revocation)) }
        for (name, text) in shared { try body(.shared(name, text)) }
        for name in pendingShared { try body(.sharedPending(name)) }
        for (key, word) in words { try body(.word(key, word)) }
        if let epoch { try body(.epoch(epoch)) }
        for target in pendingRevocationLifts { try body(.pendingRevocationLift(target)) }
        if isComplete { try body(.complete) }
    }
}
