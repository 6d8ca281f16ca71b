package import Wire

/// What tokens a revocation is about. The names are compared byte by byte.
package struct RevocationTarget: Hashable, Sendable {
    /// By the claim that is looked at; a key is no claim, but what signed the token.
    package enum Kind: String, CaseIterable, Sendable {
        /// One token.
        case token = "jti"
        /// All tokens of one user, as the audit record names him: by `sub`, or by the claim of the first identity header.
        case subject = "sub"
        /// All tokens with this among their roles (`tokens.roles_claim`).
        case role
        /// All tokens that this key has signed, by its name in the log (`idp/2024-05`) or, for all keys of an entry, by
        /// the id of the setting (`idp`).
        case key
        /// All tokens of one issuer.
        case issuer = "iss"
    }

    package let kind: Kind
    /// UTF-8, 1 to `longestName` bytes.
    package let name: [UInt8]

    /// In bytes.
    package static let longestName = 512

    /// Nil for a name that is empty or too long.
    package init?(_ kind: Kind, _ name: String) {
        let bytes = Array(name.utf8)
        guard (1...RevocationTarget.longestName).contains(bytes.count) else { return nil }
        self.kind = kind
        self.name = bytes
    }

    package var text: String { String(decoding: name, as: UTF8.self) }
}

/// Which of its target's tokens a revocation means.
package enum RevocationCutoff: Hashable, Sendable {
    case everyToken
    /// Those whose `iat` is not later; and those that have none, since they may be as old as one likes.
    case issuedBefore(WallTime)
}

/// A revocation as operators see it, kept on the control thread.
package struct RevocationRecord: Hashable, Sendable {
    package enum Origin: Hashable, Sendable {
        /// An operator through the gateway's own commands.
        case command
        /// Anybody with access to the store: `redis-cli SET revoked:…`.
        case byHand
    }

    package var target: RevocationTarget
    package var cutoff: RevocationCutoff
    /// Not in force before; nil: at once. A key that is being retired has a time.
    package var from: WallTime?
    package var origin: Origin
    package var reason: String
    /// Who set it: the name an operator gave, or `redis` for a key that tells nothing.
    package var actor: String
    /// When it was set; for one set by hand, when it was first seen.
    package var since: WallTime
    /// `Instant.never`: it does not end.
    package var deadline: Instant

    package init(
        target: RevocationTarget, cutoff: RevocationCutoff, from: WallTime? = nil, origin: Origin, reason: String,
        actor: String, since: WallTime, deadline: Instant
    ) {
        self.target = target
        self.cutoff = cutoff
        self.from = from
        self.origin = origin
        self.reason = reason
        self.actor = actor
        self.since = since
        self.deadline = deadline
    }

    /// Whether every token that `other` refuses, now or later, is refused by this one too.
    package func covers(_ other: RevocationRecord) -> Bool {
        guard target == other.target else { return false }
        // The same word said twice ends a moment apart, since ends are told in whole seconds.
        guard deadline == .never || other.deadline != .never && deadline + .seconds(2) >= other.deadline else {
            return false
        }
        if let from, from > other.from ?? WallTime(milliseconds: .min) { return false }
        switch (cutoff, other.cutoff) {
        case (.everyToken, _): return true
        case (.issuedBefore, .everyToken): return false
        case (.issuedBefore(let time), .issuedBefore(let earlier)): return time >= earlier
        }
    }

    package var entry: RevocationEntry { RevocationEntry(target: target, cutoff: cutoff, from: from) }

    /// What is left of it; nil when it does not end, zero once it is over.
    package func remaining(at now: Instant) -> Interval? {
        deadline == .never ? nil : max(.zero, deadline - now)
    }
}

extension RevocationTarget: CustomStringConvertible {
    /// `sub alice`
    package var description: String { "\(kind.rawValue) \(text)" }
}

extension RevocationRecord: CustomStringConvertible {
    /// `tokens of sub alice issued before 2026-11-29T07:09:16.123Z`
    package var description: String {
        var text = "tokens of \(target)"
        switch target.kind {
        case .token: text = "the token with jti \(target.text)"
        case .key: text = "tokens of key \(target.text)"
        case .subject, .role, .issuer: break
        }
        if case .issuedBefore(let time) = cutoff { text += " issued before \(time.text)" }
        if let from { text += ", from \(from.text) on" }
        return text
    }
}

/// What a worker needs to know of a revocation.
package struct RevocationEntry: Hashable, Sendable {
    package var target: RevocationTarget
    package var cutoff: RevocationCutoff
    package var from: WallTime?

    package init(target: RevocationTarget, cutoff: RevocationCutoff, from: WallTime? = nil) {
        self.target = target
        self.cutoff = cutoff
        self.from = from
    }
}

/// A change of the revocations, made by the control thread and applied by every worker in the order it was sent. Their end
/// is told, too: workers know no deadlines.
package enum RevocationDelta: Hashable, Sendable {
    /// Sets them, in place of those of the same targets.
    case set([RevocationEntry])
    case lift([RevocationTarget])
    /// Forgets everything and starts with these: sent at the start.
    case replaceAll([RevocationEntry])
}

/// The keys of the store, one for each revocation: `revoked:sub:alice`.
package enum RevocationKey {
    package static let prefix = "revoked:"

    package static func of(_ target: RevocationTarget) -> String { "\(prefix)\(target.kind.rawValue):\(target.text)" }

    /// By bytes, as everything here: to `Character`, a colon with an accent behind it is none, and whoever has such a name could
    /// not be revoked.
    package static func isOne(_ key: String) -> Bool { key.utf8.starts(with: prefix.utf8) }

    /// Nil for a key that names no kind of target, or nothing of that kind.
    package static func target(of key: String) -> RevocationTarget? {
        guard isOne(key) else { return nil }
        let rest = key.utf8.dropFirst(prefix.utf8.count)
        guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
            let kind = RevocationTarget.Kind(rawValue: String(decoding: rest[..<colon], as: UTF8.self))
        else { return nil }
        return RevocationTarget(kind, String(decoding: rest[rest.index(after: colon)...], as: UTF8.self))
    }
}
