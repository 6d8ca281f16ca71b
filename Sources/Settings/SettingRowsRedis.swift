private import Wire

extension SettingRows {
    /// Redis as it is run elsewhere than on this machine.
    static let redis: [SettingRow] = [
        SettingRow(
            "redis.url", .secret(minimum: 8), .absent("no URL"), .restart,
            example: "rediss://gateway:not-a-real-password@redis.internal:6380/0",
            "Address, user, password and database in one, in place of these settings: `redis://`, `rediss://` (TLS) or "
                + "`unix:///path?db=0`."),
        SettingRow(
            "redis.url_file", .file, .absent("no file"), .restart, example: "/run/secrets/redis-url",
            "File that holds the URL."),
        SettingRow(
            "redis.key_prefix", .word(.keyPrefix), .absent("none"), .restart, example: "shop.",
            "What all keys of this gateway begin with, `ip_block:…` too: for a Redis that others use as well."),
        SettingRow(
            "redis.scan_interval", .duration(.milliseconds(50)...(.seconds(300))), .value("1s"), .restart,
            example: "5s",
            "Pause between two looks at all keys, where Redis allows no client tracking and publishes no changes."),
        SettingRow(
            "redis.sentinels", .list(.server), .items([]), .restart,
            example: "[\"10.0.0.1:26379\", \"10.0.0.2:26379\"]",
            "Sentinels that know the master; `redis.address` is not used then. docs/redis.md."),
        SettingRow(
            "redis.sentinel_master", .word(.label), .absent("none"), .restart, example: "mymaster",
            "Name under which the sentinels watch the master."),
        SettingRow(
            "redis.sentinel_username", .text, .absent("the default user"), .restart, example: "gateway",
            "User of the sentinels' access control list."),
        SettingRow(
            "redis.sentinel_password", .secret(minimum: 1), .absent("no password"), .restart,
            example: "not-a-real-password", "Password for the sentinels."),
        SettingRow(
            "redis.sentinel_password_file", .file, .absent("no file"), .restart, example: "/run/secrets/sentinel",
            "File that holds the password for the sentinels."),
        SettingRow(
            "redis.cluster", .list(.server), .items([]), .restart,
            example: "[\"10.0.0.1:6379\", \"10.0.0.2:6379\"]",
            "Some nodes of a Redis Cluster, which name all others; `redis.address` is not used then. docs/redis.md."),
        SettingRow(
            "redis.tls.enabled", .boolean, .value("false"), .restart, example: "true",
            variables: [.init(name: "REDIS_SSL", part: .whole)],
            "Whether Redis, and its sentinels, are spoken to over TLS."),
        SettingRow(
            "redis.tls.ca_file", .file, .absent("the authorities that this machine trusts"), .restart,
            example: "/etc/gateway/tls/redis-ca.pem",
            "Authorities in PEM that may have signed the servers' certificates; intermediate ones count, too. It is read "
                + "anew for each connection, as are the next files."),
        SettingRow(
            "redis.tls.server_name", .word(.serverName), .absent("the host of each server"), .restart,
            example: "redis.internal",
            "Name, or address, that the servers' certificates must be for; a name is also asked for (SNI)."),
        SettingRow(
            "redis.tls.verify", .boolean, .value("true"), .restart, example: "false",
            "Whether a server must prove who it is; without that whoever sits in between reads and writes along."),
        SettingRow(
            "redis.tls.certificate_file", .file, .absent("none is shown"), .restart,
            example: "/etc/gateway/tls/gateway.pem",
            "The gateway's own certificate in PEM, followed by the intermediate ones, if Redis asks for one."),
        SettingRow(
            "redis.tls.key_file", .file, .absent("none is shown"), .restart, example: "/etc/gateway/tls/gateway.key",
            "Its private key in PEM, without a passphrase."),
        SettingRow(
            "redis.tls.min_version", .choice(Configuration.TLS.Version.allCases.map(\.rawValue)), .value("1.2"),
            .restart,
            example: "1.3", "The oldest version of TLS that is spoken."),
    ]
}
