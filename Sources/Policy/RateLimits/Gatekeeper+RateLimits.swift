internal import Settings
internal import Wire

/// Requests that are too many (docs/rate-limits.md). Limits by address come before any token is looked at; limits by
/// identity and of a whole route take from those requests only that may go on, so that nobody is kept out by requests that
/// were refused anyway.
extension Gatekeeper {
    /// Takes over what an operator has set in place of the configuration's limits.
    package func adopt(_ overrides: RateOverrides) {
        rateOverrides = overrides
        rates = RatePlan(rules.configuration, overrides)
    }

    /// Trusted proxies, and whoever is never blocked, speak for many. What has been counted is not counted again.
    func countAddress(
        _ rule: RateRule, _ refusal: Refusal, _ facts: borrowing RequestFacts, _ now: Instant
    ) throws(Refusal) {
        guard facts.counted == .nothing, !isSpared(facts.client, at: now) else { return }
        try count(rule, key: rule.key(facts.client), refusal, now)
    }

    /// The last word before a request goes on.
    func countLast(
        _ identity: VerifiedToken?, _ facts: borrowing RequestFacts, _ route: Int, _ plan: inout Plan, _ now: Instant
    ) throws(Refusal) {
        guard facts.counted != .everything else { return }
        let subject = identity?.subject ?? []
        let earlier = rateStanding
        if let rule = rates.identity, !subject.isEmpty {
            try count(rule, key: rule.key(subject), .identityRateLimited, now)
        }
        guard !rates.routes.isEmpty, let rule = rates.routes[route] else { return }
        switch rule.kind {
        case .routeAddress: rateStanding = earlier
        case .route: try count(rule, key: rule.seed, .routeRateLimited, now)
        case .routeIdentity where !subject.isEmpty:
            try count(rule, key: rule.key(subject), .identityRateLimited, now)
        // Who leaves the token out must not get round the limit.
        case .routeIdentity where !isSpared(facts.client, at: now):
            try count(rule, key: rule.key(facts.client), .identityRateLimited, now)
        default: break
        }
        plan.tellsRate = rule.isTold && rateStanding?.rule === rule
    }

    private func count(_ rule: RateRule, key: Int, _ refusal: Refusal, _ now: Instant) throws(Refusal) {
        guard let answer = rateMeter?.take(rule.kind, key: key, rule.bucket, at: now) else { return }
        rateStanding = RateStanding(rule: rule, level: answer.level)
        guard answer.isAllowed else { throw refusal }
    }
}
