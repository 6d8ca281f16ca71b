internal import Settings
package import Wire

/// What the configuration says of assertions, compiled once and shared by the workers.
package final class AssertionRules: Sendable {
    /// `Name: `.
    let fieldStart: [UInt8]
    /// By upstream: an index into `audiences`.
    let audienceOfUpstream: [Int]
    /// For each audience the claims up to the time: `{"iss":"…","aud":"…","iat":`.
    let starts: [[UInt8]]
    let lifetimeSeconds: Int64
    /// Assertions that a worker remembers.
    let capacity: Int
    /// Empty: the keys are not on the public listeners.
    let jwksPath: [UInt8]
    package let jwksMaximumAge: Interval

    init(_ assertion: Configuration.Assertion, _ configuration: Configuration) {
        fieldStart = Array("\(assertion.header): ".utf8)
        var audiences: [String] = []
        var places: [Int] = []
        for upstream in configuration.upstreams {
            let audience = upstream.assertionAudience ?? assertion.audience
            if !audiences.contains(audience) { audiences.append(audience) }
            places.append(audiences.firstIndex(of: audience) ?? 0)
        }
        audienceOfUpstream = places
        starts = audiences.map { audience in
            var start = Array(#"{"iss":"#.utf8)
            JSONText.append(assertion.issuer, to: &start)
            start += Array(#","aud":"#.utf8)
            JSONText.append(audience, to: &start)
            return start + Array(#","iat":"#.utf8)
        }
        lifetimeSeconds = assertion.lifetime.seconds
        capacity = configuration.tokens.cacheEntries
        jwksPath = Array((assertion.jwksPath ?? "").utf8)
        jwksMaximumAge = assertion.jwksMaximumAge
    }
}
