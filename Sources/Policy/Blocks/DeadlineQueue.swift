package import Wire

/// Keys by deadline, soonest first: a binary heap. Entries are never changed, only outlived: whoever takes one asks its
/// own table whether the deadline still stands.
package struct DeadlineQueue<Key: Sendable>: Sendable {
    private var heap: [(deadline: Instant, key: Key)] = []

    package init() {}

    package var count: Int { heap.count }
    /// Of the soonest entry.
    package var first: Instant? { heap.first?.deadline }

    package mutating func add(_ key: Key, at deadline: Instant) {
        heap.append((deadline, key))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the soonest entry out when its deadline is not after `now`.
    package mutating func take(until now: Instant) -> (deadline: Instant, key: Key)? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
