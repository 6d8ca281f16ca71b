package import Wire

/// What one worker has seen of the tokens of one key since it began.
package struct KeyUsage: Sendable {
    /// `KeySet.Key.label`
    package let key: String
    /// With tokens that were good; what became of them afterwards does not matter.
    package var requests = 0
    package var lastUsed: WallTime?
    /// The latest `exp` of a token that was verified.
    package var lastExpiry: WallTime?
    /// Tokens that are remembered and good now. Those that were not seen since the keys changed are among them, when their key
    /// is still here: who asks whom a step would log out has most likely just given the gateway a key.
    package var live: Set<LiveToken> = []

    package init(key: String) { self.key = key }

    /// What was seen of the keys before, for those of the same labels. Two keys of a set may have one label: together they keep
    /// what was seen of both.
    static func carried(_ before: [KeyUsage], to keys: KeySet) -> [KeyUsage] {
        var seen = Dictionary(before.map { ($0.key, $0) }, uniquingKeysWith: { $0.with($1) })
        return keys.keys.map { seen.removeValue(forKey: $0.label) ?? KeyUsage(key: $0.label) }
    }

    private func with(_ other: KeyUsage) -> KeyUsage {
        var sum = self
        sum.requests += other.requests
        sum.lastUsed = [lastUsed, other.lastUsed].compactMap(\.self).max()
        sum.lastExpiry = [lastExpiry, other.lastExpiry].compactMap(\.self).max()
        return sum
    }
}

/// A token that is in use, as far as counting needs to know it.
package struct LiveToken: Hashable, Sendable {
    /// The end of its signature: the same for all workers.
    package let token: UInt64
    /// Of its subject, the same for all workers of the process.
    package let user: Int
    package let expiresAt: WallTime

    init(_ token: Span<UInt8>, _ verified: VerifiedToken) {
        var end: UInt64 = 0
        for index in max(0, token.count - 8)..<token.count { end = end << 8 | UInt64(token[index]) }
        self.token = end
        user = verified.subject.hashValue
        expiresAt = verified.expiresAt
    }

    package init(token: UInt64, user: Int, expiresAt: WallTime) {
        self.token = token
        self.user = user
        self.expiresAt = expiresAt
    }
}

extension TokenVerifier {
    /// By key, in the order of the keys.
    func usage(at now: WallTime) -> [KeyUsage] {
        var all = usage
        cache.visit { token, verified in
            guard !verified.dates.isExpired(at: now, leeway: policy.leewayMilliseconds), !isRevoked(verified, at: now),
                let key = place(ofKeyOf: verified)
            else { return }
            all[key].live.insert(LiveToken(token, verified))
        }
        return all
    }

    /// What a request with this token would be told, before any route is asked; nothing is remembered or counted.
    func judge(_ token: Span<UInt8>, at now: WallTime) -> TokenOutcome {
        guard token.count <= policy.maximumBytes else { return .refused(TokenRefusal(.tokenTooLarge)) }
        takeNote(of: now)
        return withRevocations(verifyUnknown(token, at: now, .zero), at: now)
    }
}
