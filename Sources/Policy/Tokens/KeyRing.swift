package import Wire

/// In which part of its life a key is.
package enum KeyState: Hashable, Sendable {
    /// Accepted; no token of it was seen yet.
    case verifyOnly
    /// Tokens of it come.
    case active
    /// Accepted until then.
    case retiring(until: WallTime)
    case revoked(since: WallTime)

    package var word: String {
        switch self {
        case .verifyOnly: "verify-only"
        case .active: "active"
        case .retiring: "retiring"
        case .revoked: "revoked"
        }
    }

    /// Its tokens are good at `time`, if nothing else happens.
    package func isAccepted(at time: WallTime) -> Bool {
        switch self {
        case .verifyOnly, .active: true
        case .retiring(let end): end > time
        case .revoked: false
        }
    }
}

/// The life of the keys: those that are there, and what revocations say of them. A revocation of an entry's id is one of all
/// its keys.
package struct KeyRing {
    private let revocations: [RevocationTarget: RevocationRecord]
    /// Of keys whose older tokens alone are revoked.
    private let cutoffs: [RevocationTarget: WallTime]
    private let used: Set<String>
    package let keys: KeySet

    /// - Parameters:
    ///   - used: labels of the keys whose tokens were seen.
    package init(_ keys: KeySet, revocations: [RevocationRecord], used: Set<String>) {
        self.keys = keys
        self.used = used
        var whole: [RevocationTarget: RevocationRecord] = [:]
        var cutoffs: [RevocationTarget: WallTime] = [:]
        for record in revocations where record.target.kind == .key {
            switch record.cutoff {
            case .everyToken: whole[record.target] = record
            case .issuedBefore(let time): cutoffs[record.target] = time
            }
        }
        self.revocations = whole
        self.cutoffs = cutoffs
    }

    package func state(of key: KeySet.Key, at now: WallTime) -> KeyState {
        var state = used.contains(key.label) ? KeyState.active : .verifyOnly
        for name in Set([key.label, key.source]) {
            guard let record = record(of: name) else { continue }
            guard let from = record.from, from > now else { return .revoked(since: record.from ?? record.since) }
            if case .retiring(let earlier) = state, earlier <= from { continue }
            state = .retiring(until: from)
        }
        return state
    }

    /// What was said of a key or an entry by its name.
    package func record(of name: String) -> RevocationRecord? {
        RevocationTarget(.key, name).flatMap { revocations[$0] }
    }

    /// Until when tokens of a key or an entry must have been issued to be revoked, where not all of them are.
    package func cutoff(of name: String) -> WallTime? { RevocationTarget(.key, name).flatMap { cutoffs[$0] } }

    /// Keys that `name` means: one by its label, or all of an entry.
    package func keys(named name: String) -> [KeySet.Key] {
        keys.keys.filter { $0.label == name || $0.source == name }
    }

    /// Keys beside those that go on after `time`.
    package func others(than name: String, acceptedAt time: WallTime, now: WallTime) -> [KeySet.Key] {
        keys.keys.filter { key in
            key.label != name && key.source != name && state(of: key, at: now).isAccepted(at: time)
        }
    }

    /// Others of the same material: whoever has the one has these, too.
    package func twins(of name: String) -> [String] {
        let own = keys(named: name)
        return keys.keys.filter { key in
            key.label != name && key.source != name && own.contains { $0.material == key.material }
        }.map(\.label)
    }
}
