package import Settings
package import Wire

/// The stages *authenticate* and *authorize* of one worker. Not `Sendable`.
package final class Authenticator {
    package enum Outcome: Sendable {
        /// The route asks for no token, or allows requests without one.
        case anonymous
        case identified(VerifiedToken)
        /// With what the token claimed, when there was one.
        case refused(Refusal, TokenRefusal?)
    }

    private struct RouteRules {
        var authentication: Configuration.Authentication
        /// Since the login; nil: any.
        var maximumAge: Interval?
    }

    private let verifier: TokenVerifier
    private var routes: [RouteRules]

    /// `keys` are `KeySet.build(from: configuration.tokens)`, `policy` is `TokenPolicy(configuration)`: both are made
    /// once on the control thread.
    package init(keys: KeySet, policy: TokenPolicy, routes: [Configuration.Route]) {
        verifier = TokenVerifier(keys: keys, policy: policy)
        self.routes = routes.map(Authenticator.rules)
    }

    /// Takes over a new configuration; routes are counted by its indices from now on.
    package func update(keys: KeySet, policy: TokenPolicy, routes: [Configuration.Route]) {
        verifier.update(keys: keys, policy: policy)
        self.routes = routes.map(Authenticator.rules)
    }

    /// Takes over new keys. The same ones change nothing: no token need be verified again.
    package func update(keys: KeySet) { verifier.update(keys: keys) }

    /// See `TokenVerifier`.
    package func usage(at now: WallTime) -> [KeyUsage] { verifier.usage(at: now) }

    /// See `TokenVerifier`.
    package func judge(_ token: Span<UInt8>, at now: WallTime) -> TokenOutcome { verifier.judge(token, at: now) }

    package func apply(_ delta: RevocationDelta) { verifier.apply(delta) }

    /// The token is revoked, or the key that signed it is none of ours any more.
    package func isDead(_ token: VerifiedToken, at now: WallTime) -> Bool {
        verifier.isRevoked(token, at: now) || !verifier.knowsKey(of: token)
    }

    /// See `TokenVerifier`.
    package func advance(to now: WallTime) -> Bool { verifier.advance(to: now) }

    /// Keys may be fetched that are not here yet.
    package var hasProviders: Bool { verifier.hasProviders }

    /// A provider's keys are not here.
    package var lacksKeys: Bool { verifier.lacksKeys }

    private static func rules(_ route: Configuration.Route) -> RouteRules {
        RouteRules(
            authentication: route.authentication, maximumAge: route.stepUp.maximumAge)
    }

    /// The token of the last request was verified before, so there is nothing new to record.
    package var lastWasRemembered: Bool { verifier.lastWasRemembered }

    /// Tokens that this worker remembers.
    package var cachedTokens: Int { verifier.cachedTokens }

    /// Whether the route looks at tokens at all; if not, its fields need not be searched for one.
    package func looksForTokens(route: Int) -> Bool {
        if case .none = routes[route].authentication { false } else { true }
    }

    /// Who sends the request? `head` holds the bytes that `place` points into.
    /// - Parameter grace: how long an expired token is still good for it.
    package func authenticate(
        _ place: Credentials.Place, in head: Span<UInt8>, route: Int, at now: WallTime, grace: Interval = .zero
    ) -> Outcome {
        let authentication = routes[route].authentication
        if case .none = authentication { return .anonymous }
        switch place {
        case .nowhere:
            if case .required = authentication { return .refused(.missingToken, nil) }
            return .anonymous
        case .malformed:
            return .refused(.malformedCredentials, nil)
        case .at(let range):
            let token = head.extracting(range)
            switch verifier.verify(token, at: now, grace: grace) {
            case .verified(let verified): return .identified(verified)
            case .refused(var details):
                // Only now, because no token that verifies holds other characters.
                guard details.isSigned || details.reason == .tokenTooLarge || Credentials.isToken68(token) else {
                    details.reason = .invalidToken
                    return .refused(.malformedCredentials, details)
                }
                return .refused(Authenticator.refusal(for: details.reason), details)
            }
        }
    }

    /// See `TokenVerifier`.
    func learn(_ answer: IntrospectionAnswer, about token: [UInt8], at now: WallTime) {
        verifier.learn(answer, about: token, at: now)
    }

    /// See `TokenVerifier`.
    func forgetAnswer() { verifier.forgetAnswer() }

    /// See `TokenVerifier`.
    var justAnswered: KnownAnswer? { verifier.justAnswered }

    /// See `TokenVerifier`.
    func recall(_ known: KnownAnswer, at now: WallTime) { verifier.recall(known, at: now) }

    /// See `TokenVerifier`.
    func takeLeads() -> [String: Int64] { verifier.takeLeads() }

    /// Whether the token has expired, and was accepted in its grace.
    func isInGrace(_ token: VerifiedToken, at now: WallTime) -> Bool { verifier.isInGrace(token, at: now) }

    /// May this client use the route? Nil: it may.
    package func authorize(_ token: VerifiedToken, route: Int, at now: WallTime) -> Refusal? {
        // Judged under an earlier configuration, whose routes had other numbers.
        guard token.generation == verifier.generation else { return .invalidToken(.invalidToken) }
        if let refusal = Requirements.refusal(token.satisfied, route: route) { return refusal }
        guard let age = routes[route].maximumAge else { return nil }
        return verifier.isRecent(token, within: age, at: now) ? nil : .loginTooWeak
    }

    private static func refusal(for reason: Reason) -> Refusal {
        switch reason {
        case .tokenExpired: .tokenExpired
        case .tokenTooLarge: .tokenTooLarge
        case .revoked: .tokenRevoked
        case .jwksUnavailable: .keysUnavailable
        case .introspectionUnavailable: .introspectionUnavailable
        default: .invalidToken(reason)
        }
    }
}
