internal import Settings
package import Wire

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
        let key = rule.key(facts.client)
        try count(rule, key: key, refusal, now)
        if let rateTakings { rateTakings.note(rule, key: key, of: .address(facts.client), at: now) }
    }

    /// The last word before the login that was decided about last goes on: it takes what `decide` has only looked at, since the
    /// login could still be refused. Nil: it may go.
    package func countLogin(_ plan: inout Plan, _ facts: borrowing RequestFacts, at now: Instant) -> Refusal? {
        guard rates.countsLast, let route = facts.route else { return nil }
        do throws(Refusal) {
            try countLast(identity, facts, route, &plan, now, looks: false)
            return nil
        } catch {
            return error
        }
    }

    /// The last word before a request goes on.
    /// - Parameter looks: what is there is looked at, and nothing taken.
    func countLast(
        _ identity: VerifiedToken?, _ facts: borrowing RequestFacts, _ route: Int, _ plan: inout Plan, _ now: Instant,
        looks: Bool
    ) throws(Refusal) {
        let subject = identity?.subject ?? []
        let earlier = rateStanding
        if let rule = rates.identity, !subject.isEmpty {
            let key = rule.key(subject)
            try count(rule, key: key, .identityRateLimited, now, looks: looks)
            if looks {
                rateStanding = earlier
            } else if let rateTakings {
                rateTakings.note(rule, key: key, of: .subject(subject), at: now)
            }
        }
        guard !rates.routes.isEmpty, let rule = rates.routes[route] else { return }
        switch rule.kind {
        case .routeAddress: rateStanding = earlier
        case .route:
            try count(rule, key: rule.seed, .routeRateLimited, now, looks: looks)
            if !looks, let rateTakings { rateTakings.note(rule, key: rule.seed, of: .everybody, at: now) }
        case .routeIdentity where !subject.isEmpty:
            let key = rule.key(subject)
            try count(rule, key: key, .identityRateLimited, now, looks: looks)
            if !looks, let rateTakings { rateTakings.note(rule, key: key, of: .subject(subject), at: now) }
        // Who leaves the token out must not get round the limit.
        case .routeIdentity where !isSpared(facts.client, at: now):
            let key = rule.key(facts.client)
            try count(rule, key: key, .identityRateLimited, now, looks: looks)
            if !looks, let rateTakings { rateTakings.note(rule, key: key, of: .address(facts.client), at: now) }
        default: break
        }
        if looks { rateStanding = earlier }
        plan.tellsRate = rule.isTold && rateStanding?.rule === rule
    }

    private func count(
        _ rule: RateRule, key: Int, _ refusal: Refusal, _ now: Instant, looks: Bool = false
    ) throws(Refusal) {
        guard let rateMeter else { return }
        let answer =
            looks
            ? rateMeter.look(rule.kind, key: key, rule.bucket, at: now)
            : rateMeter.take(rule.kind, key: key, rule.bucket, at: now)
        rateStanding = RateStanding(rule: rule, level: answer.level)
        guard answer.isAllowed else { throw refusal }
    }
}
