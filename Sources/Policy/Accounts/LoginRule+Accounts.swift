package import Settings
package import Wire

extension LoginRule {
    /// A rule that counts addresses gives these a higher limit; one that counts accounts takes those who name none for one.
    mutating func share(_ networks: Set<IPNetwork>, _ limit: Int) {
        shared = networks
        if counting == .address { sharedLimit = limit }
    }

    /// Whom the name of a shared address means: an address, or exactly what failures of its addresses are counted by. Nil: a
    /// network that has no count.
    package func sharedNetwork(named name: some StringProtocol) -> IPNetwork? {
        guard let network = IPNetwork(name) else { return nil }
        let counted = subject(of: network.base)
        return network.isSingleAddress || network == counted ? counted : nil
    }

    /// How long an address is shared after it was seen to be: as long as anything counts under the higher limit, since it
    /// must not be weighed by the lower one soon after.
    package static func sharedLength(_ configuration: Configuration) -> Interval {
        let windows = configuration.login.rules.filter { $0.kind == .login && $0.key == .address }.map(\.window)
        return windows.reduce(max(.seconds(3_600), configuration.login.window), max)
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
