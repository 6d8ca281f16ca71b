internal import Policy
internal import Settings
internal import Wire

/// A rate limit as an operator orders it.
struct RateLimitOrder: Hashable, Sendable {
    var name: RateLimitName
    /// Nil: no limit.
    var limit: RateLimit?
    var duration: Interval
    var reason: String

    /// What the body of the request may have.
    static let members = ["limit", "rate", "burst", "duration_seconds", "reason", "actor"]
    /// Seven days: what is to hold for longer is a matter of the configuration.
    static let longest = 604_800
    /// As the settings have it.
    static let defaultBurst = 10
}

extension AdminRouter {
    func rateLimit(_ body: JSONValue) throws(AdminProblem) -> RateLimitOrder {
        guard let name = try string("limit", in: body), !name.isEmpty else {
            throw .unusable("limit is per_address, per_identity, or the name of a route that has a rate_limit")
        }
        let limit = try rateLimit(try string("rate", in: body) ?? "", burst: body["burst"])
        let longest = RateLimitOrder.longest
        guard case .integer(let seconds) = body["duration_seconds"], (1...longest).contains(seconds) else {
            throw .unusable("duration_seconds is a whole number from 1 to \(longest), and never left out")
        }
        return RateLimitOrder(
            name: RateLimitName(name), limit: limit, duration: .seconds(seconds), reason: try reason(in: body))
    }

    /// Nil: `off`.
    private func rateLimit(_ text: String, burst: JSONValue?) throws(AdminProblem) -> RateLimit? {
        if text == "off" {
            guard burst == nil || burst == .null else { throw .unusable("burst goes with a rate, not with off") }
            return nil
        }
        guard let rate = Rate(text) else {
            throw .unusable("rate is a number of requests per s, min, h or d, such as 20/min, or off")
        }
        switch burst {
        case nil, .null: return RateLimit(rate, burst: RateLimitOrder.defaultBurst)
        case .integer(let number) where RateLimit.bursts.contains(number): return RateLimit(rate, burst: number)
        default: throw .unusable("burst is a whole number from 1 to \(RateLimit.bursts.upperBound)")
        }
    }

    /// Percent-encoded.
    func rateLimitName(inPath place: Substring) throws(AdminProblem) -> RateLimitName {
        guard let text = AdminRequestReader.percentDecoded(place), !text.isEmpty else {
            throw .unusable("the path names no limit")
        }
        return RateLimitName(text)
    }
}

extension AdminDesk {
    func rateLimits(_ completion: @escaping (AdminResponse) -> Void) {
        completion(
            .json([
                "rate_limits": AdminReports.rateLimits(
                    gateway.configuration, gateway.rateLimits.overrides, now: .now(), wall: .now())
            ]))
    }

    func setRateLimit(
        _ order: RateLimitOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        guard gateway.configuration.canLimit(order.name) else {
            return completion(AdminProblem.noSuchRateLimit(order.name.description).response)
        }
        let (now, wall) = (Instant.now(), WallTime.now())
        let override = RateOverride(
            name: order.name, limit: order.limit, deadline: now + order.duration, reason: order.reason,
            actor: actor.description, since: wall)
        gateway.rateLimits.set(override, at: now, wall: wall)
        whenInForce {
            completion(.json(["rate_limit": override.report(now: .now(), wall: .now())], status: 201))
        }
    }

    func restoreRateLimit(
        _ name: RateLimitName, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        let former = gateway.rateLimits.overrides[name]
        if !gateway.rateLimits.restore(name, by: actor.description, because: "command") {
            let limit = String(name.description.prefix(64))
            record("rate_limit_restored", "\(limit) was as configured", actor, of: limit)
        }
        whenInForce {
            completion(.json(["restored": former?.report(now: .now(), wall: .now()) ?? .null]))
        }
    }
}

extension AdminProblem {
    static func noSuchRateLimit(_ name: String) -> AdminProblem {
        AdminProblem(
            404, .noRoute, "There is no such rate limit",
            "\"\(name.prefix(64))\" is neither per_address nor per_identity nor a route that has a rate_limit in the "
                + "configuration")
    }
}

extension AdminReports {
    static func rateLimits(
        _ configuration: Configuration, _ overrides: [RateLimitName: RateOverride], now: Instant, wall: WallTime
    ) -> JSONValue {
        .array(
            configuration.configuredRateLimits.map { name, limit, per -> JSONValue in
                let override = overrides[RateLimitName(name)]
                let inForce = override == nil ? limit : override?.limit
                return [
                    "limit": .string(name), "per": .string(per),
                    "configured": .string(limit?.description ?? "off"),
                    "in_force": .string(inForce?.description ?? "off"),
                    "override": override?.report(now: now, wall: wall) ?? .null,
                ]
            })
    }
}
