extension Assembly {
    /// Nil: accounts are not looked at. `CrossChecks` has seen to it that there is a secret.
    func accounts() -> Configuration.Accounts? {
        let members = settings.items("accounts.member").map(\.written)
        guard !members.isEmpty,
            let secret = secrets.secrets["accounts.secret"] ?? secrets.secrets["tokens.ring_secret"]
        else { return nil }
        var accounts = Configuration.Accounts(members: members, secret: secret)
        accounts.key = .init(rawValue: text("accounts.key")) ?? .pair
        accounts.limit = integer("accounts.limit")
        accounts.window = interval("accounts.window")
        accounts.lock = interval("accounts.lock")
        accounts.resetsOnSuccess = boolean("accounts.reset_on_success")
        accounts.whenUnreadable = .init(rawValue: text("accounts.when_unreadable")) ?? .address
        accounts.shared.after = integer("accounts.shared.after")
        accounts.shared.limit = integer("accounts.shared.limit")
        accounts.shared.networks = settings.items("accounts.shared.networks").compactMap {
            if case .network(let network) = $0.value { network } else { nil }
        }
        return accounts
    }
}
