extension Assembly {
    func threats() -> Configuration.Threats {
        var threats = Configuration.Threats()
        threats.isEnabled = boolean("threats.enabled")
        threats.window = interval("threats.window")
        threats.accountFailures = integer("threats.account_failures")
        threats.networks = integer("threats.networks")
        threats.sprayingAccounts = integer("threats.spraying_accounts")
        threats.stuffingAccounts = integer("threats.stuffing_accounts")
        threats.failureRatio = integer("threats.failure_ratio")
        threats.failuresBeforeSuccess = integer("threats.failures_before_success")
        threats.reminder = interval("threats.reminder")
        threats.webhook = webhook()
        return threats
    }

    private func webhook() -> Configuration.Threats.Webhook? {
        let section = "threats.webhook"
        guard case .web(let url)? = settings.value("\(section).url") else { return nil }
        var webhook = Configuration.Threats.Webhook(url)
        webhook.secret = secrets.secrets["\(section).secret"]
        webhook.authoritiesPath = settings.text("\(section).ca_file").map { resolvePath($0, in: directory) }
        webhook.allowsHTTP = boolean("\(section).allow_http")
        webhook.timeout = interval("\(section).timeout")
        webhook.retries = integer("\(section).retries")
        return webhook
    }
}
