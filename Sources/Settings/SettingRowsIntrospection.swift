private import Wire

extension SettingRows {
    /// Tokens that only whoever issued them can judge (docs/introspection.md). The URL is the switch.
    static let introspection: [SettingRow] = [
        SettingRow(
            "tokens.introspection.url", .webAddress, .absent("opaque tokens are refused"),
            example: "https://issuer.example.org/introspect",
            "Introspection endpoint (RFC 7662), which is asked about each token that is not a JWT."),
        SettingRow(
            "tokens.introspection.client_id", .text, .absent("needed with `url`"), example: "gateway",
            "Name by which the endpoint knows this gateway."),
        SettingRow(
            "tokens.introspection.client_secret", .secret(minimum: 8), .absent("needed with `url`"),
            example: "not-a-real-secret", "Secret that the gateway shows to the endpoint (HTTP Basic)."),
        SettingRow(
            "tokens.introspection.client_secret_file", .file, .absent("no file"),
            example: "/run/secrets/introspection", "File that holds the client secret."),
        SettingRow(
            "tokens.introspection.ca_file", .file, .absent("those that this machine trusts"),
            example: "/etc/gateway/idp-ca.pem", "Authorities in PEM that the certificate of the URL must be from."),
        SettingRow(
            "tokens.introspection.allow_http", .boolean, .value("false"), example: "true",
            "Whether tokens and the client secret may be sent to another machine without TLS."),
        SettingRow(
            "tokens.introspection.timeout", .duration(.milliseconds(50)...(.seconds(30))), .value("1s"),
            example: "500ms", "For the whole answer; a request whose token is asked about waits no longer."),
        SettingRow(
            "tokens.introspection.cache", .duration(.zero...(.seconds(3_600))), .value("30s"), example: "5s",
            "How long a good answer is used; a token that its issuer takes back is accepted for so long."),
        SettingRow(
            "tokens.introspection.cache_negative", .duration(.zero...(.seconds(300))), .value("5s"), example: "1s",
            "How long it is remembered that a token is not good."),
        SettingRow(
            "tokens.introspection.max_pending", .integer(1...10_000), .value("256"), example: "64",
            "Tokens that the endpoint is asked about at a time; of more, requests get 503."),
    ]
}
