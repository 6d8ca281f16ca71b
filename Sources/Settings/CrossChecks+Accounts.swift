internal import Wire

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
        checkShared()
        // Whether further rules are of logins is theirs to say.
        if let endpoints = settings.entries["login.endpoints"], !endpoints.isBroken, endpoints.items.isEmpty,
            settings.counts["login.rules"] ?? 0 == 0
        {
            findings.error(
                members.place, "no request is a login, so no account would be found",
                hint: "name the logins in \"login.endpoints\"")
        }
    }

    private mutating func checkShared() {
        if let limit = settings.integer("accounts.shared.limit"), limit > 1_000,
            settings.integer("accounts.shared.after") != 0,
            let rule = rulesOfSharedAddresses.first(where: { settings.text("\($0).count") == "sliding" })
        {
            findings.error(
                settings.place(of: "accounts.shared.limit"),
                "a sliding window counts up to 1000 failures, and \"\(rule).count\" is one",
                hint: "set a lower limit, or count: fixed")
        }
        for item in settings.items("accounts.shared.networks") {
            guard case .network(let network) = item.value, network.isWider(thanV4: 8, v6: 32) else { continue }
            findings.error(
                item.place, "\(item.written) is too wide: a guesser would be in it as well",
                hint: "name the addresses of your NAT or proxy; at most a /8, or a /32 of IPv6")
        }
    }

    /// Sections of the rules whose limit is another one for a shared address.
    private var rulesOfSharedAddresses: [String] {
        let further = (0..<(settings.counts["login.rules"] ?? 0)).map { "login.rules[\($0)]" }
        return ["login"]
            + further.filter {
                settings.text("\($0).class") ?? "login" == "login"
                    && settings.text("\($0).key") ?? "address" == "address"
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
