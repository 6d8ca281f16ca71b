internal import Policy
internal import Settings
internal import Telemetry
internal import Transport

/// One loaded configuration and what was compiled from it, shared by all threads until the next reload replaces it.
/// Exchanges under way finish with the generation they began with.
final class Generation: Sendable {
    /// Counts up from 1 with every reload.
    let number: Int
    let configuration: Configuration
    let rules: GatekeeperRules
    /// How each upstream is spoken to over TLS; nil: in plain text.
    let upstreamTLS: [TLSClientContext?]
    let names: AccessNames
    let room: Room
    let progress: ProgressRule
    /// Where connections are counted by address, once a limit was set; the same for all generations that follow.
    let addresses: AddressTable?
    /// Where requests are counted, once there was a limit; the same.
    let rates: RateTables?

    init(
        number: Int, configuration: Configuration, rules: GatekeeperRules, room: Room,
        upstreamTLS: [TLSClientContext?] = [], rates: RateTables? = nil, after last: Generation? = nil
    ) {
        self.number = number
        self.configuration = configuration
        self.rules = rules
        self.upstreamTLS = upstreamTLS
        self.room = room
        self.rates = rates
        progress = ProgressRule(rate: configuration.limits.minimumRate, window: configuration.timeouts.progress)
        addresses = last?.addresses ?? (configuration.limits.connectionsPerAddress > 0 ? AddressTable() : nil)
        names = AccessNames(
            routes: configuration.routes.map(\.name), upstreams: configuration.upstreams.map(\.name),
            stages: Stage.allCases.map(\.rawValue), codes: ErrorCode.allCases.map(\.rawValue),
            reasons: Reason.allCases.map(\.rawValue))
    }

    /// Rules for logins of this generation as `current` has them: a reload may number them otherwise, or drop some. They
    /// are told apart by name.
    func rows(_ rows: LoginRows, under current: Generation) -> LoginRows {
        self === current ? rows : current.rules.rows(named: rules.names(of: rows))
    }
}
