package import Wire

/// What becomes of the lock of an account. The account is told by its hash alone.
package struct AuditAccountLock: Sendable {
    package enum Step: Sendable {
        /// A rule locked the account, or somebody by hand.
        case locked
        /// Before its time.
        case unlocked
        case expired
        /// A login that was refused for it.
        case tried
        /// Such logins that were not told one by one, after the last.
        case triedSuppressed
    }

    package var step: Step
    /// The hash of the account.
    package var account: String
    /// From where it is locked; nil: from everywhere.
    package var network: IPNetwork?
    /// Nil: until it is unlocked.
    package var length: Interval?
    package var expiresAt: WallTime?
    /// What led to it; empty: nothing more is to be said.
    package var trigger = ""
    /// Of logins that were refused for it: how many were not told.
    package var suppressed: Int?
    /// Who: `gateway`, `redis`, or the operator's name.
    package var actor = ""

    package init(_ step: Step, _ account: String, from network: IPNetwork? = nil) {
        self.step = step
        self.account = account
        self.network = network
    }

    var words: AuditWords {
        switch step {
        case .locked:
            AuditWords(
                level: .warning, event: "security.account_locked", action: "account_locked",
                message: "suspicious_activity: the account is locked", owasp: "authn_login_lock")
        case .unlocked:
            AuditWords(
                level: .info, event: "security.account_unlocked", action: "account_unlocked",
                message: "The account is unlocked", owasp: "authn_login_unlock")
        case .expired:
            AuditWords(
                level: .info, event: "security.account_lock_expired", action: "account_lock_expired",
                message: "The lock's time is over", owasp: "authn_login_unlock")
        case .tried:
            AuditWords(
                level: .warning, event: "security.auth_failure", action: "locked_account_tried",
                message: "authentication_failure: the account is locked", owasp: "authn_login_fail",
                failureReason: "account_locked")
        case .triedSuppressed:
            AuditWords(
                level: .warning, event: "security.locked_logins_suppressed", action: "locked_logins_suppressed",
                message: "More logins of the locked account", failureReason: "account_locked")
        }
    }
}
