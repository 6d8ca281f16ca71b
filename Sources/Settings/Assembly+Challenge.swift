extension Assembly {
    /// Nil: nothing is asked of logins. `CrossChecks` has seen to it that what a provider needs is there.
    func challenge() -> Configuration.Login.Challenge? {
        let section = "login.challenge"
        let kind = Configuration.Login.Challenge.Kind(rawValue: text("\(section).kind")) ?? .off
        guard kind != .off else { return nil }
        var challenge = Configuration.Login.Challenge()
        challenge.after = integer("\(section).after")
        challenge.difficulty = integer("\(section).difficulty")
        challenge.life = interval("\(section).valid")
        challenge.hasPage = boolean("\(section).page")
        challenge.secret = secrets.secrets["\(section).secret"] ?? secrets.secrets["tokens.ring_secret"]
        if kind == .siteverify { challenge.siteverify = siteverify("\(section).siteverify") }
        return challenge
    }

    private func siteverify(_ section: String) -> Configuration.Login.Siteverify? {
        let provider = Configuration.Login.Siteverify.Provider(rawValue: text("\(section).provider")) ?? .recaptcha
        var url: WebAddress?
        if case .web(let written)? = settings.value("\(section).url") { url = written }
        guard let url = url ?? (try? parseWebAddress(provider.url)), let secret = secrets.secrets["\(section).secret"],
            let siteKey = settings.text("\(section).site_key")
        else { return nil }
        var siteverify = Configuration.Login.Siteverify(provider, url: url, siteKey: siteKey, secret: secret)
        siteverify.hostnames = settings.items("\(section).hostname").map { $0.written.lowercased() }
        siteverify.authoritiesPath = settings.text("\(section).ca_file").map { resolvePath($0, in: directory) }
        siteverify.allowsHTTP = boolean("\(section).allow_http")
        siteverify.timeout = interval("\(section).timeout")
        siteverify.maximumPending = integer("\(section).max_pending")
        siteverify.whenAway = .init(rawValue: text("\(section).when_away")) ?? .proofOfWork
        return siteverify
    }
}
