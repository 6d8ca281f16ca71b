@testable import Settings

/// A configuration in which every section is present, as YAML in one line; single settings of it can be changed.
struct ExampleDocument {
    /// Concrete paths and their YAML text, in order.
    private var settings: [(path: String, text: String)] = [
        ("upstreams.first.servers", "[\"127.0.0.1:9000\"]"),
        ("upstreams.example.servers", "[\"127.0.0.1:9001\"]"),
        ("routes[0].path", "/"),
        ("routes[0].upstream", "first"),
        ("routes[0].roles", "[admin]"),
        ("routes[0].rate_limit.rate", "5/min"),
        ("rate_limits.per_address.rate", "20/s"),
        ("rate_limits.per_identity.rate", "30/s"),
        ("feeds[0].name", "first"),
        ("feeds[0].url", "\"http://127.0.0.1:9003/list.txt\""),
        ("accounts.member", "login"),
        ("accounts.secret", "not-the-real-secret-of-32-bytes-01234567"),
        ("threats.webhook.url", "\"http://127.0.0.1:9004/alerts\""),
        ("threats.webhook.secret", "not-the-webhook-secret-of-32-bytes-0123"),
        ("login.escalation.factor", "2"),
        ("login.challenge.kind", "proof_of_work"),
        ("login.challenge.secret", "not-the-real-secret-of-32-bytes-76543210"),
        ("login.rules[0].name", "first"),
        ("login.rules[0].endpoints", "[\"POST /first\", \"POST /second\"]"),
        ("login.rules[0].failure.field", "X-Failed"),
        ("login.rules[0].failure.value", "yes"),
        ("login.rules[0].failure.json.member", "state"),
        ("login.rules[0].escalation.factor", "2"),
        ("redis.address", "127.0.0.1:6379"),
        ("tokens.keys[0].id", "main"),
        ("tokens.keys[0].secret", String(repeating: "0123456789abcdef", count: 4)),
        ("tokens.introspection.url", "\"http://127.0.0.1:9002/about-tokens\""),
        ("tokens.introspection.client_id", "edge"),
        ("tokens.introspection.client_secret", "another-client-secret"),
        ("identity.headers.X-User-ID", "sub"),
        ("assertion.header", "X-Identity-Assertion"),
        ("assertion.issuer", "https://gateway.example.org"),
        ("assertion.audience", "backends"),
        ("tls.certificate_file", "/tls/chain.pem"),
        ("tls.key_file", "/tls/key.pem"),
        ("tls.client_ca_file", "/tls/clients.pem"),
        ("tls.certificates[0].certificate_file", "/tls/b/chain.pem"),
        ("tls.certificates[0].key_file", "/tls/b/key.pem"),
    ]

    /// What the examples of the rows that name files find there.
    static let files: [String: FileAccess.File] = [
        "/run/secrets/admin": file("another-admin-token", mode: 0o600),
        "/run/secrets/redis": file("another-password", mode: 0o600),
        "/run/secrets/redis-url": file("redis://:another-password@redis:6380/7", mode: 0o600),
        "/run/secrets/sentinel": file("a-sentinel-password", mode: 0o600),
        "/run/secrets/ring": file("another-ring-secret-of-32-bytes-0123", mode: 0o600),
        "/run/secrets/accounts": file("the-real-secret-of-accounts-0123456", mode: 0o600),
        "/run/secrets/challenge": file("the-real-secret-of-challenges-01234", mode: 0o600),
        "/run/secrets/captcha": file("the-real-secret-of-a-captcha", mode: 0o600),
        "/etc/gateway/captcha-ca.pem": file("", mode: 0o644),
        "/run/secrets/webhook": file("the-real-webhook-secret-of-32-bytes-01", mode: 0o600),
        "/etc/gateway/alerts-ca.pem": file("", mode: 0o644),
        "/run/secrets/introspection": file("a-third-client-secret", mode: 0o600),
        "/run/secrets/jwt": file(String(repeating: "fedcba9876543210", count: 4), mode: 0o600),
        "/etc/gateway/issuer.pem": file("-----BEGIN PUBLIC KEY-----", mode: 0o644),
        "/etc/gateway/idp-ca.pem": file("", mode: 0o644),
        "/etc/gateway/feeds-ca.pem": file("", mode: 0o644),
        "/etc/gateway/jwks.json": file("{\"keys\": []}", mode: 0o644),
        "/etc/gateway/assertion.pem": file("-----BEGIN PRIVATE KEY-----", mode: 0o600),
    ].merging(tlsFiles) { first, _ in first }

