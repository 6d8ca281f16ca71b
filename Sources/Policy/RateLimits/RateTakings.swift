package import Wire

/// What one worker has taken from buckets that replicas share, since it was told last: the requests that passed, by bucket.
/// Of bounded size and all taken at once, so that noting a request allocates nothing; what finds no place is counted, and
/// stays untold.
package final class RateTakings {
    /// Whose bucket it is.
    package enum Owner: Hashable, Sendable {
        /// Of a whole route.
        case everybody
        case address(IPAddress)
        case subject([UInt8])
    }

    package struct Taking: Sendable {
        /// That of the bucket in this process.
        package let key: Int
        /// With which it was taken from last; a reload may have changed it.
        package var rule: RateRule
        package let owner: Owner
        package private(set) var requests: Int
        /// What they took, in nanoseconds: each by the limit of its time. A limit that gets slower makes none dearer that has
        /// passed.
        package private(set) var worth: Int64
        /// When the first of them passed.
        package private(set) var since: Instant

        package init(key: Int, rule: RateRule, owner: Owner, requests: Int = 1, since: Instant) {
            self.key = key
            self.rule = rule
            self.owner = owner
            self.requests = requests
            self.since = since
            let (product, isTooMuch) = rule.bucket.spacing.multipliedReportingOverflow(by: Int64(requests))
            worth = isTooMuch ? .max : product
        }

        mutating func add(by rule: RateRule) {
            requests += 1
            let (sum, isTooMuch) = worth.addingReportingOverflow(rule.bucket.spacing)
            worth = isTooMuch ? .max : sum
            if self.rule !== rule { self.rule = rule }
        }

        /// What another worker has taken of the same bucket, or this one later.
        package mutating func add(_ other: Taking) {
            requests += other.requests
            let (sum, isTooMuch) = worth.addingReportingOverflow(other.worth)
            worth = isTooMuch ? .max : sum
            since = min(since, other.since)
            rule = other.rule
        }
    }

    package struct Batch: Sendable {
        package var takings: [Taking]
        /// Requests that found no place.
        package var untold: Int

        package init(takings: [Taking], untold: Int = 0) {
            self.takings = takings
            self.untold = untold
        }
    }

    package static let capacity = 4_096
    /// Places that no client takes.
    static let keptForRoutes = 64
    /// Twice as many, so that what is looked for is near.
    private static let places = 2 * capacity

    private var takings: [Taking] = []
    /// By the key, and behind it: the number of a taking, from 1; 0: free.
    private var numbers: [UInt16]
    private var untold = 0
    private let whenFirst: () -> Void

    /// - Parameter whenFirst: called with the first request that is noted, and with the first behind each `takeAll`.
    package init(whenFirst: @escaping () -> Void) {
        self.whenFirst = whenFirst
        numbers = Array(repeating: 0, count: RateTakings.places)
        takings.reserveCapacity(RateTakings.capacity)
    }

    /// A request has taken a token.
    /// - Parameter key: hashed with a seed of this process: nobody outside can choose some that meet.
    package func note(_ rule: RateRule, key: Int, of owner: Owner, at now: Instant) {
        var place = key & (RateTakings.places - 1)
        // Half of the places stay free, so this ends.
        while numbers[place] != 0 {
            let index = Int(numbers[place]) - 1
            if takings[index].key == key { return takings[index].add(by: rule) }
            place = (place + 1) & (RateTakings.places - 1)
        }
        var room = RateTakings.capacity - RateTakings.keptForRoutes
        if case .everybody = owner { room = RateTakings.capacity }
        guard takings.count < room else {
            untold += 1
            return
        }
        takings.append(Taking(key: key, rule: rule, owner: owner, since: now))
        numbers[place] = UInt16(takings.count)
        if takings.count == 1 { whenFirst() }
    }

    /// What was noted; nothing of it is here any more.
    package func takeAll() -> Batch {
        // A copy: the memory of this one is kept, and is nobody else's.
        let batch = Batch(takings: takings.map { $0 }, untold: untold)
        takings.removeAll(keepingCapacity: true)
        for place in numbers.indices { numbers[place] = 0 }
        untold = 0
        return batch
    }
}
