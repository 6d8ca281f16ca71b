package import Wire

/// Guesses that may be on their way to a backend, each with the address or prefix that it was counted for when it got its
/// place: since then the rule may have become another one. A place that nobody gives back ends by itself: whoever took it
/// may have died, and the answer may never come.
package struct HeldGuesses: Sendable {
    private struct Place {
        let subject: IPNetwork
        var deadline: Instant
    }

    private var places: [FailureID: Place] = [:]
    private var counts: [IPNetwork: Int] = [:]
    private var queue = DeadlineQueue<FailureID>()

    package init() {}

    /// Places taken, of all.
    package var count: Int { places.count }

    /// Of this one. Those that are over must have been taken out before (`expire`).
    package func count(of subject: IPNetwork) -> Int { counts[subject] ?? 0 }

    /// Whom the place of the guess is counted for; nil: it has none.
    package func subject(of id: FailureID) -> IPNetwork? { places[id]?.subject }

    /// One that has a place keeps that one, which ends at `deadline` now.
    package mutating func hold(_ id: FailureID, of subject: IPNetwork, until deadline: Instant) {
        if places[id] != nil {
            places[id]?.deadline = deadline
        } else {
            places[id] = Place(subject: subject, deadline: deadline)
            counts[subject, default: 0] += 1
        }
        queue.add(id, at: deadline)
        // Nearly all are given back long before their time, and leave their entries behind.
        guard queue.count > 2 * places.count + 64 else { return }
        queue = DeadlineQueue()
        for (id, place) in places { queue.add(id, at: place.deadline) }
    }

    /// Whom its place was counted for; nil: it had none.
    @discardableResult
    package mutating func release(_ id: FailureID) -> IPNetwork? {
        guard let subject = places.removeValue(forKey: id)?.subject else { return nil }
        let left = count(of: subject) - 1
        counts[subject] = left > 0 ? left : nil
        return subject
    }

    package mutating func expire(at now: Instant) {
        while let next = queue.take(until: now) {
            guard let place = places[next.key], place.deadline <= now else { continue }
            release(next.key)
        }
    }
}
