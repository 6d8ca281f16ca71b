/// A rule for accounts that finds none would be mistaken for a protection.
extension CrossChecks {
    mutating func checkAccounts() {
        guard let members = settings.written("accounts.member") else { return checkAccountsWithoutMember() }
        guard !members.isBroken else { return }
        for item in members.items {
            let names = item.written.split(separator: ".", omittingEmptySubsequences: false)
            guard names.contains("") else { continue }
            findings.error(
                item.place, "\"\(item.written)\" names no member", hint: "for example username, or user.email")
        }
        let hasOwn = ["accounts.secret", "accounts.secret_file"].contains { settings.written($0) != nil }
        if !hasOwn, secrets.secrets["tokens.ring_secret"] == nil, settings.written("tokens.ring_secret") == nil,
            settings.written("tokens.ring_secret_file") == nil
        {
            findings.error(
                members.place, "there is no secret to hash the names of accounts with",
                hint: "set \"accounts.secret_file\", the same on all replicas (openssl rand -hex 32 makes one)")
        }
        if let limit = settings.written("accounts.shared.limit"),
            let shared = settings.integer("accounts.shared.limit"),
            let plain = settings.integer("login.limit"), shared <= plain
        {
            findings.error(
                limit.place, "every address may have \(plain) failures, so this would do nothing",
                hint: "set it higher than \"login.limit\", or \"accounts.shared.after\" to 0")
        }
        // Whether further rules are of logins is theirs to say.
        if let endpoints = settings.entries["login.endpoints"], !endpoints.isBroken, endpoints.items.isEmpty,
            settings.counts["login.rules"] ?? 0 == 0
        {
            findings.error(
                members.place, "no request is a login, so no account would be found",
                hint: "name the logins in \"login.endpoints\"")
        }
    }

    private mutating func checkAccountsWithoutMember() {
        for row in SettingRows.accounts {
            guard let entry = settings.written(row.path), !entry.isBroken else { continue }
            let name = row.path.split(separator: ".").last ?? ""
            findings.error(
                entry.place, "accounts are not looked at, so \"\(name)\" would do nothing",
                hint: "set \"accounts.member\", or remove it")
            return
        }
    }
}
