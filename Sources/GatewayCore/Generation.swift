internal import Policy
internal import Settings
internal import Telemetry

/// One loaded configuration and what was compiled from it, shared by all threads until the next reload replaces it.
/// Exchanges under way finish with the generation they began with.
final class Generation: Sendable {
    /// Counts up from 1 with every reload.
    let number: Int
    let configuration: Configuration
    let rules: GatekeeperRules
    let names: AccessNames

    init(number: Int, configuration: Configuration, rules: GatekeeperRules) {
        self.number = number
        self.configuration = configuration
        self.rules = rules
        names = AccessNames(
            routes: configuration.routes.map(\.name), upstreams: configuration.upstreams.map(\.name),
            stages: Stage.allCases.map(\.rawValue), codes: ErrorCode.allCases.map(\.rawValue),
            reasons: Reason.allCases.map(\.rawValue))
    }
}
