internal import Ledger
internal import Policy

extension Gateway {
    /// The rules for failed logins, of the configuration and of those who are allowed for a while.
    var loginRules: LoginRules { LoginRules(configuration, allowed: allowances.networks) }

    /// Wherever they are asked.
    func adoptLoginRules() {
        let rules = loginRules
        desk.adopt(rules)
        ledger.adopt(rules)
    }
}
