import Testing
import Wire

@testable import Settings

/// About counting failed logins by account.
@Suite struct `A mistake about accounts` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by a member and a secret`() throws {
        let text = minimal + "accounts: {member: username, secret: \(Self.secret)}"
        let result = load(text)
        #expect(result.diagnostics.isEmpty)
        let accounts = try #require(result.configuration?.accounts)
        #expect(accounts.members == ["username"] && accounts.key == .pair && accounts.limit == 5)
        #expect(accounts.window == .seconds(300) && accounts.lock == .seconds(1_800))
        #expect(accounts.resetsOnSuccess && accounts.whenUnreadable == .address)
        #expect(accounts.secret.revealed == Array(Self.secret.utf8))
    }

    @Test func `is not made where the ring has a secret`() throws {
        let text = minimal + "accounts: {member: [user.email]}\ntokens: {ring_secret: \(Self.secret)}"
        let result = load(text)
        #expect(result.diagnostics.isEmpty)
        #expect(result.configuration?.accounts?.secret.revealed == Array(Self.secret.utf8))
    }

    @Test func `is not made by saying nothing`() {
        #expect(load(minimal).configuration.map { $0.accounts == nil } == true)
        #expect(load(minimal + "accounts: {member: []}").configuration.map { $0.accounts == nil } == true)
    }

    private static let secret = "0123456789abcdef0123456789abcdef"

    private static let mistakes: [Mistake] = [
        Mistake(
            "A setting without a member", minimal + "accounts: {limit: 3}",
            says: """
                gateway.conf:3:19: error: accounts are not looked at, so "limit" would do nothing
                    accounts: {limit: 3}
                                      ^
                    set "accounts.member", or remove it
                """),
        Mistake(
            "No secret", minimal + "accounts: {member: username}",
            says: """
                gateway.conf:3:20: error: there is no secret to hash the names of accounts with
                    accounts: {member: username}
                                       ^~~~~~~~
                    set "accounts.secret_file", the same on all replicas (openssl rand -hex 32 makes one)
                """),
        Mistake(
            "A member without a name", minimal + "accounts: {member: [user..email], secret: \(secret)}",
            says: """
                gateway.conf:3:21: error: "user..email" names no member
                    accounts: {member: [user..email], secret: <redacted>}
                                        ^~~~~~~~~~~
                    for example username, or user.email
                """),
        Mistake(
            "A limit of shared addresses that is none",
            minimal + "accounts: {member: username, secret: \(secret), shared: {limit: 5}}",
            says: """
                gateway.conf:3:88: error: every address may have 5 failures, so this would do nothing
                    accounts: {member: username, secret: <redacted>, shared: {limit: 5}}
                                                                                     ^
                    set it higher than "login.limit", or "accounts.shared.after" to 0
                """),
        Mistake(
            "A limit of shared addresses that is higher than times are kept",
            minimal + "login: {count: sliding}\naccounts: {member: username, secret: \(secret), shared: {limit: 2000}}",
            says: """
                gateway.conf:4:88: error: a sliding window counts up to 1000 failures, and "login.count" is one
                    accounts: {member: username, secret: <redacted>, shared: {limit: 2000}}
                                                                                     ^~~~
                    set a lower limit, or count: fixed
                """),
        Mistake(
            "Shared addresses that are everybody",
            minimal + "accounts: {member: username, secret: \(secret), shared: {networks: [0.0.0.0/0]}}",
            says: """
                gateway.conf:3:92: error: 0.0.0.0/0 is too wide: a guesser would be in it as well
                    accounts: {member: username, secret: <redacted>, shared: {networks: [0.0.0.0/0]}}
                                                                                         ^~~~~~~~~
                    name the addresses of your NAT or proxy; at most a /8, or a /32 of IPv6
                """),
        Mistake(
            "A rule for accounts without one for addresses beside it",
            minimal + "login: {rules: [{name: a, endpoints: [\"POST /Auth/Login/\", \"POST /a\"], key: account}]}\n"
                + "accounts: {member: username, secret: \(secret)}",
            says: """
                gateway.conf:3:60: warning: nothing limits an address here: a guesser may name another account each time
                    login: {rules: [{name: a, endpoints: ["POST /Auth/Login/", "POST /a"], key: account}]}
                                                                               ^~~~~~~~~
                    add a rule with key: address for POST /a
                """),
        Mistake(
            "No logins", minimal + "login: {endpoints: []}\naccounts: {member: username, secret: \(secret)}",
            says: """
                gateway.conf:4:20: error: no request is a login, so no account would be found
                    accounts: {member: username, secret: <redacted>}
                                       ^~~~~~~~
                    name the logins in "login.endpoints"
                """),
    ]
}
