package import Wire

/// How an upstream's servers are chosen, and when they are left alone.
extension Configuration.Upstream {
    package enum Balance: String, CaseIterable, Sendable {
        case roundRobin = "round_robin"
        case leastConnections = "least_connections"
        case consistentHash = "consistent_hash"
    }

    /// What requests have in common that go to one server, for `consistent_hash`.
    package struct HashKey: Hashable, Sendable {
        package enum Source: String, CaseIterable, Sendable {
            case client, header, cookie, subject
        }
        package var source = Source.client
        /// Of the header or cookie; nil for the other sources.
        package var name: String?

        package init() {}
    }

    /// A server whose requests fail one after another is left alone for a while.
    package struct Ejection: Hashable, Sendable {
        /// Failures in a row, of all workers together; 0: never.
        package var failures = 5
        /// For the first time; doubled with each that follows soon.
        package var time = Interval.seconds(10)
        package var maximumTime = Interval.seconds(300)
        /// Percent of the servers that may be away at once.
        package var maximumShare = 50

        package init() {}
    }

    package struct CircuitBreaker: Hashable, Sendable {
        /// Failures in a row, of all workers and servers together; 0: never.
        package var failures = 5
        package var openTime = Interval.seconds(60)
        /// Requests that are let through to find out, and must succeed.
        package var probes = 3

        package init() {}
    }

    package struct HealthCheck: Hashable, Sendable {
        /// Nil: servers are not asked.
        package var path: String?
        /// Nil: the server's address.
        package var host: String?
        package var interval = Interval.seconds(2)
        package var timeout = Interval.seconds(1)
        /// Checks in a row that bring a server back.
        package var healthyAfter = 1
        /// Checks in a row that take it out.
        package var unhealthyAfter = 3
        /// Empty: every 2xx.
        package var statuses: [Int] = []

        package init() {}
    }
}
