private import Wire

extension SettingRows {
    /// Keys that are added at run time (docs/keys.md).
    static let ring: [SettingRow] = [
        SettingRow(
            "tokens.ring_secret", .secret(minimum: 32), .absent("keys cannot be added where Redis is shared"),
            example: "not-a-real-secret-of-32-bytes-0123456789",
            "What keys are sealed with that `gateway keys add` gives to all replicas through Redis: the same on each of them."
        ),
        SettingRow(
            "tokens.ring_secret_file", .file, .absent("no file"), example: "/run/secrets/ring",
            "File that holds the ring secret."),
    ]

    /// Keys that come from the issuer of the tokens (docs/keys.md).
    static let providers: [SettingRow] = [
        SettingRow(
            "tokens.keys[].jwks_url", .webAddress, .absent("no URL"), example: "https://issuer.example.org/jwks.json",
            "URL of a JSON Web Key Set, fetched again and again."),
        SettingRow(
            "tokens.keys[].oidc_issuer", .webAddress, .absent("no provider"), example: "https://issuer.example.org/",
            "Issuer of an OpenID provider, whose metadata names its key set; tokens with these keys must name it in `iss`."
        ),
        SettingRow(
            "tokens.keys[].issuer", .text, .absent("any of `tokens.issuers`"), example: "https://issuer.example.org",
            "The one issuer (`iss`) that tokens with this key must name, besides `tokens.issuers`."),
        SettingRow(
            "tokens.keys[].ca_file", .file, .absent("those that this machine trusts"),
            example: "/etc/gateway/idp-ca.pem",
            "Authorities in PEM that the certificate of the URL must be from."),
        SettingRow(
            "tokens.keys[].allow_http", .boolean, .value("false"), example: "true",
            "Whether keys may be fetched without TLS from another machine."),
        SettingRow(
            "tokens.keys[].refresh", .duration(.seconds(30)...(.seconds(86_400))), .value("10m"), example: "1h",
            "How often keys are fetched; Cache-Control of the answer may say otherwise, from 1m to 1d."),
        SettingRow(
            "tokens.keys[].timeout", .duration(.milliseconds(100)...(.seconds(60))), .value("5s"), example: "2s",
            "For the whole answer of the URL."),
        SettingRow(
            "tokens.keys[].max_stale", .duration(.seconds(60)...(.seconds(30 * 86_400))), .value("1d"), example: "6h",
            "How long keys are used that could not be fetched again; after that, tokens are answered with 503."),
    ]
}