    /// Nobody looks into them here.
    private static let tlsFiles = Dictionary(
        uniqueKeysWithValues: [
            "/tls/chain.pem", "/tls/key.pem", "/tls/clients.pem", "/tls/b/chain.pem", "/tls/b/key.pem",
            "/etc/gateway/tls/chain.pem", "/etc/gateway/tls/key.pem", "/etc/gateway/tls/ocsp.der",
            "/etc/gateway/tls/clients.pem", "/etc/gateway/tls/b/chain.pem", "/etc/gateway/tls/b/key.pem",
            "/etc/gateway/tls/b/ocsp.der", "/etc/gateway/tls/redis-ca.pem", "/etc/gateway/tls/gateway.pem",
            "/etc/gateway/tls/gateway.key",
        ].map { ($0, file("", mode: 0o600)) })

    /// What the settings of TLS to an upstream need beside them.
    private static let secured = [
        ("upstreams.example.tls.enabled", "true"), ("upstreams.example.tls.certificate_file", "/tls/chain.pem"),
        ("upstreams.example.tls.key_file", "/tls/key.pem"),
        ("redis.tls.enabled", "true"), ("redis.tls.certificate_file", "/tls/chain.pem"),
        ("redis.tls.key_file", "/tls/key.pem"),
    ]

    /// Variables without which a setting says nothing, or something wrong.
    static func companions(_ row: SettingRow) -> [String: String] {
        if row.path == "tls.redirect_port" { return ["FORCE_HTTPS": "true"] }
        if needsSecuring(row) { return securing }
        if needsCaptcha(row) || row.path == "login.challenge.kind" { return captchaVariables(for: row) }
        guard row.path.hasPrefix("redis.sentinel") else { return [:] }
        return ["GATEWAY_REDIS__SENTINELS": "10.0.0.9:26379", "GATEWAY_REDIS__SENTINEL_MASTER": "main"]
    }

    /// The same as variables.
    static let securing = Dictionary(
        uniqueKeysWithValues: secured.map { ("GATEWAY_" + $0.0.uppercased().replacing(".", with: "__"), $0.1) })

    /// What the settings of a CAPTCHA need beside them.
    private static let captcha = [
        ("login.challenge.kind", "siteverify"), ("login.challenge.siteverify.url", "\"http://127.0.0.1:9004/verify\""),
        ("login.challenge.siteverify.site_key", "a-site-key"),
        ("login.challenge.siteverify.secret", "a-secret-of-a-captcha"),
    ]

    static func needsCaptcha(_ row: SettingRow) -> Bool { row.path.hasPrefix("login.challenge.siteverify.") }

    /// The same as variables, for the row.
    static func captchaVariables(for row: SettingRow? = nil) -> [String: String] {
        let variables = captcha.filter { row?.path != "\($0.0)_file" }.map {
            ("GATEWAY_" + $0.0.uppercased().replacing(".", with: "__"), $0.1.filter { $0 != "\"" })
        }
        return Dictionary(uniqueKeysWithValues: variables)
    }

    static func needsSecuring(_ row: SettingRow) -> Bool {
        ["upstreams.*.tls.", "redis.tls."].contains { row.path.hasPrefix($0) } && !row.path.hasSuffix(".enabled")
    }

    static func needsProvider(_ row: SettingRow) -> Bool {
        SettingRows.providers.contains { $0.path == row.path } && !row.path.hasSuffix(".issuer")
    }

    /// The concrete path of a row in this document.
    static func concrete(_ path: String) -> String {
        switch path {
        case "identity.headers.*": "identity.headers.X-User-ID"
        case "routes[].claims.*": "routes[0].claims.tier"
        default: path.replacing("*", with: "example").replacing("[]", with: "[0]")
        }
    }

