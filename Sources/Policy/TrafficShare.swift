package import Wire

/// Notices when nearly all requests seem to come from one address that speaks for many: behind a bridge or a proxy that is
/// not trusted every client looks like that address, and one attacker locks out everybody; behind one that is trusted and
/// names nobody, no block holds anybody back. It only tells; nothing is allowed for it.
///
/// Counts by majority vote (Boyer and Moore): one candidate and its lead over all others, whatever the number of clients.
package struct TrafficShare: Sendable {
    /// Who carries nearly everything, and what that means.
    package struct Finding: Hashable, Sendable {
        package enum Kind: String, Sendable {
            /// Most likely a proxy or a bridge that `trusted_proxies` should name.
            case unnamedProxy = "unnamed_proxy"
            /// A trusted proxy that does not say for whom it asks.
            case silentProxy = "silent_proxy"
            /// One of `accounts.shared.networks`.
            case listed = "listed_address"
        }

        package let address: IPAddress
        package let kind: Kind

        package init(_ address: IPAddress, _ kind: Kind) {
            self.address = address
            self.kind = kind
        }
    }

    /// Fewer requests in a window say nothing.
    package static let fewestRequests = 200
    package static let window = Interval.seconds(60)

    private var candidate: IPAddress?
    private var lead = 0
    private var total = 0
    /// Requests whose peer named another client, and nobody believed it.
    private var unheard = 0
    private var windowEnd: Instant?

    package init() {}

    /// - Parameter isUnheard: the request has X-Forwarded-For, and counts as its peer's all the same.
    package mutating func note(_ client: IPAddress, isUnheard: Bool = false) {
        total += 1
        if isUnheard { unheard += 1 }
        if client == candidate {
            lead += 1
        } else if lead == 0 {
            candidate = client
            lead = 1
        } else {
            lead -= 1
        }
    }

    /// At the end of a window the address that at least 95 of 100 requests came from, if it is one that may speak for
    /// others: a private one, a trusted proxy, or this host where it names other clients. Not any address that names some:
    /// whoever floods the gateway could make the log advise to trust him. Begins the next window.
    package mutating func verdict(
        at now: Instant, isTrusted: (IPAddress) -> Bool, isListed: (IPAddress) -> Bool = { _ in false }
    ) -> Finding? {
        guard let end = windowEnd else {
            windowEnd = now + TrafficShare.window
            return nil
        }
        guard now >= end else { return nil }
        defer {
            candidate = nil
            lead = 0
            total = 0
            unheard = 0
            windowEnd = now + TrafficShare.window
        }
        // A share of p leaves a lead of at least 2p - 1 of all.
        guard total >= TrafficShare.fewestRequests, let candidate, lead * 10 >= total * 9 else { return nil }
        if isTrusted(candidate) { return Finding(candidate, .silentProxy) }
        if isListed(candidate) { return Finding(candidate, .listed) }
        let isOurProxy = candidate.isLoopback && unheard * 10 >= total * 9
        return candidate.isPrivate || isOurProxy ? Finding(candidate, .unnamedProxy) : nil
    }
}
