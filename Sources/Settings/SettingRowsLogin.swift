internal import Wire

extension SettingRows {
    /// Rules beside the one of `login.limit` and its neighbours (docs/login-rules.md).
    static let loginRules: [SettingRow] = [
        SettingRow(
            "login.rules[].name", .word(.name), .required, example: "mfa",
            "Its name in records, metrics and keys of Redis: lower case letters, digits, `-` and `_`, at most 32."),
        SettingRow(
            "login.rules[].class", .choice(Configuration.Login.Class.allCases.map(\.rawValue)), .value("login"),
            example: "mfa",
            "What the requests are about, which decides what is usual for them (docs/login-rules.md#classes)."),
        SettingRow(
            "login.rules[].endpoints", .list(.endpoint), .required, example: "[\"POST /auth/mfa/verify\"]",
            "Requests that it is for: method and exact path. A request may be of several rules."),
        SettingRow(
            "login.rules[].failure.statuses", .list(.integer(200...599)), .absent("what is usual for the class"),
            example: "[401, 422]", "Statuses by which the backend says that it failed."),
        SettingRow(
            "login.rules[].failure.field", .word(.token), .absent("the status alone tells"),
            example: "X-Verification",
            "A field by which the backend says that it failed, whatever the status; `failure.value` is what it says."),
        SettingRow(
            "login.rules[].failure.value", .text, .absent("the status alone tells"), example: "failed",
            "The value of that field, compared byte by byte."),
        SettingRow(
            "login.rules[].failure.json.member", .text, .absent("the body is not looked at"), example: "error.code",
            "A member of the answer's JSON by which the backend says that it failed, whatever the status, with dots "
                + "between nested ones (docs/login-rules.md#a-member-of-the-answer)."),
        SettingRow(
            "login.rules[].failure.json.values", .list(.text), .absent("any but `null`"),
            example: "[bad_credentials, locked]",
            "What that member says then: strings, numbers, `true` or `false`."),
        SettingRow(
            "login.rules[].key", .choice(Configuration.Login.Key.allCases.map(\.rawValue)), .value("address"),
            example: "account",
            "What is counted and held back: an `address` (or IPv6 prefix), an `account` wherever somebody tries it, or the "
                + "`pair` of both; the latter two need `accounts.member`."),
        SettingRow(
            "login.rules[].limit", .integer(1...1_000_000), .absent("what is usual for the class"), example: "3",
            "Failures that an address or account may have; the one that reaches the limit sets the block."),
        SettingRow(
            "login.rules[].window", .duration(.seconds(1)...(.seconds(366 * 86_400))),
            .absent("what is usual for the class"), example: "5m", "How long failures are remembered."),
        SettingRow(
            "login.rules[].count", .choice(Configuration.Login.Count.allCases.map(\.rawValue)), .value("fixed"),
            example: "sliding", "Which failures count, as `login.count` says."),
        SettingRow(
            "login.rules[].action", .choice(Configuration.Login.Action.allCases.map(\.rawValue)), .value("block"),
            example: "observe", "What is done at the limit, as `login.action` says."),
        SettingRow(
            "login.rules[].block", .duration(.seconds(1)...(.seconds(366 * 86_400))),
            .absent("what is usual for the class"), example: "30m",
            "How long a block lasts, or the lock of an account."),
        SettingRow(
            "login.rules[].escalation.factor", .integer(1...100), .value("1"), example: "4",
            "As `login.escalation.factor`. Blocks of an address are remembered whichever rule set them."),
        SettingRow(
            "login.rules[].escalation.max", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("1d"),
            example: "7d", "As `login.escalation.max`."),
    ]
}
