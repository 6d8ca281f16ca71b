/// Rules about the keys that tokens are verified with.
extension CrossChecks {
    mutating func checkKeys() {
        var seen: [String: String] = [:]
        checkTwins()
        for index in 0..<(settings.counts["tokens.keys"] ?? 0) {
            let path = "tokens.keys[\(index)]"
            if let id = settings.text("\(path).id") {
                if seen[id] != nil || secrets.environmentKeys.contains(where: { $0.key.variable == id }) {
                    findings.error(
                        settings.place(of: "\(path).id"), "the key id \"\(id)\" stands twice",
                        hint: "give each key a name of its own")
                }
                seen[id] = path
            }
            checkAlgorithms(path)
            checkProvider(path)
        }
    }

    /// The recipe that copies the new secret over the old one before that is saved: both are one, so no token is refused when
    /// one of them goes, and none of the old ones is accepted.
    private mutating func checkTwins() {
        var seen = secrets.environmentKeys.filter { !$0.key.isPEM }.map {
            (secret: $0.contents.revealed, issuer: String?.none, id: $0.key.variable)
        }
        for index in 0..<(settings.counts["tokens.keys"] ?? 0) {
            let path = "tokens.keys[\(index)]"
            guard let secret = secrets.secrets["\(path).secret"], let id = settings.text("\(path).id") else { continue }
            let issuer = settings.text("\(path).issuer")
            if let twin = seen.first(where: { $0.secret == secret.revealed && $0.issuer == issuer }) {
                findings.error(
                    settings.place(of: "\(path).id"), "the secret of \"\(id)\" is that of \"\(twin.id)\"",
                    hint: "a rotation needs both: the old secret under one name, the new one under another")
            }
            seen.append((secret.revealed, issuer, id))
        }
    }

    private mutating func checkAlgorithms(_ path: String) {
        guard let entry = settings.entries["\(path).algorithms"], !entry.isBroken else { return }
        let sources = SettingRows.keySources.filter { settings.written("\(path).\($0)") != nil }
        guard sources.count == 1, let source = sources.first else { return }
        let isPEM = source == "pem_file"
        if ["jwks_file", "jwks_url", "oidc_issuer"].contains(source) {
            if !entry.items.isEmpty {
                findings.error(
                    entry.place, "a JWKS names the algorithms of its keys itself", hint: "remove \"algorithms\"")
            }
            return
        }
        if isPEM, entry.items.isEmpty {
            findings.error(
                settings.place(of: "\(path).pem_file"), "the key has no algorithms",
                hint: "add algorithms: [RS256] for an RSA key, [ES256] for P-256, [EdDSA] for Ed25519")
        }
        for item in entry.items {
            // RFC 8725 §2.1: a public key must never serve as an HMAC secret.
            let isHash = SettingRows.hashAlgorithms.contains(item.written)
            if isHash == isPEM {
                findings.error(
                    item.place, "\(item.written) cannot be used with a \(isPEM ? "public key" : "shared secret")",
                    hint: isPEM ? "use RS256, PS256, ES256 or EdDSA" : "use HS256, HS384 or HS512")
            }
        }
        guard let secret = secrets.secrets["\(path).secret"] else { return }
        // RFC 7518 §3.2: a key of the same size as the hash output, or larger.
        let needed = entry.items.compactMap { ["HS256": 32, "HS384": 48, "HS512": 64][$0.written] }.max() ?? 32
        if secret.count < needed {
            let place =
                settings.written("\(path).secret")?.place ?? settings.place(of: "\(path).secret_file")
            findings.error(
                place, "the secret has \(secret.count) bytes; HS\(needed * 8) needs at least \(needed)",
                hint: "make one with: openssl rand -hex \(needed)")
        }
    }

    private mutating func checkProvider(_ path: String) {
        let urls = ["jwks_url", "oidc_issuer"].filter { settings.written("\(path).\($0)") != nil }
        guard let url = urls.first else {
            for name in ["ca_file", "allow_http", "refresh", "timeout", "max_stale"] {
                guard let entry = settings.written("\(path).\(name)") else { continue }
                findings.error(
                    entry.place, "nothing is fetched for this key, so \"\(name)\" would do nothing",
                    hint: "set \"jwks_url\" or \"oidc_issuer\", or remove it")
            }
            return
        }
        if url == "oidc_issuer", let entry = settings.written("\(path).issuer") {
            findings.error(
                entry.place, "the issuer of these keys is \"oidc_issuer\" already", hint: "remove \"issuer\"")
        }
        guard case .web(let address)? = settings.value("\(path).\(url)") else { return }
        let place = settings.place(of: "\(path).\(url)")
        // OpenID Connect Discovery 1.0 §4.1: the well-known path stands behind the issuer, which has no query.
        if url == "oidc_issuer", address.target.contains("?") {
            findings.error(place, "an issuer has no query", hint: "remove ? and what follows")
        }
        if case .boolean(false)? = settings.value("\(path).allow_http"), address.isExposed {
            findings.error(
                place, "whoever sits between here and \(address.host) could answer with keys of his own",
                hint: "write https://, or set \"allow_http\" to true")
        }
        if let refresh = settings.interval("\(path).refresh"), let longest = settings.interval("\(path).max_stale"),
            longest < refresh
        {
            findings.error(
                settings.place(of: "\(path).max_stale"), "keys would be too old before they are fetched again",
                hint: "set it to more than \"refresh\"")
        }
    }
}
