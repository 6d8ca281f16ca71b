internal import Ledger
internal import Policy
internal import Wire

extension Gateway {
    /// The rules for failed logins, of the configuration and of those who are allowed for a while.
    var loginRules: LoginRules {
        LoginRules(configuration, allowed: allowances.networks, shared: desk.sharedAddresses.networks)
    }

    func followSharedAddresses() {
        let addresses = desk.sharedAddresses
        addresses.log = log
        addresses.changed = { [unowned self] in adoptLoginRules() }
        addresses.share = { [unowned self] name, text in
            // One that has the ledger finds it, too.
            if ownsState { ledger.share(name, text) { _ in } }
        }
        trail.sharedAddressesChanged = { [unowned self] in desk.sharedAddresses.take($0, under: configuration) }
        desk.accountLoggedIn = { [unowned self] account, client in
            desk.sharedAddresses.loggedIn(account, from: client, under: configuration, at: .now())
        }
    }

    /// Wherever they are asked.
    func adoptLoginRules() {
        let rules = loginRules
        desk.adopt(rules)
        ledger.adopt(rules)
    }
}
