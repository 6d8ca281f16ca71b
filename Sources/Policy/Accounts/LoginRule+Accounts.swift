internal import Settings
internal import Wire

extension LoginRule {
    /// A rule that counts addresses gives these a higher limit.
    mutating func share(_ networks: Set<IPNetwork>, _ limit: Int) {
        guard counting == .address else { return }
        shared = networks
        sharedLimit = limit
    }

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
