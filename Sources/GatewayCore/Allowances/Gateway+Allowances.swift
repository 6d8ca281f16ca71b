internal import Ledger
internal import Policy

extension Gateway {
    /// The rule for failed logins, of the configuration and of those who are allowed for a while.
    var loginRule: LoginRule { LoginRule(configuration, allowed: allowances.networks) }

    /// Wherever it is asked.
    func adoptLoginRule() {
        let rule = loginRule
        desk.adopt(rule)
        ledger.adopt(rule)
    }
}
