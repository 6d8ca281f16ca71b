extension SettingRows {
    /// How peers say for whom they connect.
    static let announcing: [SettingRow] = [
        SettingRow(
            "proxy_protocol.from", .list(.network), .items([]), example: "[10.0.0.0/8]",
            "Peers whose connections begin with a PROXY header, version 1 or 2, within `timeouts.head`; the client in it "
                + "takes the place of the peer, for `trusted_proxies` too. A connection of theirs without one is closed."
        )
    ]

    /// How the servers of an upstream are connected to.
    static let connecting: [SettingRow] = [
        SettingRow(
            "upstreams.*.proxy_protocol", .choice(Configuration.Upstream.ProxyProtocol.allCases.map(\.rawValue)),
            .value("none"), example: "v2",
            "PROXY header with the client's address before everything else; such a connection serves one request."),
        SettingRow(
            "upstreams.*.tls.enabled", .boolean, .value("false"), example: "true",
            "Whether the servers are spoken to over TLS."),
        SettingRow(
            "upstreams.*.tls.ca_file", .file, .absent("the authorities that this machine trusts"),
            example: "/etc/gateway/tls/backends.pem",
            "Authorities in PEM that may have signed the servers' certificates; intermediate ones count, too."),
        SettingRow(
            "upstreams.*.tls.server_name", .word(.serverName), .absent("the host of each server"),
            example: "api.internal",
            "Name, or address, that the servers' certificates must be for; a name is also asked for (SNI)."),
        SettingRow(
            "upstreams.*.tls.verify", .boolean, .value("true"), example: "false",
            "Whether a server must prove who it is; without that whoever sits in between reads and writes along."),
        SettingRow(
            "upstreams.*.tls.certificate_file", .file, .absent("none is shown"),
            example: "/etc/gateway/tls/gateway.pem",
            "The gateway's own certificate in PEM, followed by the intermediate ones, for servers that ask for one."),
        SettingRow(
            "upstreams.*.tls.key_file", .file, .absent("none is shown"), example: "/etc/gateway/tls/gateway.key",
            "Its private key in PEM, without a passphrase."),
        SettingRow(
            "upstreams.*.tls.min_version", .choice(Configuration.TLS.Version.allCases.map(\.rawValue)), .value("1.2"),
            example: "1.3", "The oldest version of TLS that is spoken."),
    ]
}
