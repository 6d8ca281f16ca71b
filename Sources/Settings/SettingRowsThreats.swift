private import Wire

extension SettingRows {
    /// What failed logins look like together, and who is told (docs/threats.md).
    static let threats: [SettingRow] = [
        SettingRow(
            "threats.enabled", .boolean, .value("true"), example: "false",
            "Whether failed logins are looked at together, for patterns of an attack."),
        SettingRow(
            "threats.window", .duration(.seconds(2)...(.seconds(86_400))), .value("75m"), example: "3h",
            "How long a login is remembered: at least half of this, which should be more than any account is locked, at "
                + "most all of it; a threat without a sign for so long is over."),
        SettingRow(
            "threats.account_failures", .integer(2...60_000), .value("10"), example: "20",
            "Failures of one account that make it the target of a guesser (`single_account`)."),
        SettingRow(
            "threats.networks", .integer(2...150), .value("10"), example: "25",
            "Addresses, or IPv6 prefixes, that count as many: failures of one account from so many are `distributed`."),
        SettingRow(
            "threats.spraying_accounts", .integer(2...500), .value("10"), example: "30",
            "Accounts that one address fails at, until it is `spraying`."),
        SettingRow(
            "threats.stuffing_accounts", .integer(2...20_000), .value("50"), example: "200",
            "Accounts that many addresses fail at, until it is `stuffing`."),
        SettingRow(
            "threats.failure_ratio", .integer(1...100), .value("30"), example: "50",
            "Of 100 accounts that were tried, so many failed: with fewer neither an address nor all of them are an "
                + "attack, but users who mistype."),
        SettingRow(
            "threats.failures_before_success", .integer(1...60_000), .value("5"), example: "3",
            "Failures of an account, or failed accounts of an address, behind which a success is told "
                + "(`success_after_failures`)."),
        SettingRow(
            "threats.reminder", .duration(.seconds(1)...(.seconds(86_400))), .value("10m"), example: "1h",
            "How often it is told that a threat goes on."),
        SettingRow(
            "threats.webhook.url", .capability, .absent("nobody is told"),
            example: "https://alerts.example.org/gateway", "Who is told of threats, by POST."),
        SettingRow(
            "threats.webhook.secret", .secret(minimum: 32), .absent("messages are not signed"),
            example: "another-webhook-secret-of-32-bytes-0123",
            "What messages are signed with (HMAC-SHA256)."),
        SettingRow(
            "threats.webhook.secret_file", .file, .absent("no file"), example: "/run/secrets/webhook",
            "File that holds the secret of the webhook."),
        SettingRow(
            "threats.webhook.ca_file", .file, .absent("those that this machine trusts"),
            example: "/etc/gateway/alerts-ca.pem", "Authorities in PEM that the certificate of the URL must be from."),
        SettingRow(
            "threats.webhook.allow_http", .boolean, .value("false"), example: "true",
            "Whether messages may be sent to another machine without TLS."),
        SettingRow(
            "threats.webhook.timeout", .duration(.milliseconds(100)...(.seconds(60))), .value("5s"), example: "2s",
            "For one delivery, from the look-up of the name to the answer."),
        SettingRow(
            "threats.webhook.retries", .integer(0...10), .value("4"), example: "7",
            "How often a message is sent again that was not accepted: after 1 s, 4 s, 16 s, then every minute."),
    ]
}
