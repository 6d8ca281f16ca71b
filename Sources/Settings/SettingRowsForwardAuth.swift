extension SettingRows {
    /// Where proxies ask whether a request of theirs may pass.
    static let asking: [SettingRow] = [
        SettingRow(
            "forward_auth.listen", .list(.listener), .items([]), example: "[\"127.0.0.1:9090\"]",
            "Addresses at which nginx, Traefik, Caddy and Envoy ask; none by default. docs/forward-auth.md."),
        SettingRow(
            "forward_auth.trusted", .list(.network), .items(["127.0.0.0/8", "::1"]), example: "[10.0.0.5]",
            "Proxies that may ask: whoever asks says which client it is about. Connections of all others are closed."),
    ]
}
