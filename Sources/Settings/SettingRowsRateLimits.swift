extension SettingRows {
    /// How many requests there may be in a time (docs/rate-limits.md).
    static let rateLimits: [SettingRow] = [
        SettingRow(
            "rate_limits.per_address.rate", .rate, .value("off"), example: "100/min",
            variables: [
                .init(name: "RATE_LIMIT_PER_IP_PER_MINUTE", part: .perMinute),
                .init(name: "GATEWAY_RATE_LIMIT", part: .perMinute),
            ],
            "Requests of one address, or of one IPv6 /64, to everything that is served; `trusted_proxies` and "
                + "`never_block` have no limit."),
        SettingRow(
            "rate_limits.per_address.burst", .integer(RateLimit.bursts), .value("10"), example: "50",
            variables: [.init(name: "RATE_LIMIT_BURST", part: .whole)],
            "Requests that may come at once when none came for a while."),
        SettingRow(
            "rate_limits.per_identity.rate", .rate, .value("off"), example: "600/min",
            "Requests of one user, wherever they come from: of the subject of a verified token."),
        SettingRow(
            "rate_limits.per_identity.burst", .integer(RateLimit.bursts), .value("10"), example: "50",
            "The same as for addresses, of one user."),
        SettingRow(
            "rate_limits.legacy_fields", .boolean, .value("false"), example: "true",
            "Whether X-RateLimit-Limit, -Remaining and -Reset go with the RateLimit fields, for clients that read those."
        ),
        SettingRow(
            "rate_limits.shared", .boolean, .value("false"), example: "true",
            "Whether replicas tell each other through Redis what they let pass, so that the rate holds for all together; "
                + "each still lets a burst pass by itself."),
    ]

    static let routeRateLimits: [SettingRow] = [
        SettingRow(
            "routes[].rate_limit.per", .choice(Configuration.RouteRateLimit.Subject.allCases.map(\.rawValue)),
            .value("address"), example: "identity",
            "What the limit is counted by: each `address`, each `identity` (the address where a request has none), or "
                + "the `route` with all of its requests."),
        SettingRow(
            "routes[].rate_limit.rate", .rate, .value("off"), example: "10/s",
            "Requests to this route, beside the limits of `rate_limits`."),
        SettingRow(
            "routes[].rate_limit.burst", .integer(RateLimit.bursts), .value("10"), example: "20",
            "Requests that may come at once when none came for a while."),
        SettingRow(
            "routes[].rate_limit.fields", .boolean, .value("false"), example: "true",
            "Whether the backend's answers get RateLimit and RateLimit-Policy fields, which tell what is left."),
    ]
}
