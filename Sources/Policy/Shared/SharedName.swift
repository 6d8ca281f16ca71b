package import Wire

/// What replicas share beside blocks, counters and revocations: a text under a name. The ledger carries it to all of them
/// and does not know what it says.
package struct SharedName: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// A key that was added at run time, sealed.
        case key = "keyring:"
        /// A route that is closed for a while.
        case lockdown = "lockdown:"
        /// A network that no block holds back for a while, in any spelling.
        case allowance = "ip_allow:"
        /// An address that many people speak through.
        case sharedAddress = "ip_shared:"
    }

    package let kind: Kind
    package let id: String

    /// Nil for a name that such a thing cannot have.
    package init?(_ kind: Kind, _ id: some StringProtocol) {
        switch kind {
        case .key: guard SharedKeyName.isSound(id) else { return nil }
        case .lockdown: guard Lockdown.isSound(id) else { return nil }
        case .allowance: guard Allowance.network(id) != nil else { return nil }
        case .sharedAddress: guard IPNetwork(id) != nil else { return nil }
        }
        self.kind = kind
        self.id = String(id)
    }

    /// Nil for a key of the store that names none.
    package init?(storeKey: String) {
        guard let kind = Kind.allCases.first(where: { storeKey.hasPrefix($0.rawValue) }) else { return nil }
        self.init(kind, storeKey.dropFirst(kind.rawValue.count))
    }

    /// Whether a key of the store is meant to name one.
    package static func isMeant(_ storeKey: String) -> Bool {
        Kind.allCases.contains { storeKey.hasPrefix($0.rawValue) }
    }

    package var storeKey: String { kind.rawValue + id }
}

/// What is shared under a name, and until when.
package struct SharedText: Hashable, Sendable {
    package var text: String
    package var deadline: Instant

    package init(_ text: String, until deadline: Instant = .never) {
        self.text = text
        self.deadline = deadline
    }
}
