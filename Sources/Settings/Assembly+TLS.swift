internal import Wire

extension Assembly {
    /// Nil when no certificate is named; `CrossChecks` has seen to it that nothing else of TLS is then asked for.
    func tls() -> Configuration.TLS? {
        let sections = ["tls"] + (0..<(settings.counts["tls.certificates"] ?? 0)).map { "tls.certificates[\($0)]" }
        let certificates = sections.compactMap { section -> Configuration.TLS.Certificate? in
            guard let chain = settings.text("\(section).certificate_file"),
                let key = settings.text("\(section).key_file")
            else { return nil }
            return .init(
                section: section, chainPath: resolvePath(chain, in: directory),
                keyPath: resolvePath(key, in: directory),
                staplePath: settings.text("\(section).ocsp_file").map { resolvePath($0, in: directory) })
        }
        guard !certificates.isEmpty else { return nil }
        let written = addresses("tls.listen")
        let listeners = written.isEmpty ? [Configuration.TLS.defaultListener] : written
        let authorities = settings.text("tls.client_ca_file").map { resolvePath($0, in: directory) }
        let port = settings.integer("tls.redirect_port") ?? Int(listeners[0].port)
        return .init(
            listeners: listeners, certificates: certificates,
            minimumVersion: .init(rawValue: text("tls.min_version")) ?? .tls12, clientAuthorityPath: authorities,
            clientAuthentication: settings.text("tls.client_auth").flatMap { .init(rawValue: $0) }
                ?? (authorities == nil ? .none : .required),
            acceptsReadableKeys: boolean("allow_world_readable_secrets"),
            redirectPort: boolean("tls.redirect") ? UInt16(port) : nil)
    }

    /// Nil: in plain text.
    func upstreamTLS(_ section: String, isOn: Bool? = nil) -> Configuration.Upstream.TLS? {
        guard isOn ?? boolean("\(section).enabled") else { return nil }
        func file(_ name: String) -> String? {
            settings.text("\(section).\(name)").map { resolvePath($0, in: directory) }
        }
        let trust: Configuration.Upstream.TLS.Trust =
            if !boolean("\(section).verify") { .anybody } else if let path = file("ca_file") {
                .authorities(path: path)
            } else { .system }
        return .init(
            section: section, trust: trust, serverName: settings.text("\(section).server_name"),
            chainPath: file("certificate_file"), keyPath: file("key_file"),
            minimumVersion: .init(rawValue: text("\(section).min_version")) ?? .tls12,
            acceptsReadableKeys: boolean("allow_world_readable_secrets"))
    }

    func securityHeaders() -> Configuration.SecurityHeaders {
        var headers = Configuration.SecurityHeaders()
        headers.isOn = boolean("security_headers.enabled")
        headers.contentSecurityPolicy = settings.text("security_headers.content_security_policy")
        headers.strictTransportSeconds = Int(interval("tls.hsts_max_age").nanoseconds / 1_000_000_000)
        headers.strictTransportIncludesSubdomains = boolean("tls.hsts_include_subdomains")
        return headers
    }
}
