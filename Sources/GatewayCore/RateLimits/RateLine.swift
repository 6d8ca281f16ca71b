internal import Ledger
internal import Policy
internal import Wire

/// Buckets of one kind that wait to be told, in the order in which they came, so that each has its turn; and of which of them the
/// store has keys. Bounded, each kind by itself: no crowd of addresses pushes users out, and neither of them whole routes.
struct RateLine {
    /// Buckets that wait.
    let limit: Int
    /// Keys that the store keeps for this process: of a slow limit each lives for hours, so a crowd of clients with a request
    /// each could else fill it, and with it the place of blocks.
    let mostKept: Int
    /// By their keys.
    private var waiting: [Int: RateTakings.Taking] = [:]
    private var queue = ArrivalQueue<Int>()
    /// By their keys: when each bucket that was told is full, and its key in the store over.
    private var kept: [Int: Instant] = [:]
    private var nextPurge = Instant(nanoseconds: .min)

    private static let betweenPurges = Interval.seconds(1)

    init(limit: Int, mostKept: Int) {
        self.limit = limit
        self.mostKept = mostKept
    }

    var count: Int { waiting.count }

    /// False: there is no place for it.
    mutating func add(_ taking: RateTakings.Taking, at now: Instant) -> Bool {
        if waiting[taking.key] != nil {
            waiting[taking.key]?.add(taking)
            return true
        }
        guard waiting.count < limit, mayKeep(taking.key, at: now) else { return false }
        waiting[taking.key] = taking
        queue.append(taking.key)
        return true
    }

    /// The next so many, as far as there are some. They count as kept by the store, until `answered` says better: one whose answer
    /// never comes may well be there.
    mutating func take(_ count: Int, at now: Instant) -> [RateTakings.Taking] {
        var takings: [RateTakings.Taking] = []
        while takings.count < count, let key = queue.popFirst(), let taking = waiting.removeValue(forKey: key) {
            kept[key] = now + taking.rule.bucket.furthest
            takings.append(taking)
        }
        return takings
    }

    /// - Parameter fullAt: nil: the store has no key of it.
    mutating func answered(_ key: Int, fullAt: Instant?) { kept[key] = fullAt }

    /// Nothing waits any more. What the store keeps it keeps.
    mutating func forget() {
        waiting = [:]
        queue = ArrivalQueue()
    }

    private mutating func mayKeep(_ key: Int, at now: Instant) -> Bool {
        var isFull: Bool { kept.count + waiting.count >= mostKept }
        if !isFull || kept[key] != nil { return true }
        guard now >= nextPurge else { return false }
        nextPurge = now + RateLine.betweenPurges
        kept = kept.filter { $0.value > now }
        return !isFull
    }
}
