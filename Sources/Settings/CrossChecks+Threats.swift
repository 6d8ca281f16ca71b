internal import Wire

/// Rules about who is told of threats.
extension CrossChecks {
    mutating func checkThreats() {
        checkWindow()
        let section = "threats.webhook"
        guard let url = settings.written("\(section).url") else {
            for name in ["secret", "secret_file", "ca_file", "allow_http", "timeout", "retries"] {
                guard let entry = settings.written("\(section).\(name)") else { continue }
                findings.error(
                    entry.place, "nobody is told of threats, so \"\(name)\" would do nothing",
                    hint: "set \"threats.webhook.url\", or remove it")
            }
            return
        }
        if case .boolean(false)? = settings.value("threats.enabled") {
            findings.warning(
                url.place, "no threat is looked for, so nobody would ever be told",
                hint: "remove \"enabled\", or the webhook")
        }
        guard case .web(let address)? = settings.value("\(section).url") else { return }
        if case .boolean(false)? = settings.value("\(section).allow_http"), address.isExposed {
            findings.error(
                url.place, "whoever sits between here and \(address.host) could read who is attacked, and by whom",
                hint: "write https://, or set \"allow_http\" to true")
        }
    }

    /// Who waits until a lock is over must not find his failures forgotten.
    private mutating func checkWindow() {
        if case .boolean(false)? = settings.value("threats.enabled") { return }
        guard settings.written("accounts.member") != nil,
            let window = settings.interval("threats.window"),
            let lock = locksOfAccounts.max(by: { $0.length < $1.length }),
            window.nanoseconds / 2 <= lock.length.nanoseconds
        else { return }
        // No window can be longer than a day.
        let isLongest = lock.length >= .seconds(43_200)
        let places = [settings.written("threats.window"), settings.written(lock.setting)].compactMap { $0 }
        guard let entry = isLongest ? places.last : places.first else { return }
        findings.warning(
            entry.place,
            "failures are forgotten before a lock is over: who waits for that is not told of",
            hint: isLongest
                ? "let \"\(lock.setting)\" be less than 12h: \"threats.window\" is at most 1d"
                : "let \"threats.window\" be more than twice \"\(lock.setting)\"")
    }

    /// How long accounts are locked for failures that count here, and where that is said: those of logins.
    private var locksOfAccounts: [(setting: String, length: Interval)] {
        let rules = (0..<(settings.counts["login.rules"] ?? 0)).map { "login.rules[\($0)]" }.filter {
            settings.text("\($0).class") ?? "login" == "login" && settings.text("\($0).action") != "observe"
                && settings.text("\($0).key") ?? "address" != "address"
        }
        return (["accounts.lock"] + rules.map { "\($0).block" }).compactMap { setting in
            if settings.entries[setting]?.isBroken == true { return nil }
            return (setting, settings.interval(setting) ?? Configuration.Login.Class.login.usual.block)
        }
    }
}
