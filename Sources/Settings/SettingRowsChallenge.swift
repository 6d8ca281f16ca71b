private import Wire

extension SettingRows {
    /// What is asked of logins from where some have failed (docs/challenge.md). The kind is the switch.
    static let challenge: [SettingRow] = [
        SettingRow(
            "login.challenge.kind", .choice(Configuration.Login.Challenge.Kind.allCases.map(\.rawValue)), .value("off"),
            example: "siteverify",
            "What a login must bring where some have failed: nothing (`off`), a number that takes a computer a moment to "
                + "find (`proof_of_work`), or the token of a CAPTCHA (`siteverify`)."),
        SettingRow(
            "login.challenge.after", .integer(1...1_000_000), .value("3"), example: "1",
            "Failures of an address from which on its logins are challenged; less than `login.limit`."),
        SettingRow(
            "login.challenge.difficulty", .integer(1...26), .value("18"), example: "20",
            "Zero bits that the solution's SHA-256 must begin with; each one more doubles the work."),
        SettingRow(
            "login.challenge.valid", .duration(.seconds(10)...(.seconds(86_400))), .value("10m"), example: "2m",
            "How long a challenge may be solved, and a solution that was not used yet is good."),
        SettingRow(
            "login.challenge.page", .boolean, .value("true"), example: "false",
            "Whether browsers that ask for a page get one that solves the challenge; programs get JSON anyhow."),
        SettingRow(
            "login.challenge.secret", .secret(minimum: 32),
            .absent("made of `tokens.ring_secret`, or else by each process for itself"),
            example: "another-challenge-secret-of-32-bytes-0123",
            "What challenges are sealed with: the same on all replicas, or they refuse each other's."),
        SettingRow(
            "login.challenge.secret_file", .file, .absent("no file"), example: "/run/secrets/challenge",
            "File that holds the secret for challenges."),
        SettingRow(
            "login.challenge.siteverify.provider",
            .choice(Configuration.Login.Siteverify.Provider.allCases.map(\.rawValue)), .value("recaptcha"),
            example: "turnstile", "Whose CAPTCHA it is."),
        SettingRow(
            "login.challenge.siteverify.url", .webAddress, .absent("that of the provider"),
            example: "https://www.recaptcha.net/recaptcha/api/siteverify", "Where tokens are verified."),
        SettingRow(
            "login.challenge.siteverify.site_key", .text, .absent("needed with `kind: siteverify`"),
            example: "site-key-of-the-provider", variables: [.init(name: "RECAPTCHA_SITE_KEY", part: .whole)],
            "Key by which a page asks for the CAPTCHA; it is no secret."),
        SettingRow(
            "login.challenge.siteverify.secret", .secret(minimum: 8), .absent("needed with `kind: siteverify`"),
            example: "not-a-real-secret", variables: [.init(name: "RECAPTCHA_SECRET_KEY", part: .whole)],
            "Secret that the gateway shows to the provider."),
        SettingRow(
            "login.challenge.siteverify.secret_file", .file, .absent("no file"), example: "/run/secrets/captcha",
            "File that holds the provider's secret."),
        SettingRow(
            "login.challenge.siteverify.hostname", .listOrSingle(.text), .items([]), example: "[www.example.org]",
            "Hosts on whose pages the CAPTCHA may have been solved; none named: the provider's own list decides."),
        SettingRow(
            "login.challenge.siteverify.ca_file", .file, .absent("those that this machine trusts"),
            example: "/etc/gateway/captcha-ca.pem", "Authorities in PEM that the certificate of the URL must be from."),
        SettingRow(
            "login.challenge.siteverify.allow_http", .boolean, .value("false"), example: "true",
            "Whether tokens and the secret may be sent to another machine without TLS."),
        SettingRow(
            "login.challenge.siteverify.timeout", .duration(.milliseconds(50)...(.seconds(30))), .value("2s"),
            example: "1s", "For the provider's whole answer; the login waits for it."),
        SettingRow(
            "login.challenge.siteverify.max_pending", .integer(1...10_000), .value("64"), example: "16",
            "Tokens that the provider is asked about at a time."),
        SettingRow(
            "login.challenge.siteverify.when_away",
            .choice(Configuration.Login.Siteverify.WhenAway.allCases.map(\.rawValue)), .value("proof_of_work"),
            example: "refuse",
            "What becomes of a login whose token the provider does not judge: another challenge (`proof_of_work`), 503 "
                + "(`refuse`), or it goes on without (`allow`)."),
    ]
}
