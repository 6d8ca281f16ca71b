package import Wire

/// So many requests in such a time: `100/min`.
package struct Rate: Hashable, Sendable, CustomStringConvertible {
    package enum Unit: String, CaseIterable, Sendable {
        case s, min, h, d

        package var seconds: Int {
            switch self {
            case .s: 1
            case .min: 60
            case .h: 3_600
            case .d: 86_400
            }
        }
    }

    package static let counts = 1...1_000_000
    package var count: Int
    package var unit: Unit

    package init(count: Int, per unit: Unit) {
        self.count = count
        self.unit = unit
    }

    /// Nil: it is not written like `100/min`, or the number is not one of `counts`.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = plainNumber(parts[0]), Rate.counts.contains(count),
            let unit = Unit(rawValue: String(parts[1]))
        else { return nil }
        self.init(count: count, per: unit)
    }

    package var description: String { "\(count)/\(unit.rawValue)" }

    /// From one request to the next, rounded up: never more than was allowed.
    package var spacing: Interval {
        let nanoseconds = Int64(unit.seconds) * 1_000_000_000
        return Interval(nanoseconds: (nanoseconds + Int64(count) - 1) / Int64(count))
    }
}

/// A rate, and how many requests may come at once when none came for a while.
package struct RateLimit: Hashable, Sendable, CustomStringConvertible {
    package static let bursts = 1...100_000
    package var rate: Rate
    package var burst: Int

    package init(_ rate: Rate, burst: Int) {
        self.rate = rate
        self.burst = burst
    }

    package var description: String { "\(rate), burst \(burst)" }
}

extension Configuration {
    package struct RateLimits: Hashable, Sendable {
        /// Nil: no limit.
        package var perAddress: RateLimit?
        package var perIdentity: RateLimit?
        /// The X-RateLimit fields too.
        package var legacyFields = false
        /// Replicas tell each other through Redis what they let pass.
        package var isShared = false

        package init() {}
    }

    package struct RouteRateLimit: Hashable, Sendable {
        /// What has a bucket of its own.
        package enum Subject: String, CaseIterable, Sendable { case address, identity, route }

        package var per = Subject.address
        package var limit: RateLimit
        /// Whether answers of the backend tell what is left.
        package var isTold = false

        package init(per: Subject, _ limit: RateLimit, isTold: Bool = false) {
            self.per = per
            self.limit = limit
            self.isTold = isTold
        }
    }
}
