package import Settings
internal import Wire

/// What a token must say to be accepted, and what is made of it: compiled from the configuration once, shared by all
/// workers.
package final class TokenPolicy: Sendable {
    let issuers: [[UInt8]]
    let audiences: [[UInt8]]
    let leewayMilliseconds: Int64
    let maximumBytes: Int
    let cacheEntries: Int
    let plan: ClaimPlan
    let registered: RegisteredClaims
    let rolesClaim: ClaimPlan.Claim
    let identityFields: IdentityFields
    let requirements: Requirements
    /// Nil: opaque tokens are refused.
    let introspection: IntrospectionRules?
    /// Nil: nothing is signed.
    let assertionClaims: AssertionClaims?

    /// Slots of the claims of RFC 7519 §4.1 that are judged, and of `auth_time`. They are outermost members only.
    struct RegisteredClaims: Sendable {
        let subject, issuer, audience, expiresAt, notBefore, issuedAt, authenticatedAt, id: Int
    }

    package convenience init(_ configuration: Configuration) {
        self.init(
            tokens: configuration.tokens, identityHeaders: configuration.identityHeaders, routes: configuration.routes,
            asserts: configuration.assertion != nil)
    }

    package init(
        tokens: Configuration.Tokens, identityHeaders: [Configuration.IdentityHeader], routes: [Configuration.Route],
        asserts: Bool = false
    ) {
        issuers = tokens.issuers.map { Array($0.utf8) }
        audiences = tokens.audiences.map { Array($0.utf8) }
        leewayMilliseconds = tokens.leeway.milliseconds
        maximumBytes = tokens.maximumBytes
        cacheEntries = tokens.cacheEntries
        introspection = tokens.introspection.map(IntrospectionRules.init)
        var plan = ClaimPlan()
        registered = RegisteredClaims(
            subject: plan.member("sub"), issuer: plan.member("iss"), audience: plan.member("aud"),
            expiresAt: plan.member("exp"), notBefore: plan.member("nbf"), issuedAt: plan.member("iat"),
            authenticatedAt: plan.member("auth_time"), id: plan.member("jti"))
        rolesClaim = plan.claim(tokens.rolesClaim)
        identityFields = IdentityFields(identityHeaders, &plan)
        requirements = Requirements(
            routes, rolesClaim: tokens.rolesClaim, scopesClaim: tokens.scopesClaim, &plan)
        assertionClaims =
            asserts ? AssertionClaims(rolesClaim: tokens.rolesClaim, scopesClaim: tokens.scopesClaim, &plan) : nil
        self.plan = plan
    }
}
