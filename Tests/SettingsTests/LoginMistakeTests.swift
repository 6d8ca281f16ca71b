import Testing
import Wire

@testable import Settings

@Suite struct `A mistake in the rules for failed logins` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not what the documentation shows`() {
        let text = """
            \(minimal)login:
              escalation: {factor: 4, max: 1d}
              rules:
                - {name: mfa, class: mfa, endpoints: ["POST /auth/mfa/verify"]}
                - {name: slow, endpoints: ["POST /auth/login"], limit: 50, window: 30d, count: sliding, block: 7d}
            """
        let loaded = load(text)
        #expect(loaded.diagnostics.isEmpty)
        let login = loaded.configuration?.login
        let rules = login?.rules ?? []
        #expect(rules.map(\.name) == ["mfa", "slow"])
        #expect(rules.first?.failureStatuses == [400, 401, 403] && rules.first?.block == .seconds(1_800))
        #expect(rules.last?.limit == 50 && rules.last?.count == .sliding && rules.last?.failureStatuses == [401])
        #expect(login?.escalation == .init(factor: 4, longest: .seconds(86_400)))
    }

    @Test func `is none where a field alone tells a failure`() {
        let text = """
            \(minimal)login:
              rules: [{name: a, endpoints: ["POST /a"], failure: {statuses: [], field: X-No, value: "no"}}]
            """
        let rule = load(text).configuration?.login.rules.first
        #expect(rule?.failureStatuses == [] && rule?.failureField?.name == "X-No")
    }

    @Test func `is none where a member of the answer tells a failure, or accounts are counted`() {
        let text = """
            \(minimal)accounts: {member: username, secret: 0123456789abcdef0123456789abcdef}
            login:
              rules:
                - name: api
                  endpoints: ["POST /a"]
                  key: pair
                  failure: {statuses: [], json: {member: error.code, values: [bad, 7, false]}}
                - {name: any, endpoints: ["POST /A/"], failure: {json: {member: error}}}
            """
        let loaded = load(text)
        #expect(loaded.diagnostics.isEmpty)
        let rules = loaded.configuration?.login.rules ?? []
        #expect(rules.first?.failureMember?.path == "error.code" && rules.first?.key == .pair)
        #expect(rules.first?.failureMember?.values == ["bad", "7", "false"] && rules.first?.failureStatuses == [])
        #expect(rules.last?.failureMember?.values == [] && rules.last?.key == .address)
        #expect(rules.last?.failureStatuses == [401])
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "values without their member",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], failure: {json: {values: [bad]}}}]}
            """,
            says: """
                gateway.conf:3:76: error: nothing says which member has these values
                    login: {rules: [{name: a, endpoints: ["POST /a"], failure: {json: {values: [bad]}}}]}
                                                                                               ^~~~~
                    set "login.rules[0].failure.json.member"
                """),
        Mistake(
            "a member without a name",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], failure: {json: {member: error.}}}]}
            """,
            says: """
                gateway.conf:3:76: error: "error." names no member
                    login: {rules: [{name: a, endpoints: ["POST /a"], failure: {json: {member: error.}}}]}
                                                                                               ^~~~~~
                    for example error, or error.code; at most 8 names deep
                """),
        Mistake(
            "a rule for accounts where none are looked at",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], key: account}]}
            """,
            says: """
                gateway.conf:3:56: error: accounts are not looked at, so nothing can be counted by account
                    login: {rules: [{name: a, endpoints: ["POST /a"], key: account}]}
                                                                           ^~~~~~~
                    set "accounts.member", or key: address
                """),
        Mistake(
            "a sliding window with a limit whose failures are not kept",
            """
            \(minimal)login: {count: sliding, limit: 2000}
            """,
            says: """
                gateway.conf:3:32: error: a sliding window counts up to 1000 failures
                    login: {count: sliding, limit: 2000}
                                                   ^~~~
                    set a lower limit, or count: fixed
                """),
        Mistake(
            "a longest block where blocks do not grow",
            """
            \(minimal)login: {escalation: {max: 2d}}
            """,
            says: """
                gateway.conf:3:27: error: blocks do not get longer, so this would do nothing
                    login: {escalation: {max: 2d}}
                                              ^~
                    set "login.escalation.factor", for example 4
                """),
        Mistake(
            "a longest block that is shorter than the first",
            """
            \(minimal)login: {block: 1h, escalation: {factor: 2, max: 5m}}
            """,
            says: """
                gateway.conf:3:49: error: blocks are longer than that from the first one on
                    login: {block: 1h, escalation: {factor: 2, max: 5m}}
                                                                    ^~
                    set it higher than "login.block"
                """),
        Mistake(
            "the plain rule in dry run",
            """
            \(minimal)login: {action: observe}
            """,
            says: """
                gateway.conf:3:17: warning: failed logins block nobody: the rule only says what it would do
                    login: {action: observe}
                                    ^~~~~~~
                    set action: block when its records are what you expect
                """),
        Mistake(
            "a rule of the plain rule's name",
            """
            \(minimal)login: {rules: [{name: login, endpoints: ["POST /a"]}]}
            """,
            says: """
                gateway.conf:3:24: error: the name "login" is taken by the gateway itself
                    login: {rules: [{name: login, endpoints: ["POST /a"]}]}
                                           ^~~~~
                    choose another one
                """),
        Mistake(
            "two rules of one name",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"]}, {name: a, endpoints: ["POST /b"]}]}
            """,
            says: """
                gateway.conf:3:59: error: there are two rules of the name "a"
                    login: {rules: [{name: a, endpoints: ["POST /a"]}, {name: a, endpoints: ["POST /b"]}]}
                                                                              ^
                    give one another name
                """),
        Mistake(
            "a rule for nothing",
            """
            \(minimal)login: {rules: [{name: a, endpoints: []}]}
            """,
            says: """
                gateway.conf:3:38: error: the rule is for no request
                    login: {rules: [{name: a, endpoints: []}]}
                                                         ^~
                    for example ["POST /auth/mfa"]
                """),
        Mistake(
            "a field without its value",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], failure: {field: X-No}}]}
            """,
            says: """
                gateway.conf:3:68: error: nothing says which value of the field is a failure
                    login: {rules: [{name: a, endpoints: ["POST /a"], failure: {field: X-No}}]}
                                                                                       ^~~~
                    set "login.rules[0].failure.value"
                """),
        Mistake(
            "a value without its field",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], failure: {value: "no"}}]}
            """,
            says: """
                gateway.conf:3:68: error: nothing says which field has this value
                    login: {rules: [{name: a, endpoints: ["POST /a"], failure: {value: "no"}}]}
                                                                                       ^~~~
                    set "login.rules[0].failure.field"
                """),
        Mistake(
            "a rule without a sign of failure",
            """
            \(minimal)login: {rules: [{name: a, endpoints: ["POST /a"], failure: {statuses: []}}]}
            """,
            says: """
                gateway.conf:3:71: error: nothing would be a failure
                    login: {rules: [{name: a, endpoints: ["POST /a"], failure: {statuses: []}}]}
                                                                                          ^~
                    name a status, or "login.rules[0].failure.field"
                """),
    ]
}
