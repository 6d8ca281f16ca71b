package import Wire

/// What failed logins look like together. Definitions: docs/threats.md.
package enum ThreatPattern: String, CaseIterable, Sendable {
    /// Many failures of one account, from few networks.
    case singleAccount = "single_account"
    /// One network, or many together, fail at many accounts, a few times each.
    case spraying
    /// Many networks fail at many accounts, about once each.
    case stuffing
    /// Many networks fail at one account.
    case distributed
    /// A login behind many failures of its account or network succeeded.
    case successAfterFailures = "success_after_failures"
}

/// Whom a threat comes from, or whom it is for.
package enum ThreatSubject: Hashable, Sendable, CustomStringConvertible {
    case account(AccountMark)
    case network(IPNetwork)
    /// All of them.
    case everybody

    package var kind: String {
        switch self {
        case .account: "account"
        case .network: "network"
        case .everybody: "everybody"
        }
    }

    package var description: String {
        switch self {
        case .account(let mark): mark.description
        case .network(let network): network.description
        case .everybody: "everybody"
        }
    }
}

/// What was counted when a login gave a sign. Numbers of accounts and networks are estimates.
package struct ThreatMeasures: Hashable, Sendable {
    package var failures: Int
    package var accounts: Int
    package var networks: Int

    package init(failures: Int, accounts: Int, networks: Int) {
        self.failures = failures
        self.accounts = accounts
        self.networks = networks
    }
}

/// One login was a sign of a threat.
package struct ThreatFinding: Hashable, Sendable {
    package let pattern: ThreatPattern
    package let subject: ThreatSubject
    package let measures: ThreatMeasures
    /// Of a success: logins from its own network had failed. From another one it may be the owner's.
    package var isFromFailing = false

    package init(_ pattern: ThreatPattern, _ subject: ThreatSubject, _ measures: ThreatMeasures) {
        self.pattern = pattern
        self.subject = subject
        self.measures = measures
    }
}

/// All logins of a window.
package struct ThreatTotals: Hashable, Sendable {
    package var failures = 0
    package var successes = 0
    package var failedAccounts = 0
    package var succeededAccounts = 0
    /// That had failures.
    package var networks = 0
    /// Records that had to go for others while they counted.
    package var accountEvictions = 0
    package var networkEvictions = 0

    package init() {}
}
