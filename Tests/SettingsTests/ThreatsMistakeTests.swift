import Testing
import Wire

@testable import Settings

/// About patterns of attacks, and who is told of them.
@Suite struct `A mistake about threats` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by a webhook with a secret`() throws {
        let text =
            minimal + "threats: {networks: 20, webhook: {url: 'https://a.example/in', retries: 0, "
            + "secret: 0123456789abcdef0123456789abcdef}}"
        let result = load(text)
        #expect(result.diagnostics.isEmpty)
        let threats = try #require(result.configuration?.threats)
        #expect(threats.networks == 20 && threats.window == .seconds(4_500) && threats.isEnabled)
        #expect(threats.webhook?.retries == 0 && threats.webhook?.timeout == .seconds(5))
        #expect(threats.webhook?.secret != nil)
    }

    @Test func `is no window that outlives the locks of accounts`() {
        let accounts = "accounts: {member: username, secret: 0123456789abcdef0123456789abcdef"
        #expect(load(minimal + accounts + "}").diagnostics.isEmpty)
        #expect(load(minimal + accounts + ", lock: 1h}\nthreats: {window: 3h}").diagnostics.isEmpty)
        #expect(load(minimal + accounts + ", lock: 1h}\nthreats: {enabled: false}").diagnostics.isEmpty)
        for rule in [
            "block: 3h", "key: pair, block: 3h, action: observe", "key: pair, block: 3h, class: mfa",
            "key: pair, block: 37m", "key: account",
        ] {
            let login = "login: {rules: [{name: a, endpoints: [POST /auth/login], \(rule)}]}\n"
            #expect(load(minimal + login + accounts + "}").diagnostics.isEmpty, "\(rule)")
        }
        let usual = "login: {rules: [{name: a, endpoints: [POST /auth/login], key: pair}]}\nthreats: {window: 10m}\n"
        #expect(load(minimal + usual + accounts + ", lock: 1m}").diagnostics.count == 1, "it locks for 5 minutes")
    }

    @Test func `is a webhook whose path is told: it may be the secret`() {
        #expect(WebAddress("https://hooks.example:8443/T0/s3cret?x=1")?.origin == "https://hooks.example:8443")
        #expect(WebAddress("http://[::1]/s3cret")?.origin == "http://[::1]")
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "A window that is too short",
            minimal + "accounts: {member: n, secret: 0123456789abcdef0123456789abcdef}\nthreats: {window: 1h}",
            says: """
                gateway.conf:4:19: warning: failures are forgotten before a lock is over: who waits for that is not told of
                    threats: {window: 1h}
                                      ^~
                    let "threats.window" be more than twice "accounts.lock"
                """),
        Mistake(
            "A window that is too short for a rule",
            minimal + "accounts: {member: n, secret: 0123456789abcdef0123456789abcdef}\n"
                + "login: {rules: [{name: slow, endpoints: [POST /auth/login], key: account, block: 1h}]}",
            says: """
                gateway.conf:4:82: warning: failures are forgotten before a lock is over: who waits for that is not told of
                    login: {rules: [{name: slow, endpoints: [POST /auth/login], key: account, block: 1h}]}
                                                                                                     ^~
                    let "threats.window" be more than twice "login.rules[0].block"
                """),
        Mistake(
            "A lock that no window is long enough for",
            minimal + "accounts: {member: n, secret: 0123456789abcdef0123456789abcdef}\n"
                + "login: {rules: [{name: slow, endpoints: [POST /auth/login], key: pair, block: 12h}]}\nthreats: {window: 1d}",
            says: """
                gateway.conf:4:79: warning: failures are forgotten before a lock is over: who waits for that is not told of
                    login: {rules: [{name: slow, endpoints: [POST /auth/login], key: pair, block: 12h}]}
                                                                                                  ^~~
                    let "login.rules[0].block" be less than 12h: "threats.window" is at most 1d
                """),
        Mistake(
            "A secret of nobody", minimal + "threats: {webhook: {retries: 2}}",
            says: """
                gateway.conf:3:30: error: nobody is told of threats, so "retries" would do nothing
                    threats: {webhook: {retries: 2}}
                                                 ^
                    set "threats.webhook.url", or remove it
                """),
        Mistake(
            "In clear text", minimal + "threats: {webhook: {url: 'http://10.1.2.3/in'}}",
            says: """
                gateway.conf:3:26: error: whoever sits between here and 10.1.2.3 could read who is attacked, and by whom
                    threats: {webhook: {url: <redacted>}}
                                             ^~~~~~~~~~
                    write https://, or set "allow_http" to true
                """),
        Mistake(
            "Nothing to tell", minimal + "threats: {enabled: false, webhook: {url: 'https://a.example/'}}",
            says: """
                gateway.conf:3:42: warning: no threat is looked for, so nobody would ever be told
                    threats: {enabled: false, webhook: {url: <redacted>}}
                                                             ^~~~~~~~~~
                    remove "enabled", or the webhook
                """),
    ]
}
