package import Settings
package import Wire

/// One limit, made ready for requests.
package final class RateRule: Sendable {
    /// What a limit is counted by; the names are those of metrics and audit records.
    package enum Kind: String, CaseIterable, Sendable {
        case perAddress = "per_address"
        case perIdentity = "per_identity"
        case routeAddress = "route_address"
        case routeIdentity = "route_identity"
        case route

        package var index: Int {
            switch self {
            case .perAddress: 0
            case .perIdentity: 1
            case .routeAddress: 2
            case .routeIdentity: 3
            case .route: 4
            }
        }
    }

    package let kind: Kind
    package let bucket: TokenBucket
    /// The name of the route; of limits of all routes nothing.
    let route: String
    /// The backend's answers tell what is left.
    let isTold: Bool
    /// Tells the buckets of this limit from those of others: of the same limit it is the same after a reload.
    let seed: Int
    /// `RateLimit-Policy` as a line, and `RateLimit` up to its numbers.
    private let policyLine: [UInt8]
    private let stateStart: [UInt8]
    /// Nil: the X-RateLimit fields are not sent.
    private let legacyStart: [UInt8]?

    package init(
        _ kind: Kind, _ limit: RateLimit, of route: String = "", isTold: Bool = false, hasLegacyFields: Bool = false,
        isShared: Bool = false
    ) {
        self.kind = kind
        self.route = route
        self.isTold = isTold
        bucket = TokenBucket(limit, isShared: isShared)
        var hasher = Hasher()
        hasher.combine(kind)
        hasher.combine(route)
        seed = hasher.finalize()
        policyLine = Array(
            "RateLimit-Policy: \"\(kind.rawValue)\";q=\(limit.rate.count);w=\(limit.rate.unit.seconds)\r\n".utf8)
        stateStart = Array("RateLimit: \"\(kind.rawValue)\";r=".utf8)
        legacyStart =
            hasLegacyFields ? Array("X-RateLimit-Limit: \(limit.rate.count)\r\nX-RateLimit-Remaining: ".utf8) : nil
    }

    /// Nothing is allocated.
    func key(_ address: IPAddress) -> Int {
        var hasher = Hasher()
        hasher.combine(seed)
        hasher.combine(address.countedAs)
        return hasher.finalize()
    }

    func key(_ subject: [UInt8]) -> Int {
        var hasher = Hasher()
        hasher.combine(seed)
        // Never equal to an address's: those are hashed as one number of eight bytes behind the seed.
        hasher.combine(subject.count)
        subject.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }

    /// The fields of draft-ietf-httpapi-ratelimit-headers, revisions 10 and 11: `t` is when there will be one more.
    package func write(_ level: BucketLevel, into out: inout ByteWriter) {
        let seconds = max(1, level.more.secondsRoundedUp)
        out.append(policyLine)
        out.append(stateStart)
        out.append(decimal: level.left)
        out.append(";t=")
        out.append(decimal: seconds)
        out.append("\r\n")
        guard let legacyStart else { return }
        out.append(legacyStart)
        out.append(decimal: level.left)
        out.append("\r\nX-RateLimit-Reset: ")
        out.append(decimal: seconds)
        out.append("\r\n")
    }
}

/// How a request stands with a limit.
package struct RateStanding: Sendable {
    package let rule: RateRule
    package let level: BucketLevel
    /// Whole seconds; a moment too early would be refused again.
    package var retryAfter: Int { max(1, level.more.secondsRoundedUp) }
}
