package import Wire

/// Guesses that may be on their way to a backend, by address. A place that nobody gives back ends by itself: whoever took
/// it may have died, and the answer may never come.
package struct HeldGuesses: Sendable {
    private struct Place: Hashable {
        let address: IPAddress
        let id: FailureID
    }

    private var held: [IPAddress: [FailureID: Instant]] = [:]
    private var queue = DeadlineQueue<Place>()
    private var total = 0

    package init() {}

    /// Places taken, of all addresses.
    package var count: Int { total }

    /// Of this address. Those that are over must have been taken out before (`expire`).
    package func count(of address: IPAddress) -> Int { held[address]?.count ?? 0 }

    package func contains(_ id: FailureID, of address: IPAddress) -> Bool { held[address]?[id] != nil }

    package mutating func hold(_ id: FailureID, of address: IPAddress, until deadline: Instant) {
        if held[address, default: [:]].updateValue(deadline, forKey: id) == nil { total += 1 }
        queue.add(Place(address: address, id: id), at: deadline)
        // Nearly all are given back long before their time, and leave their entries behind.
        guard queue.count > 2 * total + 64 else { return }
        queue = DeadlineQueue()
        for (address, places) in held {
            for (id, deadline) in places { queue.add(Place(address: address, id: id), at: deadline) }
        }
    }

    /// Whether it had a place.
    @discardableResult
    package mutating func release(_ id: FailureID, of address: IPAddress) -> Bool {
        guard held[address]?.removeValue(forKey: id) != nil else { return false }
        total -= 1
        if held[address]?.isEmpty == true { held[address] = nil }
        return true
    }

    package mutating func expire(at now: Instant) {
        while let next = queue.take(until: now) {
            guard let deadline = held[next.key.address]?[next.key.id], deadline <= now else { continue }
            release(next.key.id, of: next.key.address)
        }
    }
}
