package import Wire

extension Configuration.Login {
    /// What a login must bring where some have failed.
    package struct Challenge: Sendable {
        package enum Kind: String, CaseIterable, Sendable {
            case off
            case proofOfWork = "proof_of_work"
            case siteverify
        }

        /// Failures of the address from which on it is asked for.
        package var after = 3
        /// Leading zero bits of a solution's SHA-256.
        package var difficulty = 18
        /// `valid`
        package var life = Interval.seconds(600)
        package var hasPage = true
        /// Of at least 32 bytes, `tokens.ring_secret` where challenges have none of their own; nil: each process makes one.
        package var secret: Secret?
        /// Nil: work is what must be done.
        package var siteverify: Siteverify?

        package init() {}
    }

    /// Whom to ask whether a CAPTCHA was solved.
    package struct Siteverify: Equatable, Sendable {
        package enum Provider: String, CaseIterable, Sendable { case recaptcha, hcaptcha, turnstile }

        package enum WhenAway: String, CaseIterable, Sendable {
            case proofOfWork = "proof_of_work"
            case refuse
            /// The login goes on.
            case allow
        }

        package var provider: Provider
        package var url: WebAddress
        package var siteKey: String
        package var secret: Secret
        /// Empty: any.
        package var hostnames: [String] = []
        /// Authorities in PEM that the provider's certificate must be from; nil: those of this machine.
        package var authoritiesPath: String?
        /// Plain HTTP is accepted, also to another machine.
        package var allowsHTTP = false
        /// For the whole of one answer.
        package var timeout = Interval.seconds(2)
        /// Tokens that are asked about at a time.
        package var maximumPending = 64
        package var whenAway = WhenAway.proofOfWork

        package init(_ provider: Provider, url: WebAddress, siteKey: String, secret: Secret) {
            self.provider = provider
            self.url = url
            self.siteKey = siteKey
            self.secret = secret
        }

        package static func == (one: Self, other: Self) -> Bool {
            one.provider == other.provider && one.url == other.url && one.siteKey == other.siteKey
                && one.secret.revealed == other.secret.revealed && one.hostnames == other.hostnames
                && one.authoritiesPath == other.authoritiesPath && one.timeout == other.timeout
                && one.maximumPending == other.maximumPending && one.whenAway == other.whenAway
        }
    }
}

extension Configuration.Login.Siteverify.Provider {
    /// Where the provider's documentation says that tokens are verified.
    package var url: String {
        switch self {
        case .recaptcha: "https://www.google.com/recaptcha/api/siteverify"
        case .hcaptcha: "https://api.hcaptcha.com/siteverify"
        case .turnstile: "https://challenges.cloudflare.com/turnstile/v0/siteverify"
        }
    }
}
