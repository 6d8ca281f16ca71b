package import Wire

/// Which solutions are used up, of one process: each is good for one guess.
///
/// What is forgotten could be used again, and no more than that: the limit of its address stays. So the book is bounded, and
/// when its newer half is full it forgets the older one.
package struct SolutionBook {
    private struct Entry {
        /// The guess that it was used for; nil: it is known to be good, and free.
        var holder: FailureID?
        let until: WallTime
    }

    package enum Claim: Hashable, Sendable {
        case granted
        /// It was used for another guess.
        case spent
        /// Nothing is known of it.
        case unknown
    }

    private var newer: [SolutionID: Entry] = [:]
    private var older: [SolutionID: Entry] = [:]
    private let half: Int

    /// - Parameter half: solutions, of which it remembers up to two times as many.
    package init(half: Int = 32_768) { self.half = half }

    package var count: Int { newer.count + older.count }

    /// Takes the solution for a guess, which may ask again.
    /// - Parameter until: of one that is good by itself; nil: somebody else has to say so first (`learn`).
    package mutating func claim(
        _ id: SolutionID, for guess: FailureID, until: WallTime?, at now: WallTime
    ) -> Claim {
        if let known = entry(id), known.until > now {
            guard known.holder == nil || known.holder == guess else { return .spent }
            keep(id, Entry(holder: guess, until: known.until))
            return .granted
        }
        // One that has ended on its way is forgotten, and could be used again.
        guard let until, until > now else { return .unknown }
        keep(id, Entry(holder: guess, until: until))
        return .granted
    }

    /// It is good until then.
    package mutating func learn(_ id: SolutionID, until: WallTime) { keep(id, Entry(holder: nil, until: until)) }

    /// The guess did not go: the solution is good for another one.
    package mutating func giveBack(_ id: SolutionID, by guess: FailureID) {
        guard let known = entry(id), known.holder == guess else { return }
        keep(id, Entry(holder: nil, until: known.until))
    }

    /// Whether it is the guess's own.
    package func isHeld(_ id: SolutionID, by guess: FailureID) -> Bool { entry(id)?.holder == guess }

    private func entry(_ id: SolutionID) -> Entry? { newer[id] ?? older[id] }

    private mutating func keep(_ id: SolutionID, _ entry: Entry) {
        older[id] = nil
        if newer[id] == nil, newer.count >= half {
            older = newer
            newer = [:]
        }
        newer[id] = entry
    }
}
