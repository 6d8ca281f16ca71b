internal import Settings

extension LoginRule {
    /// What the rule for accounts is called in the store, in audit records and metrics.
    package static let accountsName = "accounts"

    /// Nil: accounts are not looked at.
    static func accounts(_ configuration: Configuration) -> LoginRule? {
        guard let accounts = configuration.accounts else { return nil }
        return LoginRule(
            accountsName, by: accounts.key == .pair ? .pair : .account, limit: accounts.limit, window: accounts.window,
            block: accounts.lock, exempt: [], ipv6Prefix: configuration.login.ipv6Prefix)
    }
}
