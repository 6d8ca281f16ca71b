package import Wire

/// Guesses that may be on their way to a backend, by what they are counted under. A place that nobody gives back ends by itself: whoever took
/// it may have died, and the answer may never come.
package struct HeldGuesses: Sendable {
    private struct Place: Hashable {
        let subject: LoginKey
        let id: FailureID
    }

    private var held: [LoginKey: [FailureID: Instant]] = [:]
    private var queue = DeadlineQueue<Place>()
    private var total = 0

    package init() {}

    /// Places taken, of all.
    package var count: Int { total }

    /// Of this one. Those that are over must have been taken out before (`expire`).
    package func count(of subject: LoginKey) -> Int { held[subject]?.count ?? 0 }

    package func count(of subject: LoginKey, where isMeant: (FailureID) -> Bool) -> Int {
        held[subject]?.keys.count(where: isMeant) ?? 0
    }

    package func contains(_ id: FailureID, of subject: LoginKey) -> Bool { held[subject]?[id] != nil }

    package mutating func hold(_ id: FailureID, of subject: LoginKey, until deadline: Instant) {
        if held[subject, default: [:]].updateValue(deadline, forKey: id) == nil { total += 1 }
        queue.add(Place(subject: subject, id: id), at: deadline)
        // Nearly all are given back long before their time, and leave their entries behind.
        guard queue.count > 2 * total + 64 else { return }
        queue = DeadlineQueue()
        for (subject, places) in held {
            for (id, deadline) in places { queue.add(Place(subject: subject, id: id), at: deadline) }
        }
    }

    /// Whether it had a place.
    @discardableResult
    package mutating func release(_ id: FailureID, of subject: LoginKey) -> Bool {
        guard held[subject]?.removeValue(forKey: id) != nil else { return false }
        total -= 1
        if held[subject]?.isEmpty == true { held[subject] = nil }
        return true
    }

    package mutating func expire(at now: Instant) {
        while let next = queue.take(until: now) {
            guard let deadline = held[next.key.subject]?[next.key.id], deadline <= now else { continue }
            release(next.key.id, of: next.key.subject)
        }
    }
}
