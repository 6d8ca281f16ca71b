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

    init(number: Int, configuration: Configuration, rules: GatekeeperRules, upstreamTLS: [TLSClientContext?] = []) {
        self.number = number
        self.configuration = configuration
        self.rules = rules
        self.upstreamTLS = upstreamTLS
        names = AccessNames(
            routes: configuration.routes.map(\.name), upstreams: configuration.upstreams.map(\.name),
            stages: Stage.allCases.map(\.rawValue), codes: ErrorCode.allCases.map(\.rawValue),
            reasons: Reason.allCases.map(\.rawValue))
    }
}
