package import Settings
package import Wire

/// A configuration compiled for the Gatekeeper: tables that are looked things up in, made once per reload on the control
/// thread and shared by the workers.
package final class GatekeeperRules: Sendable {
    package let configuration: Configuration
    package let headLimits: HeadParser.Limits
    package let fieldLimit: Int
    package let viaName: String
    /// `Proxy-Status` up to its error type; empty when it is not sent.
    let proxyStatus: [UInt8]
    let loginFailures: LoginFailures
    /// Of the rules for failed logins, in the order of their bits.
    private let loginRowNames: [String]
    /// Those by which a success is that of a login, and those by which a failure is one of who somebody is.
    package let loginClassRows: LoginRows
    package let credentialRows: LoginRows
    /// Those whose requests are looked into for their account.
    package let accountRows: LoginRows
    let trusted: TrustedNetworks
    /// Peers whose connections begin with a PROXY header.
    package let announcers: TrustedNetworks
    /// Proxies that may ask whether a request of theirs may pass.
    package let callers: TrustedNetworks
    let neverBlocked: TrustedNetworks
    let routes: RouteTable
    let logins: LoginEndpoints
    /// Nil: accounts are not looked at.
    package let accounts: AccountRule?
    /// Nil: nothing is asked of logins.
    package let challenge: ChallengeRule?
    let classifier: FieldClassifier
    /// For each route whether it asks for anything but a token.
    let routesWithClaims: [Bool]
    /// Where each route looks for the token.
    let tokenPlaces: [TokenPlaces]
    /// What each route tells those whose token falls short.
    let demands: [Challenge.Demands]
    /// For each upstream whether no connection to it carries a second request.
    let upstreamsWithoutReuse: [Bool]
    /// Some route takes paths that would otherwise be refused.
    let hasPathRules: Bool
    let keys: KeySet
    let tokenPolicy: TokenPolicy
    package let hardening: ResponseHardening
    /// Nil: nothing is signed.
    package let assertions: AssertionRules?
    /// What is signed with until other keys come; nil without `assertions`.
    package let assertionKeys: AssertionKeyring?

    /// - Parameters:
    ///   - keys: built from `configuration.tokens`; problems with them were reported by whoever built them.
    ///   - assertionKeys: for a configuration with assertions.
    package init(_ configuration: Configuration, keys: KeySet, assertionKeys: AssertionKeyring? = nil) {
        self.configuration = configuration
        headLimits = HeadParser.Limits(
            headBytes: configuration.limits.headBytes, targetBytes: configuration.limits.targetBytes)
        fieldLimit = configuration.limits.fields
        viaName = configuration.forwarding.viaName
        proxyStatus = Self.proxyStatus(configuration.forwarding)
        loginFailures = LoginFailures(configuration.login)
        loginRowNames = [LoginRule.plainName] + configuration.login.rules.map(\.name)
        func rows(_ kinds: [Configuration.Login.Class]) -> LoginRows {
            configuration.login.rules.enumerated().reduce(into: .plain) {
                if kinds.contains($1.element.kind) { $0.formUnion(.row($1.offset)) }
            }
        }
        loginClassRows = rows([.login])
        credentialRows = rows([.login, .mfa])
        accountRows = configuration.login.rules.enumerated().reduce(into: loginClassRows) {
            if $1.element.key != .address { $0.formUnion(.row($1.offset)) }
        }
        trusted = TrustedNetworks(configuration.trustedProxies)
        announcers = TrustedNetworks(configuration.announcers)
        callers = TrustedNetworks(configuration.forwardAuth.trusted)
        neverBlocked = TrustedNetworks(configuration.neverBlock + configuration.trustedProxies)
        routes = RouteTable(configuration.routes)
        accounts = AccountRule(configuration)
        challenge = ChallengeRule(configuration)
        logins = LoginEndpoints(configuration.login)
        let ours = [configuration.assertion?.header, challenge.map { _ in "\(Gatekeeper.solutionField)" }]
        classifier = FieldClassifier(identityHeaders: configuration.identityHeaders, others: ours.compactMap(\.self))
        assertions = configuration.assertion.map { AssertionRules($0, configuration) }
        self.assertionKeys = assertionKeys
        routesWithClaims = configuration.routes.map {
            !$0.requiredClaims.isEmpty || !$0.requiredRoles.isEmpty || !$0.requiredScopes.isEmpty || !$0.stepUp.isEmpty
        }
        tokenPlaces = configuration.routes.map(TokenPlaces.init)
        demands = configuration.routes.map(Challenge.Demands.init)
        upstreamsWithoutReuse = configuration.upstreams.map { $0.keepAlive == 0 || $0.proxyProtocol != .none }
        hasPathRules = configuration.routes.contains { $0.paths != PathRules() }
        self.keys = keys
        hardening = ResponseHardening(configuration)
        tokenPolicy = TokenPolicy(configuration)
    }

    package func rows(named names: [String]) -> LoginRows {
        loginRowNames.enumerated().reduce(into: []) {
            if names.contains($1.element) { $0.formUnion(LoginRows(rawValue: 1 << UInt64($1.offset))) }
        }
    }

    package func names(of rows: LoginRows) -> [String] {
        loginRowNames.enumerated().filter { rows.rawValue >> UInt64($0.offset) & 1 == 1 }.map(\.element)
    }

    /// Names of all rules that count a request of these: with the one for accounts, where it is a login.
    package func counting(_ rows: LoginRows) -> [String] {
        accounts != nil && !rows.isDisjoint(with: loginClassRows)
            ? names(of: rows) + [LoginRule.accountsName] : names(of: rows)
    }

    /// The name as a token where it can be one, else as a string (RFC 9209 §2, RFC 8941 §3.3.4): one in Via may begin
    /// with a digit, and has no character that a string must escape.
    private static func proxyStatus(_ forwarding: Configuration.Forwarding) -> [UInt8] {
        guard forwarding.proxyStatus, let first = forwarding.viaName.first else { return [] }
        let name = first.isLetter || first == "*" ? forwarding.viaName : "\"\(forwarding.viaName)\""
        return Array("Proxy-Status: \(name); error=".utf8)
    }
}
