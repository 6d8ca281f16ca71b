package import Settings

/// Which limit is meant.
package enum RateLimitName: Hashable, Sendable, CustomStringConvertible {
    case perAddress
    case perIdentity
    /// By its name: of the configuration, or else its path.
    case route(String)

    package init(_ text: String) {
        switch text {
        case RateRule.Kind.perAddress.rawValue: self = .perAddress
        case RateRule.Kind.perIdentity.rawValue: self = .perIdentity
        default: self = .route(text)
        }
    }

    package var description: String {
        switch self {
        case .perAddress: RateRule.Kind.perAddress.rawValue
        case .perIdentity: RateRule.Kind.perIdentity.rawValue
        case .route(let name): name
        }
    }
}

/// What an operator has set in place of the configuration's limits, for a while.
package struct RateOverrides: Hashable, Sendable {
    /// Nil: no limit.
    package var limits: [RateLimitName: RateLimit?] = [:]

    package init() {}

    /// `configured` where nothing is set.
    func limit(_ name: RateLimitName, else configured: RateLimit?) -> RateLimit? {
        if let set = limits[name] { return set }
        return configured
    }
}

/// The limits in force, by where they are asked.
package struct RatePlan: Sendable {
    private(set) var address: RateRule?
    private(set) var identity: RateRule?
    /// By route; empty: none has one.
    private(set) var routes: [RateRule?] = []
    /// Something is asked when a request may go on.
    private(set) var countsLast = false

    /// A route that has no limit of its own in the configuration gets none by an override either: nothing would say what
    /// it is counted by.
    package init(_ configuration: Configuration, _ overrides: RateOverrides = RateOverrides()) {
        let global = configuration.rateLimits
        func rule(_ kind: RateRule.Kind, _ name: RateLimitName, _ configured: RateLimit?) -> RateRule? {
            overrides.limit(name, else: configured).map {
                RateRule(kind, $0, hasLegacyFields: global.legacyFields, isShared: global.isShared)
            }
        }
        address = rule(.perAddress, .perAddress, global.perAddress)
        identity = rule(.perIdentity, .perIdentity, global.perIdentity)
        if configuration.routes.contains(where: { $0.rateLimit != nil }) {
            routes = configuration.routes.map { route in
                guard let own = route.rateLimit,
                    let limit = overrides.limit(.route(route.name), else: own.limit)
                else { return nil }
                return RateRule(
                    RateRule.Kind(own.per), limit, of: route.name, isTold: own.isTold,
                    hasLegacyFields: global.legacyFields, isShared: global.isShared)
            }
        }
        countsLast = identity != nil || routes.contains { $0.map { $0.kind != .routeAddress || $0.isTold } ?? false }
    }
}

extension RateRule.Kind {
    init(_ subject: Configuration.RouteRateLimit.Subject) {
        self =
            switch subject {
            case .address: .routeAddress
            case .identity: .routeIdentity
            case .route: .route
            }
    }
}
