package import Wire

/// Failures by what they are counted under, in this process's memory: the whole truth of the embedded ledger, and what the Redis ledger
/// counts with while Redis is away. A fixed window each: it begins with the first failure (`INCR` + `EXPIRE`).
package struct FailureCounters: Sendable {
    package struct Counter: Hashable, Sendable {
        package var count: Int
        package var deadline: Instant

        package init(count: Int, deadline: Instant) {
            self.count = count
            self.deadline = deadline
        }
    }

    private var counters: [LoginKey: Counter] = [:]
    private var queue = DeadlineQueue<LoginKey>()
    /// The last failures counted, as a ring, so that one told twice is counted once.
    private var recent: Set<FailureID> = []
    private var ring: [FailureID] = []
    private var oldest = 0
    private let capacity: Int
    private let remembered: Int

    /// - Parameters:
    ///   - capacity: Counters kept. Beyond it those whose window ends soonest are forgotten: an attacker with a /64
    ///     must not be able to fill the memory.
    ///   - remembered: Failures whose repetition is noticed.
    package init(capacity: Int = 262_144, remembered: Int = 4_096) {
        self.capacity = capacity
        self.remembered = remembered
    }

    package var count: Int { counters.count }
    package var all: [LoginKey: Counter] { counters }

    /// The counter of `key` when its window is not over.
    package func counter(of key: LoginKey, at now: Instant) -> Counter? {
        guard let counter = counters[key], counter.deadline > now else { return nil }
        return counter
    }

    /// Counts one failure and says what the count is now.
    package mutating func record(_ id: FailureID, of key: LoginKey, window: Interval, at now: Instant) -> Counter {
        expire(at: now)
        let known = counters[key]
        guard remember(id) else { return known ?? Counter(count: 0, deadline: now) }
        let counter = Counter(count: (known?.count ?? 0) + 1, deadline: known?.deadline ?? now + window)
        set(key, counter)
        return counter
    }

    /// Takes over what is known from elsewhere: the authority's count, or the disk's.
    package mutating func set(_ key: LoginKey, _ counter: Counter) {
        let former = counters.updateValue(counter, forKey: key)
        if former?.deadline != counter.deadline { queue.add(key, at: counter.deadline) }
        // Counters that were set anew leave entries behind; a heap of them alone is rebuilt.
        if queue.count > 2 * counters.count + 64 {
            queue = DeadlineQueue()
            for (key, counter) in counters { queue.add(key, at: counter.deadline) }
        }
        while counters.count > capacity, let next = queue.take(until: .never) {
            if counters[next.key]?.deadline == next.deadline { counters[next.key] = nil }
        }
    }

    /// The block's end becomes the counter's: block and count expire together.
    package mutating func expire(_ key: LoginKey, at deadline: Instant) {
        guard var counter = counters[key] else { return }
        counter.deadline = deadline
        set(key, counter)
    }

    /// Whether there was one.
    @discardableResult
    package mutating func clear(_ key: LoginKey) -> Bool { counters.removeValue(forKey: key) != nil }

    package mutating func clearAll() {
        counters = [:]
        queue = DeadlineQueue()
    }

    package mutating func expire(at now: Instant) {
        while let next = queue.take(until: now) {
            if counters[next.key]?.deadline == next.deadline { counters[next.key] = nil }
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
