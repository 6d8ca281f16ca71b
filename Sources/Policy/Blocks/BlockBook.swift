package import Wire

/// All blocks in force with what operators want to know of them. Several keys of the store may mean one network
/// (`ip_block:::ffff:1.2.3.4` and `ip_block:1.2.3.4`): the one that lasts longest counts, and the block is lifted when
/// the last is gone.
package struct BlockBook: Sendable {
    /// What a change of the book means for those who follow it.
    package enum Change: Hashable, Sendable {
        /// A network that was free is blocked.
        case began(BlockRecord)
        /// It was blocked already; deadline, origin or words are different now.
        case changed(BlockRecord, from: BlockRecord)
        case ended(BlockRecord)
        case none
    }

    private struct Entry {
        var record: BlockRecord
        /// The round of resynchronisation in which it was last seen.
        var round: UInt32
    }

    /// By what they are of, as the canonical key has it.
    private var entries: [BlockSubject: Entry] = [:]
    /// By key, for keys in another than the canonical spelling.
    private var aliases: [String: Entry] = [:]
    private var aliasNames: [BlockSubject: Set<String>] = [:]
    private var queue = DeadlineQueue<BlockSubject>()
    private var round: UInt32 = 0
    /// Accounts among what is in force, in the sense of `count`.
    package private(set) var accounts = 0

    package init() {}

    /// What is in force, more or less: what is over and not yet taken out is counted.
    package var count: Int { entries.count + aliasNames.keys.count { entries[$0] == nil } }
    /// When `expire(at:)` has something to do.
    package var nextDeadline: Instant? { queue.first }

    /// The block of exactly this.
    package subscript(_ subject: BlockSubject) -> BlockRecord? {
        var best = entries[subject]?.record
        guard let names = aliasNames[subject] else { return best }
        for name in names {
            let record = aliases[name]!.record
            if best == nil || best!.deadline < record.deadline { best = record }
        }
        return best
    }

    /// What this very key says.
    package func record(ofKey key: String) -> BlockRecord? {
        if let alias = aliases[key] { return alias.record }
        guard let subject = BlockKey.subject(ofBlock: key), key == BlockKey.block(subject) else { return nil }
        return entries[subject]?.record
    }

    /// Every block in force at `now`.
    package func records(at now: Instant) -> [BlockRecord] {
        var records: [BlockRecord] = []
        records.reserveCapacity(entries.count)
        for subject in entries.keys {
            if let record = self[subject], record.deadline > now { records.append(record) }
        }
        for subject in aliasNames.keys where entries[subject] == nil {
            if let record = self[subject], record.deadline > now { records.append(record) }
        }
        return records
    }

    /// Sets what `key` says; nil stands for the canonical key.
    @discardableResult
    package mutating func set(_ record: BlockRecord, key: String? = nil) -> Change {
        let former = self[record.subject]
        let entry = Entry(record: record, round: round)
        let replaced: Entry?
        if let key, key != BlockKey.block(record.subject) {
            replaced = aliases.updateValue(entry, forKey: key)
            aliasNames[record.subject, default: []].insert(key)
        } else {
            replaced = entries.updateValue(entry, forKey: record.subject)
        }
        // One that a scan finds as it was is in the queue already.
        if !record.isPermanent, record.deadline != replaced?.record.deadline { enqueue(record) }
        return change(of: record.subject, from: former)
    }

    /// Removes what `key` said; other keys of the same network go on.
    @discardableResult
    package mutating func remove(key: String) -> Change {
        guard let subject = BlockKey.subject(ofBlock: key) else { return .none }
        let former = self[subject]
        if aliases.removeValue(forKey: key) != nil {
            aliasNames[subject]!.remove(key)
            if aliasNames[subject]!.isEmpty { aliasNames[subject] = nil }
        } else if key == BlockKey.block(subject) {
            entries[subject] = nil
        }
        return change(of: subject, from: former)
    }

    /// Removes the block whatever key says so.
    @discardableResult
    package mutating func remove(_ subject: BlockSubject) -> BlockRecord? {
        let former = self[subject]
        if former != nil, subject.account != nil { accounts -= 1 }
        entries[subject] = nil
        for name in aliasNames.removeValue(forKey: subject) ?? [] { aliases[name] = nil }
        return former
    }

    /// Every key that says so, or may: the canonical one is always among them.
    package func keys(of subject: BlockSubject) -> [String] {
        [BlockKey.block(subject)] + (aliasNames[subject].map { $0.sorted() } ?? [])
    }

    /// Takes out at most `budget` blocks whose time is over, and gives them back.
    package mutating func expire(at now: Instant, budget: Int = 1_024) -> [BlockRecord] {
        var over: [BlockRecord] = []
        while over.count < budget, let next = queue.take(until: now) {
            guard let former = self[next.key], former.deadline <= now else { continue }
            remove(next.key)
            over.append(former)
        }
        return over
    }

    /// Mark and sweep: everything set from here on belongs to the new round.
    package mutating func beginRound() { round &+= 1 }

    /// The keys that were not seen in this round: what the store does not have any more.
    package func unseen() -> [(key: String, record: BlockRecord)] {
        entries.values.filter { $0.round != round }.map { (BlockKey.block($0.record.subject), $0.record) }
            + aliases.filter { $0.value.round != round }.map { ($0.key, $0.value.record) }
    }

    /// Whether that which the key said was not seen in this round, up to now.
    package func isUnseen(_ key: String) -> Bool {
        if let alias = aliases[key] { return alias.round != round }
        guard let subject = BlockKey.subject(ofBlock: key), let entry = entries[subject] else { return false }
        return entry.round != round
    }

    private mutating func enqueue(_ record: BlockRecord) {
        queue.add(record.subject, at: record.deadline)
        // Every new deadline leaves the former in the heap; a heap of leftovers is rebuilt.
        if queue.count > 2 * (entries.count + aliases.count) + 64 {
            queue = DeadlineQueue()
            for entry in entries.values where !entry.record.isPermanent {
                queue.add(entry.record.subject, at: entry.record.deadline)
            }
            for entry in aliases.values where !entry.record.isPermanent {
                queue.add(entry.record.subject, at: entry.record.deadline)
            }
        }
    }

    private mutating func change(of subject: BlockSubject, from former: BlockRecord?) -> Change {
        let present = self[subject]
        if subject.account != nil { accounts += (present == nil ? 0 : 1) - (former == nil ? 0 : 1) }
        return switch (former, present) {
        case (nil, nil): .none
        case (nil, let now?): .began(now)
        case (let former?, nil): .ended(former)
        case (let former?, let now?): former == now ? .none : .changed(now, from: former)
        }
    }
}
