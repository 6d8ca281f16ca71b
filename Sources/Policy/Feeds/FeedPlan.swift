package import Wire

/// The lists that are in force, as every worker has them.
package struct FeedPlan: Hashable, Sendable {
    /// Whoever stands on one of them is refused.
    package var blocking: [FeedTable]
    /// Whoever stands on one of them is told of, and goes on.
    package var observing: [FeedTable]

    package init(blocking: [FeedTable] = [], observing: [FeedTable] = []) {
        self.blocking = blocking
        self.observing = observing
    }

    package var isEmpty: Bool { blocking.isEmpty && observing.isEmpty }
}

/// What feeds say of clients (docs/feeds.md).
extension Gatekeeper {
    package var hasFeeds: Bool { !feeds.isEmpty }

    /// The first feed that blocks the address, whether or not the address is one of those who are never blocked.
    package func feed(holding address: IPAddress) -> String? { feeds.blocking.first { $0.contains(address) }?.name }

    /// The first feed that would block the address if it were not only looked at.
    package func feed(observing address: IPAddress, at now: Instant) -> String? {
        guard let name = feeds.observing.first(where: { $0.contains(address) })?.name else { return nil }
        return isSpared(address, at: now) ? nil : name
    }

    /// Whether anybody at all is blocked.
    package var blocksAnybody: Bool { blocks.count > 0 || !feeds.blocking.isEmpty }
}
