import Testing
import Wire

@testable import Settings

/// About what logins must bring where some have failed.
@Suite struct `A mistake about challenges` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by the kind alone`() throws {
        let result = load(minimal + "login: {challenge: {kind: proof_of_work}}")
        #expect(result.diagnostics.isEmpty)
        let challenge = try #require(result.configuration?.login.challenge)
        #expect(challenge.after == 3 && challenge.difficulty == 18 && challenge.life == .seconds(600))
        #expect(challenge.hasPage && challenge.secret == nil && challenge.siteverify == nil)
    }

    @Test func `is not made where the ring has a secret`() throws {
        let text = minimal + "login: {challenge: {kind: proof_of_work}}\ntokens: {ring_secret: \(Self.secret)}"
        #expect(load(text).configuration?.login.challenge?.secret?.revealed == Array(Self.secret.utf8))
    }

    @Test func `is not made by saying nothing, or that it is off`() {
        #expect(load(minimal).configuration.map { $0.login.challenge == nil } == true)
        let off = load(minimal + "login: {challenge: {kind: off, after: 4}}")
        #expect(off.diagnostics.isEmpty && off.configuration?.login.challenge == nil)
    }

    /// The runbook's names of the two keys.
    @Test func `is not made by the variables of reCAPTCHA`() throws {
        let variables = ["RECAPTCHA_SITE_KEY": "6Lc_site", "RECAPTCHA_SECRET_KEY": "6Lc_secret-of-the-site"]
        let result = load(minimal + "login: {challenge: {kind: siteverify}}", variables)
        #expect(result.diagnostics.isEmpty)
        let siteverify = try #require(result.configuration?.login.challenge?.siteverify)
        #expect(
            siteverify
                == .init(
                    .recaptcha, url: WebAddress("https://www.google.com/recaptcha/api/siteverify")!,
                    siteKey: "6Lc_site",
                    secret: Secret("6Lc_secret-of-the-site")))
        #expect(siteverify.whenAway == .proofOfWork && siteverify.timeout == .seconds(2))
    }

    /// They may be the backend's, in an environment that both have.
    @Test func `is hardly made by these variables where nobody is challenged`() {
        let variables = ["RECAPTCHA_SITE_KEY": "6Lc_site", "RECAPTCHA_SECRET_KEY": "6Lc_secret-of-the-site"]
        for kind in ["", "login: {challenge: {kind: proof_of_work}}"] {
            let result = load(minimal + kind, variables)
            #expect(result.configuration != nil && result.diagnostics.count == 2)
            #expect(result.diagnostics.allSatisfy { $0.severity == .warning })
            #expect(!result.diagnostics.contains { $0.description.contains("6Lc_secret") })
        }
    }

    private static let secret = "0123456789abcdef0123456789abcdef"

    private static let mistakes: [Mistake] = [
        Mistake(
            "A setting without a kind", minimal + "login: {challenge: {difficulty: 20}}",
            says: """
                gateway.conf:3:33: error: nobody is challenged, so "difficulty" would do nothing
                    login: {challenge: {difficulty: 20}}
                                                    ^~
                    set "login.challenge.kind", or remove it
                """),
        Mistake(
            "As late as the block", minimal + "login: {limit: 3, challenge: {kind: proof_of_work, after: 3}}",
            says: """
                gateway.conf:3:59: error: an address is blocked after 3 failures, so nobody would be challenged after 3
                    login: {limit: 3, challenge: {kind: proof_of_work, after: 3}}
                                                                              ^
                    set "login.challenge.after" lower than "login.limit"
                """),
        Mistake(
            "A provider's setting for work",
            minimal + "login: {challenge: {kind: proof_of_work, siteverify: {timeout: 1s}}}",
            says: """
                gateway.conf:3:64: error: no CAPTCHA is asked for, so "timeout" would do nothing
                    login: {challenge: {kind: proof_of_work, siteverify: {timeout: 1s}}}
                                                                                   ^~
                    set "login.challenge.kind" to siteverify, or remove it
                """),
        Mistake(
            "No keys", minimal + "login: {challenge: {kind: siteverify}}",
            says: """
                gateway.conf:3:27: error: a page cannot ask for the CAPTCHA without a site key
                    login: {challenge: {kind: siteverify}}
                                              ^~~~~~~~~~
                    set "login.challenge.siteverify.site_key", or RECAPTCHA_SITE_KEY
                gateway.conf:3:27: error: the provider verifies no token without a secret
                    login: {challenge: {kind: siteverify}}
                                              ^~~~~~~~~~
                    set "login.challenge.siteverify.secret_file", or RECAPTCHA_SECRET_KEY
                """),
        Mistake(
            "No logins", minimal + "login: {endpoints: [], challenge: {kind: proof_of_work}}",
            says: """
                gateway.conf:3:42: error: no request is a login of "login.endpoints", so nobody would be \
                challenged
                    login: {endpoints: [], challenge: {kind: proof_of_work}}
                                                             ^~~~~~~~~~~~~
                    name the logins there, also those that "login.rules" are for
                """),
        Mistake(
            "Logins of further rules alone",
            minimal + """
                login:
                  endpoints: []
                  rules: [{name: admin, class: login, endpoints: [POST /admin]}]
                  challenge: {kind: proof_of_work}
                """,
            says: """
                gateway.conf:6:21: error: no request is a login of "login.endpoints", so nobody would be challenged
                    challenge: {kind: proof_of_work}
                                      ^~~~~~~~~~~~~
                    name the logins there, also those that "login.rules" are for
                """),
        Mistake(
            "Replicas without a secret",
            minimal + "redis: {address: '127.0.0.1:6379'}\nlogin: {challenge: {kind: proof_of_work}}",
            says: """
                gateway.conf:4:27: warning: each process seals challenges with a secret of its own, so replicas refuse \
                each other's
                    login: {challenge: {kind: proof_of_work}}
                                              ^~~~~~~~~~~~~
                    set "login.challenge.secret_file", the same on all replicas (openssl rand -hex 32 makes one)
                """),
    ]
}
