package import Wire

/// How often a provider of CAPTCHAs is asked for the logins of one address, or of those that are counted with it. Tokens cost
/// whoever makes them up nothing: without this one address could use up what the provider, or `max_pending`, allows to all.
///
/// The book is bounded: when its newer half is full it forgets the older one.
package struct TokenQuota {
    /// Questions that are open at a time.
    package static let mostOpen = 4
    /// Tokens that were not good, within `time` from the first one on.
    package static let mostBad = 10
    package static let time = Interval.seconds(600)

    private struct Count {
        var bad: Int
        var until: Instant
    }

    /// As many as questions are open, at most.
    private var open: [IPNetwork: Int] = [:]
    private var newer: [IPNetwork: Count] = [:]
    private var older: [IPNetwork: Count] = [:]
    private let half: Int

    package init(half: Int = 8_192) { self.half = half }

    package var count: Int { newer.count + older.count }

    /// Whether one more question may be put. Those that are open may all come to nothing.
    package func allows(_ subject: IPNetwork, at now: Instant) -> Bool {
        let open = open[subject] ?? 0
        return open < TokenQuota.mostOpen && bad(subject, at: now) + open < TokenQuota.mostBad
    }

    package mutating func asked(_ subject: IPNetwork) { open[subject, default: 0] += 1 }

    /// - Parameter isBad: the provider has said so.
    package mutating func answered(_ subject: IPNetwork, isBad: Bool, at now: Instant) {
        let left = (open[subject] ?? 1) - 1
        open[subject] = left > 0 ? left : nil
        if isBad { note(subject, at: now) }
    }

    /// Another provider may find good what this one did not.
    package mutating func forgetBad() {
        newer = [:]
        older = [:]
    }

    private func bad(_ subject: IPNetwork, at now: Instant) -> Int {
        guard let known = newer[subject] ?? older[subject], now < known.until else { return 0 }
        return known.bad
    }

    private mutating func note(_ subject: IPNetwork, at now: Instant) {
        var count = Count(bad: 0, until: now + TokenQuota.time)
        if let known = newer[subject] ?? older[subject], now < known.until { count = known }
        count.bad += 1
        older[subject] = nil
        if newer[subject] == nil, newer.count >= half {
            older = newer
            newer = [:]
        }
        newer[subject] = count
    }
}
