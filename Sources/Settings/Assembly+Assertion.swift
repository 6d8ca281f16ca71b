extension Assembly {
    /// Nil: nothing is signed. `CrossChecks` has seen to it that the rest is there with the header, and not without it.
    func assertion() -> Configuration.Assertion? {
        guard let header = settings.text("assertion.header") else { return nil }
        var assertion = Configuration.Assertion(
            header: header, issuer: text("assertion.issuer"), audience: text("assertion.audience"))
        assertion.lifetime = interval("assertion.lifetime")
        assertion.algorithm = settings.text("assertion.algorithm").flatMap { .init(rawValue: $0) }
        assertion.keyPath = settings.text("assertion.key_file").map { resolvePath($0, in: directory) }
        assertion.acceptsReadableKeys = boolean("allow_world_readable_secrets")
        assertion.jwksPath = settings.text("assertion.jwks_path")
        assertion.jwksMaximumAge = interval("assertion.jwks_max_age")
        return assertion
    }
}
