extension Assembly {
    func rateLimits() -> Configuration.RateLimits {
        var limits = Configuration.RateLimits()
        limits.perAddress = rateLimit("rate_limits.per_address")
        limits.perIdentity = rateLimit("rate_limits.per_identity")
        limits.legacyFields = boolean("rate_limits.legacy_fields")
        limits.isShared = boolean("rate_limits.shared")
        return limits
    }

    func routeRateLimit(_ path: String) -> Configuration.RouteRateLimit? {
        guard let limit = rateLimit(path) else { return nil }
        return .init(
            per: .init(rawValue: text("\(path).per")) ?? .address, limit, isTold: boolean("\(path).fields"))
    }

    /// Nil: the rate is `off`.
    private func rateLimit(_ path: String) -> RateLimit? {
        guard case .rate(let rate)? = settings.value("\(path).rate") else { return nil }
        return RateLimit(rate, burst: integer("\(path).burst"))
    }
}
