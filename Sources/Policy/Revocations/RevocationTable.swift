package import Wire

/// A name that a token can be revoked by, as 128 bits: of the kind and the name, keyed with a secret of the process. Whoever
/// chooses names cannot make two of them meet, so equal marks are taken for equal names.
package struct TokenMark: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    package init(_ kind: RevocationTarget.Kind, _ name: Span<UInt8>) {
        // Keyed, so that nobody can choose names for it.
        var hasher = Hasher()
        hasher.combine(kind)
        name.withUnsafeBytes { hasher.combine(bytes: $0) }
        high = UInt64(bitPattern: Int64(hasher.finalize()))
        // Against chance alone, which 64 bits would leave room for among millions of names and tokens.
        var hash = FNV1a.seed
        for index in name.indices { hash = FNV1a.hash(hash, name[index]) }
        low = hash
    }

    init(_ target: RevocationTarget) { self.init(target.kind, target.name.span) }
}

/// What a verified token can be revoked by.
package struct TokenMarks: Hashable, Sendable {
    package var names: [TokenMark]
    package var issuedAt: WallTime?

    package init(names: [TokenMark], issuedAt: WallTime?) {
        self.names = names
        self.issuedAt = issuedAt
    }
}

/// The revocations as one worker knows them.
package struct RevocationTable: Sendable {
    private struct Rule {
        var cutoff: RevocationCutoff
        var from: WallTime?
    }

    private var rules: [TokenMark: Rule] = [:]
    /// Changes whenever more tokens may be revoked than before: a token that was found good in this round still is.
    package private(set) var round: UInt32 = 1
    /// When the next revocation comes into force by itself.
    private var nextStart: WallTime?

    package init() {}

    package var count: Int { rules.count }

    package mutating func apply(_ delta: RevocationDelta) {
        switch delta {
        case .set(let entries):
            for entry in entries { set(entry) }
        case .lift(let targets):
            for target in targets { rules[TokenMark(target)] = nil }
            // What ends makes nothing worse, and a start that is no longer to come costs one look.
            return
        case .replaceAll(let entries):
            rules = [:]
            nextStart = nil
            for entry in entries { set(entry) }
        }
        round &+= 1
    }

    private mutating func set(_ entry: RevocationEntry) {
        rules[TokenMark(entry.target)] = Rule(cutoff: entry.cutoff, from: entry.from)
        if let from = entry.from { nextStart = min(nextStart ?? from, from) }
    }

    /// Takes note of the time. To be called before `round` is compared.
    /// - Returns: true when a revocation has come into force since.
    package mutating func advance(to now: WallTime) -> Bool {
        guard let nextStart, nextStart <= now else { return false }
        self.nextStart = nil
        for (name, rule) in rules {
            guard let from = rule.from else { continue }
            if from <= now {
                // A clock that is set back does not take it back.
                rules[name]?.from = nil
            } else {
                self.nextStart = min(self.nextStart ?? from, from)
            }
        }
        round &+= 1
        return true
    }

    package func revokes(_ token: TokenMarks, at now: WallTime) -> Bool {
        guard !rules.isEmpty else { return false }
        return token.names.contains { name in
            guard let rule = rules[name] else { return false }
            if let from = rule.from, from > now { return false }
            switch rule.cutoff {
            case .everyToken: return true
            case .issuedBefore(let time): return token.issuedAt.map { $0 <= time } ?? true
            }
        }
    }
}
