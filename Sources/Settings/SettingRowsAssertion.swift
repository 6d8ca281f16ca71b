private import Wire

extension SettingRows {
    /// What the gateway signs for backends (docs/assertions.md). The header is the switch.
    static let assertion: [SettingRow] = [
        SettingRow(
            "assertion.header", .word(.token), .absent("nothing is signed"), example: "X-Caller-Assertion",
            "Header for backends with a signed assertion of who the caller is; whatever a client sends under this name is "
                + "removed."),
        SettingRow(
            "assertion.issuer", .text, .absent("needed with `assertion.header`"), example: "https://edge.example.org",
            "Issuer (`iss`) of the assertions: the name by which backends know this gateway."),
        SettingRow(
            "assertion.audience", .text, .absent("needed with `assertion.header`"), example: "orders",
            "Audience (`aud`) of the assertions, where the upstream has none of its own."),
        SettingRow(
            "assertion.lifetime", .duration(.seconds(5)...(.seconds(600))), .value("60s"), example: "2m",
            "How long an assertion may be used; none outlives the token that it is made from."),
        SettingRow(
            "assertion.algorithm", .choice(Configuration.Assertion.Algorithm.allCases.map(\.rawValue)),
            .absent("ES256, or what the key of `assertion.key_file` is for"), example: "EdDSA",
            "Algorithm of the signatures."),
        SettingRow(
            "assertion.key_file", .file, .absent("a key is made and kept in `state_dir`"),
            example: "/etc/gateway/assertion.pem",
            "File in PEM with the private key that signs (P-256 or Ed25519), and behind it others that are only published; "
                + "several gateways need it."),
        SettingRow(
            "assertion.jwks_path", .routePath, .absent("the admin listener only"), example: "/.well-known/jwks.json",
            "Path of the public keys (RFC 7517) on the public listeners, for every host; no backend is asked for it then."
        ),
        SettingRow(
            "assertion.jwks_max_age", .duration(.seconds(1)...(.seconds(86_400))), .value("5m"), example: "1h",
            "How long backends may keep the public keys; a new key is published for so long before it signs."),
    ]
}
