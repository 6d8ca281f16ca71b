package import Wire

/// All revocations there are, with what operators want to know of them.
package struct RevocationBook: Sendable {
    /// What a change of the book means for those who follow it.
    package enum Change: Hashable, Sendable {
        case began(RevocationRecord)
        case changed(RevocationRecord, from: RevocationRecord)
        case ended(RevocationRecord)
        case none
    }

    private struct Entry {
        var record: RevocationRecord
        /// The round of resynchronisation in which it was last seen.
        var round: UInt32
    }

    private var entries: [RevocationTarget: Entry] = [:]
    private var queue = DeadlineQueue<RevocationTarget>()
    private var round: UInt32 = 0

    package init() {}

    package var count: Int { entries.count }
    /// When `expire(at:)` has something to do.
    package var nextDeadline: Instant? { queue.first }

    package subscript(_ target: RevocationTarget) -> RevocationRecord? { entries[target]?.record }

    /// That of the target, when it is not over at `now`.
    package func record(of target: RevocationTarget, at now: Instant) -> RevocationRecord? {
        self[target].flatMap { $0.deadline > now ? $0 : nil }
    }

    /// Those that are not over at `now`, in no order.
    package func records(at now: Instant) -> [RevocationRecord] {
        entries.values.compactMap { $0.record.deadline > now ? $0.record : nil }
    }

    @discardableResult
    package mutating func set(_ record: RevocationRecord) -> Change {
        let former = entries.updateValue(Entry(record: record, round: round), forKey: record.target)?.record
        if record.deadline != .never, record.deadline != former?.deadline { enqueue(record) }
        guard let former else { return .began(record) }
        return former == record ? .none : .changed(record, from: former)
    }

    @discardableResult
    package mutating func remove(_ target: RevocationTarget) -> Change {
        entries.removeValue(forKey: target).map { .ended($0.record) } ?? .none
    }

    /// Takes out at most `budget` of those whose time is over, and gives them back.
    package mutating func expire(at now: Instant, budget: Int = 1_024) -> [RevocationRecord] {
        var over: [RevocationRecord] = []
        while over.count < budget, let next = queue.take(until: now) {
            guard let record = entries[next.key]?.record, record.deadline <= now else { continue }
            entries[next.key] = nil
            over.append(record)
        }
        return over
    }

    /// Mark and sweep: everything set from here on belongs to the new round.
    package mutating func beginRound() { round &+= 1 }

    /// What was not seen in this round: what the store does not have any more.
    package func unseen() -> [RevocationRecord] {
        entries.values.compactMap { $0.round == round ? nil : $0.record }
    }

    /// Whether it was not seen in this round, up to now.
    package func isUnseen(_ target: RevocationTarget) -> Bool { entries[target].map { $0.round != round } ?? false }

    private mutating func enqueue(_ record: RevocationRecord) {
        queue.add(record.target, at: record.deadline)
        // Every new deadline leaves the former in the heap; a heap of leftovers is rebuilt.
        guard queue.count > 2 * entries.count + 64 else { return }
        queue = DeadlineQueue()
        for entry in entries.values where entry.record.deadline != .never {
            queue.add(entry.record.target, at: entry.record.deadline)
        }
    }
}
