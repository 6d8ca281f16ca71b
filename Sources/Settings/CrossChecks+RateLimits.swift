/// A limit that limits nothing would be mistaken for a protection.
extension CrossChecks {
    mutating func checkRateLimits() {
        checkRateLimit("rate_limits.per_address")
        checkRateLimit("rate_limits.per_identity")
        if case .boolean(true)? = settings.value("rate_limits.shared"), !settings.usesRedis {
            findings.error(
                settings.place(of: "rate_limits.shared"), "there is no Redis to share rate limits through",
                hint: "set \"redis.address\", or remove it")
        }
    }

    /// - Parameter path: of a section with a rate, which may be in a route.
    mutating func checkRateLimit(_ path: String) {
        // Whoever has written `off` knows it.
        guard settings.written("\(path).rate") == nil else { return }
        for name in ["burst", "per", "fields"] {
            guard let entry = settings.written("\(path).\(name)"), !entry.isBroken else { continue }
            findings.error(
                entry.place, "there is no limit, so this would do nothing",
                hint: "set \"\(path).rate\", for example 100/min")
            return
        }
    }

    /// The route at `path` looks at no token, so nobody's requests could be told from another's.
    mutating func checkRateLimit(unidentified path: String) {
        guard let entry = settings.written("\(path).rate_limit.per"), entry.items.first?.written == "identity" else {
            return
        }
        findings.error(
            entry.place, "nobody is known by identity: the route looks at no token",
            hint: "set auth: optional or auth: required, or per: address")
    }
}