    mutating func set(_ row: SettingRow) {
        // Some settings exclude each other.
        switch row.path {
        case "tokens.keys[].secret_file", "tokens.keys[].jwks_file":
            settings.removeAll { $0.path == "tokens.keys[0].secret" }
        case "tokens.keys[].jwks_url", "tokens.keys[].oidc_issuer":
            settings.removeAll { $0.path == "tokens.keys[0].secret" }
        case _ where Self.needsProvider(row):
            settings.removeAll { $0.path == "tokens.keys[0].secret" }
            settings.append(("tokens.keys[0].jwks_url", "\"https://issuer.example.org/jwks.json\""))
        case "tokens.keys[].pem_file":
            settings.removeAll { $0.path == "tokens.keys[0].secret" }
            settings.append(("tokens.keys[0].algorithms", "[RS256]"))
        case "login.rules[].key": settings.removeAll { $0.path == "login.rules[0].escalation.factor" }
        case "feeds[].file": settings.removeAll { $0.path == "feeds[0].url" }
        case "accounts.secret_file": settings.removeAll { $0.path == "accounts.secret" }
        case "threats.webhook.secret_file": settings.removeAll { $0.path == "threats.webhook.secret" }
        case "tokens.introspection.client_secret_file":
            settings.removeAll { $0.path == "tokens.introspection.client_secret" }
        case "routes[].break_glass": settings.append(("routes[0].host", "api.example.org"))
        case "redis.url", "redis.url_file": settings.removeAll { $0.path == "redis.address" }
        case "redis.cluster": settings.removeAll { $0.path == "redis.address" }
        case _ where row.path.hasPrefix("redis.sentinel"):
            settings.removeAll { $0.path == "redis.address" }
            settings += [("redis.sentinels", "[\"10.0.0.9:26379\"]"), ("redis.sentinel_master", "main")]
        case "tls.redirect_port": settings.append(("tls.redirect", "true"))
        case _ where Self.needsSecuring(row): settings += Self.secured
        case "login.challenge.secret_file": settings.removeAll { $0.path == "login.challenge.secret" }
        case _ where Self.needsCaptcha(row) || row.path == "login.challenge.kind":
            settings.removeAll { $0.path == "login.challenge.kind" }
            settings += Self.captcha.filter { row.path != "\($0.0)_file" }
        default: break
        }
        let path = Self.concrete(row.path)
        let text: String
        switch (row.kind.item, row.example.hasPrefix("["), row.example.hasPrefix("@")) {
        case (nil, _, _): text = "\"\(row.example)\""
        default: text = row.example
        }
        settings.removeAll { $0.path == path }
        settings.append((path, text))
    }

    var yaml: String { Self.render(settings.map { (Self.steps(of: $0.path), $0.text) }) }

    func load(_ environment: [String: String] = [:]) -> LoadResult {
        SettingsTests.load(yaml, environment, files: Self.files)
    }

    /// `routes[0].path` → `routes`, `[0]`, `path`.
    private static func steps(of path: String) -> [String] {
        path.replacing("[", with: ".[").split(separator: ".").map(String.init)
    }

    private static func render(_ settings: [([String], String)]) -> String {
        if let only = settings.first, only.0.isEmpty { return only.1 }
        var order: [String] = []
        for (steps, _) in settings where !order.contains(steps[0]) { order.append(steps[0]) }
        let isList = order[0].hasPrefix("[")
        let members = order.map { key in
            let inner = settings.filter { $0.0[0] == key }.map { (Array($0.0.dropFirst()), $0.1) }
            return isList ? render(inner) : "\(key): \(render(inner))"
        }
        return isList ? "[\(members.joined(separator: ", "))]" : "{\(members.joined(separator: ", "))}"
    }
}

/// Every stored value below `subject` as text, by the labels that lead to it; items of arrays share one label.
func leaves(_ subject: Any, at path: String = "") -> [String: [String]] {
    if let secret = subject as? Secret { return [path: [String(decoding: secret.revealed, as: UTF8.self)]] }
    let mirror = Mirror(reflecting: subject)
    if mirror.displayStyle == .optional {
        guard let wrapped = mirror.children.first else { return [path: ["nil"]] }
        return leaves(wrapped.value, at: path)
    }
    if mirror.displayStyle == .collection {
        var result: [String: [String]] = [path: ["\(mirror.children.count)"]]
        for child in mirror.children { result.merge(leaves(child.value, at: path)) { $0 + $1 } }
        return result
    }
    if mirror.children.isEmpty || "\(type(of: subject))".hasPrefix("IP") || mirror.displayStyle == .enum {
        var result = [path: ["\(subject)"]]
        // Secrets inside an enum print as <redacted>.
        for child in mirror.children { result.merge(leaves(child.value, at: path)) { $0 + $1 } }
        return result
    }
    var result: [String: [String]] = [:]
    for child in mirror.children {
        result.merge(leaves(child.value, at: "\(path).\(child.label ?? "")")) { $0 + $1 }
    }
    return result
}
