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
            let window = settings.interval("threats.window"), let lock = settings.interval("accounts.lock"),
            window.nanoseconds / 2 <= lock.nanoseconds,
            let entry = settings.written("threats.window") ?? settings.written("accounts.lock")
        else { return }
        findings.warning(
            entry.place,
            "failures are forgotten before a lock is over: who waits for that is not told of",
            hint: "let \"threats.window\" be more than twice \"accounts.lock\"")
    }
}
