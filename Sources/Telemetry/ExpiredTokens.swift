/// How long ago a token had expired, in the few words that metrics and filters know.
package enum ExpiredAge: String, CaseIterable, Sendable {
    /// Less than a minute: a client that renews too late, or clocks that differ.
    case underMinute = "under_minute"
    /// Less than it was good for: a client that does not renew.
    case underLifetime = "under_lifetime"
    /// Longer than that, or it does not say since when it was good: forgotten somewhere, or found.
    case longer

    /// - Parameters, in milliseconds:
    ///   - age: since its end.
    ///   - lifetime: how long it was good; nil: not known.
    package init(age: Int64, lifetime: Int64?) {
        self = age < 60_000 ? .underMinute : age < lifetime ?? 0 ? .underLifetime : .longer
    }
}

/// What became of an expired token whose signature was right.
package enum ExpiredTokenResult: String, CaseIterable, Sendable {
    case refused
    /// Accepted by `routes[].expired_grace`.
    case inGrace = "in_grace"
}

/// The age of an expired token when it was judged, for the audit record.
package struct AuditExpiry: Hashable, Sendable {
    package let age: ExpiredAge
    package let seconds: Int

    /// `expiresAt` and `issuedAt` are in milliseconds since 1970, of whatever size.
    package init(at now: Int64, expiresAt: Int64, issuedAt: Int64?) {
        let (age, overflow) = now.subtractingReportingOverflow(expiresAt)
        let sinceEnd = overflow ? Int64.max : max(age, 0)
        var lifetime: Int64?
        if let issuedAt {
            let (difference, overflow) = expiresAt.subtractingReportingOverflow(issuedAt)
            lifetime = overflow ? nil : difference
        }
        self.age = ExpiredAge(age: sinceEnd, lifetime: lifetime)
        seconds = Int(sinceEnd / 1_000)
    }
}
