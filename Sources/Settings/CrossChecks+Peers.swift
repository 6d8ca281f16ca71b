/// Rules about how servers are connected to.
extension CrossChecks {
    /// The checks' own requests go out in plain text and announce nobody, so every one of them would fail.
    private mutating func checkHealthCheck(ofUpstream name: String, _ isSecured: Bool) {
        let isAnnounced = settings.text("upstreams.\(name).proxy_protocol") ?? "none" != "none"
        guard isSecured || isAnnounced, let path = settings.written("upstreams.\(name).health_check.path") else {
            return
        }
        findings.error(
            path.place,
            "health checks cannot ask over \(isSecured ? "TLS" : "the PROXY protocol") yet: each would fail",
            hint: "leave the path out; servers are still checked by connecting to them")
    }

    mutating func checkTLS(ofUpstream name: String) {
        let section = "upstreams.\(name).tls"
        func written(_ key: String) -> ResolvedSettings.Entry? { settings.written("\(section).\(key)") }
        guard case .boolean(let isEnabled)? = settings.value("\(section).enabled") else { return }
        checkHealthCheck(ofUpstream: name, isEnabled)
        guard isEnabled else {
            // Whoever has written `enabled: false` knows it; whoever has forgotten `true` would believe in a protection.
            guard written("enabled") == nil else { return }
            for key in ["ca_file", "server_name", "verify", "certificate_file", "key_file", "min_version"] {
                guard let entry = written(key) else { continue }
                findings.error(
                    entry.place, "the servers of \"\(name)\" are spoken to in plain text, so this would do nothing",
                    hint: "set \"\(section).enabled\" to true")
            }
            return
        }
        if let certificate = written("certificate_file"), written("key_file") == nil {
            findings.error(certificate.place, "the certificate has no key", hint: "set \"\(section).key_file\"")
        }
        if let key = written("key_file"), written("certificate_file") == nil {
            findings.error(key.place, "the key has no certificate", hint: "set \"\(section).certificate_file\"")
        }
        if case .boolean(false)? = settings.value("\(section).verify") {
            findings.warning(
                settings.place(of: "\(section).verify"),
                "the servers of \"\(name)\" need not prove who they are: whoever sits in between reads and writes along",
                hint: "set \"\(section).ca_file\" to the authority that signed their certificates")
            return
        }
        guard written("server_name") == nil else { return }
        for item in settings.items("upstreams.\(name).servers") {
            guard case .server(.unix) = item.value else { continue }
            findings.error(
                item.place, "the path of a socket is no name that a certificate could be for",
                hint: "set \"\(section).server_name\"")
        }
    }
}
