package import Wire

/// Notices when nearly all requests seem to come from one private address: behind a bridge or a proxy that is not trusted
/// every client looks like that address, and one attacker locks out everybody. It only tells; nothing is allowed for it.
///
/// Counts by majority vote (Boyer and Moore): one candidate and its lead over all others, whatever the number of clients.
package struct TrafficShare: Sendable {
    /// Fewer requests in a window say nothing.
    package static let fewestRequests = 200
    package static let window = Interval.seconds(60)

    private var candidate: IPAddress?
    private var lead = 0
    private var total = 0
    private var windowEnd: Instant?

    package init() {}

    package mutating func note(_ client: IPAddress) {
        total += 1
        if client == candidate {
            lead += 1
        } else if lead == 0 {
            candidate = client
            lead = 1
        } else {
            lead -= 1
        }
    }

    /// At the end of a window the private address that at least 95 of 100 requests came from, if there is one. Begins the
    /// next window.
    package mutating func verdict(at now: Instant) -> IPAddress? {
        guard let end = windowEnd else {
            windowEnd = now + TrafficShare.window
            return nil
        }
        guard now >= end else { return nil }
        defer {
            candidate = nil
            lead = 0
            total = 0
            windowEnd = now + TrafficShare.window
        }
        // A share of p leaves a lead of at least 2p - 1 of all.
        guard total >= TrafficShare.fewestRequests, let candidate, candidate.isPrivate, lead * 10 >= total * 9 else {
            return nil
        }
        return candidate
    }
}
