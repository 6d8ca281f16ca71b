internal import Policy
internal import Telemetry
internal import Wire

/// Token buckets of the whole process, by key: a fixed table of atomics that the workers share, without a lock. A bucket is
/// one number (`TokenBucket`) that is changed by compare and swap alone, so that of requests at the same moment on several
/// workers exactly those pass that there are tokens for.
///
/// A key has a set of eight places. Buckets that are full again need no place, so theirs are free. Where none of the eight
/// is, the one goes that would be full soonest: whoever is refused now is furthest from that, so that many addresses with a
/// request each cannot push the bucket out of one that sends many. What an eviction gives away is at most one burst, and
/// it is counted.
///
/// A place is two numbers, key and bucket. Whoever gives it to another key sets the bucket to `changing`, then the key, then
/// the new bucket, which is never the old one; so a swap of the bucket that succeeds was for the key that was read behind
/// it. Keys are entered into a set by one worker at a time, of which its version tells: nobody enters a key that another
/// has just entered.
final class RateTable: Sendable {
    private static let ways = 8
    /// How often a worker looks again while another enters a key, before it lets the request pass: only one that is
    /// interrupted within a few instructions keeps others waiting as long.
    private static let attempts = 1_000
    private static let changing = -1

    private let sets: Int
    /// The sets' versions, then the places. A version is odd while a key is entered.
    private let table: AtomicTable
    private let evicted = AtomicTable(count: 1)

    /// - Parameter sets: a power of two. One is 136 bytes.
    init(sets: Int) {
        precondition(sets > 0 && sets & (sets - 1) == 0, "a power of two")
        self.sets = sets
        table = AtomicTable(count: sets * (1 + 2 * RateTable.ways))
    }

    /// Buckets that were given away before they were full.
    var evictions: Int { evicted.load(0) }

    func take(key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        // Keys are hashed with a seed of this process: nobody outside can choose some that meet.
        let set = key & (sets - 1)
        let start = sets + set * 2 * RateTable.ways
        for _ in 0..<RateTable.attempts {
            let version = table.loadAcquiring(set)
            var soonest = (place: start, fullAt: Int.max)
            for place in stride(from: start, to: start + 2 * RateTable.ways, by: 2) {
                var fullAt = table.loadAcquiring(place + 1)
                while fullAt != RateTable.changing, table.loadAcquiring(place) == key {
                    switch bucket.take(from: fullAt, at: now) {
                    case .refused(let level): return RateAnswer(isAllowed: false, level: level)
                    case .lowered(let next, let level):
                        // Where somebody else was quicker, it is as low already.
                        _ = table.replace(fullAt, by: next, at: place + 1)
                        return RateAnswer(isAllowed: false, level: level)
                    case .taken(let next, let level):
                        if table.replace(fullAt, by: next, at: place + 1) {
                            return RateAnswer(isAllowed: true, level: level)
                        }
                        fullAt = table.loadAcquiring(place + 1)
                    }
                }
                if fullAt != RateTable.changing, fullAt < soonest.fullAt { soonest = (place, fullAt) }
            }
            guard version & 1 == 0, table.replace(version, by: version + 1, at: set) else { continue }
            defer { table.storeReleasing(version + 2, at: set) }
            if let answer = enter(key, bucket, at: soonest.place, insteadOf: soonest.fullAt, now) { return answer }
        }
        return RateAnswer(isAllowed: true, level: BucketLevel(left: 0, more: .zero))
    }

    /// What `take` would answer. A bucket that is being entered is as good as full.
    func look(key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        let start = sets + (key & (sets - 1)) * 2 * RateTable.ways
        var found = 0
        for place in stride(from: start, to: start + 2 * RateTable.ways, by: 2) {
            let fullAt = table.loadAcquiring(place + 1)
            if fullAt != RateTable.changing, table.loadAcquiring(place) == key { found = fullAt }
        }
        switch bucket.take(from: found, at: now) {
        case .refused(let level), .lowered(_, let level): return RateAnswer(isAllowed: false, level: level)
        case .taken(_, let level): return RateAnswer(isAllowed: true, level: level)
        }
    }

    /// The bucket is full no sooner than at `moment`, in nanoseconds of `Instant`: others have taken from it, too. Nothing is
    /// entered: of a key that has gone nobody here has taken for a while, or a crowd has pushed it out.
    func raise(key: Int, to moment: Int) {
        let start = sets + (key & (sets - 1)) * 2 * RateTable.ways
        for place in stride(from: start, to: start + 2 * RateTable.ways, by: 2) {
            var fullAt = table.loadAcquiring(place + 1)
            while fullAt != RateTable.changing, fullAt < moment, table.loadAcquiring(place) == key {
                if table.replace(fullAt, by: moment, at: place + 1) { return }
                fullAt = table.loadAcquiring(place + 1)
            }
        }
    }

    /// Nil: the bucket that was to go has changed meanwhile.
    private func enter(
        _ key: Int, _ bucket: TokenBucket, at place: Int, insteadOf old: Int, _ now: Instant
    ) -> RateAnswer? {
        guard case .taken(var fullAt, let level) = bucket.take(from: 0, at: now),
            table.replace(old, by: RateTable.changing, at: place + 1)
        else { return nil }
        if fullAt == old { fullAt += 1 }
        table.store(key, at: place)
        table.storeReleasing(fullAt, at: place + 1)
        if old > now.nanoseconds { evicted.addShared(1, to: 0) }
        return RateAnswer(isAllowed: true, level: level)
    }
}

/// The tables of all limits. Limits of whole routes have their own, so that no crowd of clients can push them out.
final class RateTables: RateMeter {
    /// 65,536 buckets, 1.1 MiB, for addresses and for identities; 4,096 for routes.
    private let addresses = RateTable(sets: 1 << 13)
    private let identities = RateTable(sets: 1 << 13)
    private let routes = RateTable(sets: 1 << 9)

    var evictions: Int { addresses.evictions + identities.evictions + routes.evictions }

    func take(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        table(of: kind).take(key: key, bucket, at: now)
    }

    func look(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        table(of: kind).look(key: key, bucket, at: now)
    }

    func raise(_ kind: RateRule.Kind, key: Int, to moment: Instant) {
        table(of: kind).raise(key: key, to: Int(moment.nanoseconds))
    }

    private func table(of kind: RateRule.Kind) -> RateTable {
        switch kind {
        case .perAddress, .routeAddress: addresses
        case .perIdentity, .routeIdentity: identities
        case .route: routes
        }
    }
}
