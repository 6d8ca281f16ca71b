private import Wire

extension SettingRows {
    /// Failed logins counted by account as well (docs/accounts.md). The names of the members are the switch.
    static let accounts: [SettingRow] = [
        SettingRow(
            "accounts.member", .listOrSingle(.text), .items([]), example: "[username, email]",
            "Members of a login's body by which the backend knows the account, with dots between nested ones; none "
                + "named: accounts are not looked at."),
        SettingRow(
            "accounts.key", .choice(Configuration.Accounts.Key.allCases.map(\.rawValue)), .value("pair"),
            example: "account",
            "What is counted and locked: the account for one address or IPv6 prefix (`pair`), or the `account` "
                + "wherever somebody tries it, so that anybody can lock it."),
        SettingRow(
            "accounts.limit", .integer(1...1_000_000), .value("5"), example: "10",
            "Failed logins that an account may have; the one that reaches the limit sets the lock."),
        SettingRow(
            "accounts.window", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("300s"), example: "1h",
            "How long failures are remembered, from the first one on."),
        SettingRow(
            "accounts.lock", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("1800s"), example: "15m",
            "How long a lock lasts."),
        SettingRow(
            "accounts.reset_on_success", .boolean, .value("true"), example: "false",
            "Whether a login that succeeds forgets the failures of its account."),
        SettingRow(
            "accounts.when_unreadable", .choice(Configuration.Accounts.WhenUnreadable.allCases.map(\.rawValue)),
            .value("address"), example: "refuse",
            "What becomes of a login in which no account is found: it is counted by its `address` only, or 400."),
        SettingRow(
            "accounts.shared.after", .integer(0...1_000), .value("20"), example: "50",
            "So many accounts must log in within an hour through one private address that nearly all requests come from: then it "
                + "counts as one that many people share. 0: none does (docs/accounts.md#many-people-behind-one-address)."
        ),
        SettingRow(
            "accounts.shared.limit", .integer(1...1_000_000), .value("100"), example: "500",
            "Failed logins that such an address may have, in place of `login.limit`."),
        SettingRow(
            "accounts.shared.networks", .list(.network), .items([]), example: "[203.0.113.7]",
            "Addresses that are not private and may be found shared all the same: of a NAT, a proxy or a CDN that names no "
                + "clients."),
        SettingRow(
            "accounts.secret", .secret(minimum: 32), .absent("made of `tokens.ring_secret`"),
            example: "another-account-secret-of-32-bytes-01234",
            "What the names of accounts are hashed with: the same on all replicas."),
        SettingRow(
            "accounts.secret_file", .file, .absent("no file"), example: "/run/secrets/accounts",
            "File that holds the secret for accounts."),
    ]
}
