/// Rules about how servers are connected to.
extension CrossChecks {
    mutating func checkTLS(ofUpstream name: String) {
        let section = "upstreams.\(name).tls"
        func written(_ key: String) -> ResolvedSettings.Entry? { settings.written("\(section).\(key)") }
        guard case .boolean(let isEnabled)? = settings.value("\(section).enabled") else { return }
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
