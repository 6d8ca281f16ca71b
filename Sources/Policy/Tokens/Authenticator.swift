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
        var cookieName: [UInt8]
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

    private static func rules(_ route: Configuration.Route) -> RouteRules {
        RouteRules(authentication: route.authentication, cookieName: Array((route.cookie ?? "").utf8))
    }

    /// The token of the last request was verified before, so there is nothing new to record.
    package var lastWasRemembered: Bool { verifier.lastWasRemembered }

    /// Tokens that this worker remembers.
    package var cachedTokens: Int { verifier.cachedTokens }

    /// Whether the route looks at tokens at all; if not, its fields need not be searched for one.
    package func looksForTokens(route: Int) -> Bool { routes[route].authentication != .none }

    /// For `Credentials.init(cookieName:)`; empty when the route has no cookie.
    package func cookieName(ofRoute route: Int) -> [UInt8] { routes[route].cookieName }

    /// Who sends the request? `head` holds the bytes that `place` points into.
    package func authenticate(
        _ place: Credentials.Place, in head: Span<UInt8>, route: Int, at now: WallTime
    ) -> Outcome {
        let authentication = routes[route].authentication
        guard authentication != .none else { return .anonymous }
        switch place {
        case .nowhere:
            return authentication == .required ? .refused(.missingToken, nil) : .anonymous
        case .malformed:
            return .refused(.malformedCredentials, nil)
        case .at(let range):
            let token = head.extracting(range)
            switch verifier.verify(token, at: now) {
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

    /// May this client use the route? Nil: it may.
    package func authorize(_ token: VerifiedToken, route: Int) -> Refusal? {
        // Judged under an earlier configuration, whose routes had other numbers.
        guard token.generation == verifier.generation else { return .invalidToken(.invalidToken) }
        return Requirements.refusal(token.satisfied, route: route)
    }

    private static func refusal(for reason: Reason) -> Refusal {
        switch reason {
        case .tokenExpired: .tokenExpired
        case .tokenTooLarge: .tokenTooLarge
        default: .invalidToken(reason)
        }
    }
}
