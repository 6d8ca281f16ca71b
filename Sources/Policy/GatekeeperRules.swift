package import Settings
package import Wire

/// A configuration compiled for the Gatekeeper: tables that are looked things up in, made once per reload on the control
/// thread and shared by the workers.
package struct GatekeeperRules: Sendable {
    package let configuration: Configuration
    package let headLimits: HeadParser.Limits
    package let fieldLimit: Int
    package let viaName: String
    package let failureStatuses: [Int]
    let trusted: TrustedNetworks
    let neverBlocked: TrustedNetworks
    let routes: RouteTable
    let logins: LoginEndpoints
    let classifier: FieldClassifier
    /// For each route whether it asks for claims or roles.
    let routesWithClaims: [Bool]
    /// Some route takes paths that would otherwise be refused.
    let hasPathRules: Bool
    let keys: KeySet
    let tokenPolicy: TokenPolicy
    let hardening: ResponseHardening

    /// - Parameter keys: built from `configuration.tokens`; problems with them were reported by whoever built them.
    package init(_ configuration: Configuration, keys: KeySet) {
        self.configuration = configuration
        headLimits = HeadParser.Limits(
            headBytes: configuration.limits.headBytes, targetBytes: configuration.limits.targetBytes)
        fieldLimit = configuration.limits.fields
        viaName = configuration.forwarding.viaName
        failureStatuses = configuration.login.failureStatuses
        trusted = TrustedNetworks(configuration.trustedProxies)
        neverBlocked = TrustedNetworks(configuration.neverBlock + configuration.trustedProxies)
        routes = RouteTable(configuration.routes)
        logins = LoginEndpoints(configuration.login.endpoints)
        classifier = FieldClassifier(identityHeaders: configuration.identityHeaders)
        routesWithClaims = configuration.routes.map { !$0.requiredClaims.isEmpty || !$0.requiredRoles.isEmpty }
        hasPathRules = configuration.routes.contains { $0.paths != PathRules() }
        self.keys = keys
        hardening = ResponseHardening(configuration)
        tokenPolicy = TokenPolicy(configuration)
    }
}
