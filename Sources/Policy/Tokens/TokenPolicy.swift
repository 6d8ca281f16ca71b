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
    let identityFields: IdentityFields
    let requirements: Requirements

    /// Slots of the claims of RFC 7519 §4.1 that are judged. They are outermost members only.
    struct RegisteredClaims: Sendable {
        let subject, issuer, audience, expiresAt, notBefore, issuedAt: Int
    }

    package convenience init(_ configuration: Configuration) {
        self.init(
            tokens: configuration.tokens, identityHeaders: configuration.identityHeaders, routes: configuration.routes)
    }

    package init(
        tokens: Configuration.Tokens, identityHeaders: [Configuration.IdentityHeader], routes: [Configuration.Route]
    ) {
        issuers = tokens.issuers.map { Array($0.utf8) }
        audiences = tokens.audiences.map { Array($0.utf8) }
        leewayMilliseconds = tokens.leeway.milliseconds
        maximumBytes = tokens.maximumBytes
        cacheEntries = tokens.cacheEntries
        var plan = ClaimPlan()
        registered = RegisteredClaims(
            subject: plan.member("sub"), issuer: plan.member("iss"), audience: plan.member("aud"),
            expiresAt: plan.member("exp"), notBefore: plan.member("nbf"), issuedAt: plan.member("iat"))
        identityFields = IdentityFields(identityHeaders, &plan)
        requirements = Requirements(routes, rolesClaim: tokens.rolesClaim, &plan)
        self.plan = plan
    }
}
