extension Assembly {
    /// Nil: opaque tokens are refused. `CrossChecks` has seen to it that the rest is there with the URL.
    func introspection() -> Configuration.Tokens.Introspection? {
        let section = "tokens.introspection"
        guard case .web(let url)? = settings.value("\(section).url"),
            let secret = secrets.secrets["\(section).client_secret"]
        else { return nil }
        var introspection = Configuration.Tokens.Introspection(
            url: url, clientID: text("\(section).client_id"), clientSecret: secret)
        introspection.authoritiesPath = settings.text("\(section).ca_file").map { resolvePath($0, in: directory) }
        introspection.allowsHTTP = boolean("\(section).allow_http")
        introspection.timeout = interval("\(section).timeout")
        introspection.goodFor = interval("\(section).cache")
        introspection.badFor = interval("\(section).cache_negative")
        introspection.maximumPending = integer("\(section).max_pending")
        return introspection
    }
}
