package import Settings
package import Wire

/// Every rule that failures are counted by. A login may be counted by several at once.
package struct LoginRules: Sendable {
    /// In the order in which a guess takes its places: the same everywhere, so that no two guesses wait for each other.
    package let all: [LoginRule]
    private let places: [String: Int]

    /// - Parameter rules: no two of one name.
    package init(_ rules: [LoginRule]) {
        all = rules
        places = Dictionary(uniqueKeysWithValues: rules.enumerated().map { ($1.name, $0) })
    }

    package init(_ rule: LoginRule) { self.init([rule]) }

    /// Whether any of them remembers blocks.
    package var escalates: Bool { all.contains { $0.escalation != nil } }

    /// - Parameters:
    ///   - allowed: whom no block holds back for a while.
    ///   - networks: addresses that many people speak through.
    package init(_ configuration: Configuration, allowed: [IPNetwork] = [], shared networks: Set<IPNetwork> = []) {
        var plain = LoginRule(configuration, allowed: allowed)
        var rows = configuration.login.rules.map { LoginRule($0, beside: plain) }
        // Only where each account is counted, too.
        if let accounts = configuration.accounts, accounts.shared.after > 0 {
            plain.share(networks, accounts.shared.limit)
            // Those that count accounts count who names none as one account there, not the address.
            for index in rows.indices
            where configuration.login.rules[index].kind == .login || rows[index].counting != .address {
                rows[index].share(networks, accounts.shared.limit)
            }
        }
        var accounts = LoginRule.accounts(configuration)
        if let shared = configuration.accounts?.shared, shared.after > 0 { accounts?.share(networks, shared.limit) }
        self.init([plain] + rows + [accounts].compactMap(\.self))
    }

    /// One that is no more since a reload goes on as one that never blocks, for what was begun under it.
    package subscript(_ name: String) -> LoginRule {
        places[name].map { all[$0] } ?? LoginRule.ended(name)
    }

    /// The one of the plain settings.
    package var plain: LoginRule { self[LoginRule.plainName] }

    /// Under what a login counts, in the order of `all`.
    /// - Parameter names: of the rules that it is for; what is none any more is passed over.
    package func keys(_ names: [String], of address: IPAddress, _ account: AccountMark?) -> [LoginKey] {
        names.compactMap { places[$0] }.sorted().compactMap { all[$0].key(of: address, account) }
    }

    /// Under what a failure of before a restart counts now: the prefixes of IPv6 may have changed since.
    package func renewed(_ key: LoginKey, of address: IPAddress) -> LoginKey {
        guard let place = places[key.rule], all[place].counts(key.subject) else { return key }
        return all[place].key(of: address, key.subject.account) ?? key
    }

    /// Whether a lock of the subject holds anybody back: whether some rule asks for it.
    package func hold(_ subject: BlockSubject) -> Bool {
        all.contains {
            $0.action == .block && $0.counts(subject)
                && (subject.from == nil || $0.subject(of: subject.network.base) == subject.network)
        }
    }

    /// Every key whose failures may have led to a block of the subject.
    package func keys(countedFor subject: BlockSubject) -> [LoginKey] {
        all.filter { $0.counts(subject) }.map { LoginKey(rule: $0.name, subject) }
    }
}
