/// Rules about whom to ask about opaque tokens.
extension CrossChecks {
    mutating func checkIntrospection() {
        func written(_ name: String) -> ResolvedSettings.Entry? { settings.written("tokens.introspection.\(name)") }
        guard let url = written("url") else {
            for name in [
                "client_id", "client_secret", "client_secret_file", "ca_file", "allow_http", "timeout", "cache",
                "cache_negative", "max_pending",
            ] {
                guard let entry = written(name) else { continue }
                findings.error(
                    entry.place, "nobody is asked about opaque tokens, so \"\(name)\" would do nothing",
                    hint: "set \"tokens.introspection.url\", or remove it")
            }
            return
        }
        if written("client_id") == nil {
            findings.error(
                url.place, "the endpoint answers nobody without a name (RFC 7662 §2.1)",
                hint: "for example tokens.introspection.client_id: gateway")
        }
        if written("client_secret") == nil, written("client_secret_file") == nil {
            findings.error(
                url.place, "the endpoint answers nobody without a secret (RFC 7662 §2.1)",
                hint: "set \"tokens.introspection.client_secret_file\"")
        }
        guard case .web(let address)? = settings.value("tokens.introspection.url") else { return }
        if case .boolean(false)? = settings.value("tokens.introspection.allow_http"), address.isExposed {
            findings.error(
                url.place, "whoever sits between here and \(address.host) could read tokens and answer for it",
                hint: "write https://, or set \"allow_http\" to true")
        }
    }
}
