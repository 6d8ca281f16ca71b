package import Wire

/// Failures by what they are counted under, in this process's memory: the whole truth of the embedded ledger, and what the Redis ledger
/// counts with while Redis is away. A fixed window each, which begins with the first failure (`INCR` + `EXPIRE`), or a sliding one.
package struct FailureCounters: Sendable {
    package struct Counter: Hashable, Sendable {
        package var count: Int
        package var deadline: Instant

        package init(count: Int, deadline: Instant) {
            self.count = count
            self.deadline = deadline
        }
    }

    private struct Entry {
        var counter: Counter
        /// When the failures were, the oldest first; nil: not known, since only their number was told.
        var times: [Instant]?
    }

    /// Those of one rule.
    private struct Table {
        var counters: [LoginKey: Entry] = [:]
        var queue = DeadlineQueue<LoginKey>()

        /// - Returns: whether it is one more.
        mutating func set(_ key: LoginKey, _ entry: Entry) -> Bool {
            let former = counters.updateValue(entry, forKey: key)?.counter
            if former?.deadline != entry.counter.deadline { queue.add(key, at: entry.counter.deadline) }
            // Counters that were set anew leave entries behind; a heap of them alone is rebuilt.
            if queue.count > 2 * counters.count + 64 {
                queue = DeadlineQueue()
                for (key, entry) in counters { queue.add(key, at: entry.counter.deadline) }
            }
            return former == nil
        }

        /// Forgets the one that ends soonest, unless it ends behind `now`. False: there is none.
        mutating func forgetSoonest(until now: Instant) -> Bool {
            while let next = queue.take(until: now) {
                guard counters[next.key]?.counter.deadline == next.deadline else { continue }
                counters[next.key] = nil
                return true
            }
            return false
        }
    }

    /// By rules.
    private var tables: [String: Table] = [:]
    package private(set) var count = 0
    /// The last failures counted, as a ring, so that one told twice is counted once.
    private var recent: Set<FailureID> = []
    private var ring: [FailureID] = []
    private var oldest = 0
    private let capacity: Int
    private let remembered: Int
    /// Failures of one key whose times are known. No limit of a sliding window is higher.
    package static let kept = 1_024

    /// - Parameters:
    ///   - capacity: Counters kept. Beyond it those whose window ends soonest are forgotten: an attacker with a /64
    ///     must not be able to fill the memory. They are of the rule that has the most, so that whoever fills one with a long
    ///     window does not empty those of others.
    ///   - remembered: Failures whose repetition is noticed.
    package init(capacity: Int = 262_144, remembered: Int = 4_096) {
        self.capacity = capacity
        self.remembered = remembered
    }

    package var keys: [LoginKey] { tables.values.flatMap(\.counters.keys) }

    private func found(_ key: LoginKey) -> Entry? { tables[key.rule]?.counters[key] }

    /// The counter of `key` when its window is not over.
    /// - Parameter sliding: the length of a sliding window; nil: it is a fixed one.
    package func counter(of key: LoginKey, sliding: Interval? = nil, at now: Instant) -> Counter? {
        guard let entry = found(key), entry.counter.deadline > now else { return nil }
        guard let sliding, let times = entry.times else { return entry.counter }
        let count = times.count { $0 + sliding > now }
        return count == 0 ? nil : Counter(count: count, deadline: entry.counter.deadline)
    }

    /// Counts one failure and says what the count is now.
    package mutating func record(_ id: FailureID, of key: LoginKey, window: Interval, at now: Instant) -> Counter {
        expire(at: now)
        let known = found(key)?.counter
        guard remember(id) else { return known ?? Counter(count: 0, deadline: now) }
        let counter = Counter(count: (known?.count ?? 0) + 1, deadline: known?.deadline ?? now + window)
        set(key, counter)
        return counter
    }

    /// The same in a sliding window. The counter ends when the last failure does not count any more. Beyond the limit it keeps its
    /// end: that is the end of a block.
    package mutating func record(
        _ id: FailureID, of key: LoginKey, sliding window: Interval, limit: Int, at now: Instant
    ) -> Counter {
        expire(at: now)
        let known = counter(of: key, sliding: window, at: now)
        guard remember(id) else { return known ?? Counter(count: 0, deadline: now) }
        var times = known == nil ? [] : found(key)?.times ?? []
        // Of those that were only told nobody knows when they were: as late as can be.
        if let known, found(key)?.times == nil {
            let began = known.deadline + Interval(nanoseconds: -window.nanoseconds)
            times = Array(repeating: min(now, began), count: min(known.count, FailureCounters.kept))
        }
        times.removeAll { $0 + window <= now }
        times.append(now)
        if times.count > FailureCounters.kept { times.removeFirst() }
        let end = known.map { times.count > limit ? $0.deadline : now + window } ?? now + window
        let counter = Counter(count: times.count, deadline: end)
        set(key, counter, times: times)
        return counter
    }

    /// Takes over what is known from elsewhere: the authority's count, or the disk's.
    package mutating func set(_ key: LoginKey, _ counter: Counter) { set(key, counter, times: nil) }

    private mutating func set(_ key: LoginKey, _ counter: Counter, times: [Instant]?) {
        if tables[key.rule, default: Table()].set(key, Entry(counter: counter, times: times)) { count += 1 }
        while count > capacity,
            let fullest = tables.max(by: { $0.value.counters.count < $1.value.counters.count })?.key,
            tables[fullest]?.forgetSoonest(until: .never) == true
        {
            count -= 1
        }
    }

    /// The block's end becomes the counter's: block and count expire together.
    package mutating func expire(_ key: LoginKey, at deadline: Instant) {
        guard var entry = found(key) else { return }
        entry.counter.deadline = deadline
        set(key, entry.counter, times: entry.times)
    }

    /// Whether there was one.
    @discardableResult
    package mutating func clear(_ key: LoginKey) -> Bool {
        guard tables[key.rule]?.counters.removeValue(forKey: key) != nil else { return false }
        count -= 1
        return true
    }

    package mutating func clearAll() {
        tables = [:]
        count = 0
    }

    package mutating func expire(at now: Instant) {
        var rules: [String] = []
        for (rule, table) in tables {
            if let first = table.queue.first, first <= now { rules.append(rule) }
        }
        for rule in rules {
            while tables[rule]?.forgetSoonest(until: now) == true { count -= 1 }
        }
    }

    /// False when the failure is known already.
    private mutating func remember(_ id: FailureID) -> Bool {
        guard recent.insert(id).inserted else { return false }
        if ring.count < remembered {
            ring.append(id)
        } else {
            recent.remove(ring[oldest])
            ring[oldest] = id
            oldest = (oldest + 1) % remembered
        }
        return true
    }
}
