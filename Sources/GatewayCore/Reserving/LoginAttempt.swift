internal import Ledger
internal import Policy
internal import Wire

/// One login: what a worker knows of it, and who counts it makes failures of.
struct LoginAttempt: Hashable, Sendable {
    let id: FailureID
    let address: IPAddress
    /// Names of the rules that it is for; behind a failure those by which it is one.
    var rules = [LoginRule.plainName]
    /// Nil: not known, or nothing asks for it.
    var account: AccountMark?

    /// What is counted of it, in the order in which places are taken.
    func counted(by rules: LoginRules) -> [LoginFailure] {
        rules.keys(self.rules, of: address, account).map {
            LoginFailure(id: id.counted(by: $0.rule), address: address, key: $0)
        }
    }
}

extension LoginRules {
    /// What another process calls by the address alone is counted as this one counts that address.
    func own(_ failure: LoginFailure) -> LoginFailure {
        guard failure.key.isPlain, let key = plain.key(of: failure.address, nil) else { return failure }
        return LoginFailure(id: failure.id, address: failure.address, key: key)
    }
}
