internal import Ledger
internal import Policy

extension Gateway {
    /// The rule for failed logins, of the configuration and of those who are allowed for a while, wherever it is asked.
    func adoptLoginRule() {
        let rule = LoginRule(configuration, allowed: allowances.networks)
        desk.adopt(rule)
        ledger.adopt(rule)
    }
}
