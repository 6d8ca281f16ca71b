package import Wire

/// A pattern of an attack in the failed logins of all.
package struct AuditThreat: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
        case began
        /// Told now and again.
        case continues
        /// It is many times what it was.
        case grows
        case ended
    }

    package var step: Step
    package var id: String
    /// As `single_account`.
    package var pattern: String
    /// The hash that stands for it, where it is about one.
    package var account: String?
    /// Where it is about one.
    package var network: IPNetwork?
    /// Of a success: whether logins from its own network had failed before it.
    package var isFromFailing: Bool?
    /// The most that was counted of each within the window; accounts and networks are estimates.
    package var failures: Int
    package var accounts: Int
    package var networks: Int
    package var window: Interval

    package init(
        _ step: Step, id: String, pattern: String, failures: Int, accounts: Int, networks: Int, window: Interval
    ) {
        self.step = step
        self.id = id
        self.pattern = pattern
        self.failures = failures
        self.accounts = accounts
        self.networks = networks
        self.window = window
    }

    var words: AuditWords {
        let counted =
            "\(failures) failed logins of \(accounts) accounts from \(networks) networks in \(window.seconds) s"
        switch step {
        case .began:
            return AuditWords(
                level: .error, event: "security.threat_detected", action: "threat_detected",
                message: "suspicious_activity: \(pattern), \(counted)")
        case .grows:
            return AuditWords(
                level: .error, event: "security.threat_continues", action: "threat_continues",
                message: "It grows: \(pattern), \(counted)")
        case .continues:
            return AuditWords(
                level: .warning, event: "security.threat_continues", action: "threat_continues",
                message: "It goes on: \(pattern), \(counted)")
        case .ended:
            return AuditWords(
                level: .info, event: "security.threat_ended", action: "threat_ended",
                message: "It is over: \(pattern), at most \(counted)")
        }
    }
}

func writeThreat(_ threat: AuditThreat, to line: inout LineWriter) {
    line.raw(",\"threat_id\":")
    line.string(threat.id, limit: 64)
    line.raw(",\"pattern\":")
    line.string(threat.pattern, limit: 64)
    if let account = threat.account {
        line.raw(",\"account\":")
        line.string(account, limit: 64)
    }
    if let isFromFailing = threat.isFromFailing {
        line.raw(isFromFailing ? ",\"from_failing_network\":true" : ",\"from_failing_network\":false")
    }
    for (key, number) in [
        (",\"failed_attempts\":" as StaticString, threat.failures), (",\"accounts\":", threat.accounts),
        (",\"networks\":", threat.networks), (",\"time_window_seconds\":", Int(threat.window.seconds)),
    ] {
        line.raw(key)
        line.number(number)
    }
}
