package import Wire

/// Who set a block, which decides what happens to it when the store loses its data.
package enum BlockOrigin: Hashable, Sendable {
    /// A rule of the gateway, here or on another replica, after so many failures.
    case automatic(failures: Int)
    /// An operator through the gateway's own commands.
    case command
    /// Anybody with access to the store: `redis-cli SET ip_block:…`, whatever the value.
    case byHand
}

/// A block as operators see it. The control thread keeps these; workers know only `BlockEntry`.
package struct BlockRecord: Hashable, Sendable {
    package var subject: BlockSubject
    package var origin: BlockOrigin
    /// `failed_logins` for automatic ones, with the name of the rule unless it is the plain one; the operator's words otherwise.
    package var reason: String
    /// Who set it: `gateway`, the name an operator gave, or `redis` for a key that tells nothing.
    package var actor: String
    /// When it was set; for one set by hand, when it was first seen.
    package var since: WallTime
    /// `Instant.never`: permanent.
    package var deadline: Instant

    package init(
        _ subject: BlockSubject, origin: BlockOrigin, reason: String, actor: String, since: WallTime, deadline: Instant
    ) {
        self.subject = subject
        self.origin = origin
        self.reason = reason
        self.actor = actor
        self.since = since
        self.deadline = deadline
    }

    package init(
        network: IPNetwork, origin: BlockOrigin, reason: String, actor: String, since: WallTime, deadline: Instant
    ) {
        self.init(
            BlockSubject(network), origin: origin, reason: reason, actor: actor, since: since, deadline: deadline)
    }

    package var network: IPNetwork { subject.network }
    /// Of addresses, as workers know blocks; else of an account, which only a login names.
    package var isOfAddresses: Bool { subject.account == nil }

    package var isPermanent: Bool { deadline == .never }

    package var isAutomatic: Bool {
        if case .automatic = origin { return true }
        return false
    }

    /// What is left of it; nil for a permanent one, zero once it is over.
    package func remaining(at now: Instant) -> Interval? {
        isPermanent ? nil : max(.zero, deadline - now)
    }

    package var entry: BlockEntry { BlockEntry(network: network, deadline: deadline) }
}

/// What a worker needs to know of a block.
package struct BlockEntry: Hashable, Sendable {
    package var network: IPNetwork
    /// `Instant.never`: permanent. All threads of a process share the monotonic clock.
    package var deadline: Instant

    package init(network: IPNetwork, deadline: Instant) {
        self.network = network
        self.deadline = deadline
    }
}

/// A change of the blocks in force, made by the control thread and applied by every worker in the order it was sent.
package enum BlockDelta: Hashable, Sendable {
    /// Sets them, or gives those that are there a new deadline.
    case set([BlockEntry])
    case lift([IPNetwork])
    /// Forgets everything and starts with these: sent at the start.
    case replaceAll([BlockEntry])
}

/// Why an address is refused, and until when.
package struct BlockMatch: Hashable, Sendable {
    package var network: IPNetwork
    /// `Instant.never`: permanent.
    package var deadline: Instant

    package init(network: IPNetwork, deadline: Instant) {
        self.network = network
        self.deadline = deadline
    }
}
