internal import Wire

/// The words of one record. Five runbooks search with three vocabularies; a record carries them all, and each word stands
/// in exactly one of its fields, so that a count by `grep` is as right as one by `jq`.
struct AuditWords {
    var level: LogLevel
    /// FraiseQL's and ours: `select(.event == …)`.
    var event: String
    /// SEC-010's: `{service="audit"} | json | action="…"`.
    var action: String
    /// What `grep` finds: `RecordFailedLogin`, `Request from blocked IP`, `authentication_failure`, …
    var message: String
    /// OWASP's logging vocabulary.
    var owasp: String?
    var failureReason: String?
}

extension AuditEvent {
    /// The record's words. `token_expired` gives two records of one event: the failure, which is counted, and a second
    /// one under its own name, which carries none of the words that failures are counted by.
    var words: [AuditWords] {
        switch kind {
        case .loginFailed(let reason, let failures, let limit, let window):
            return [
                AuditWords(
                    level: .warning, event: "security.auth_failure", action: "auth_failed",
                    message: "RecordFailedLogin: authentication_failure, \(failures) of \(limit) "
                        + "in \(window.seconds) s",
                    owasp: "authn_login_fail", failureReason: reason)
            ]
        case .loginSucceeded(let failures):
            return [
                AuditWords(
                    level: failures > 0 ? .warning : .info, event: "security.auth_success", action: "auth_succeeded",
                    message: failures > 0 ? "Login succeeded after \(failures) failures" : "Login succeeded",
                    owasp: failures > 0 ? "authn_login_successafterfail" : "authn_login_success")
            ]
        case .authenticationFailed(let reason, _):
            return authenticationFailureWords(reason)
        case .authenticated:
            return [
                AuditWords(
                    level: .info, event: "security.auth_success", action: "token_accepted",
                    message: "Token accepted", owasp: "authn_token_success")
            ]
        case .authenticatedInGrace:
            return [
                AuditWords(
                    level: .warning, event: "security.auth_success", action: "token_accepted_in_grace",
                    message: "Expired token accepted in grace", owasp: "authn_token_success")
            ]
        case .brokenGlass(let reason, _):
            return [
                AuditWords(
                    level: .error, event: "security.break_glass", action: "break_glass_used",
                    message: "security_violation: let through by break-glass: \(reason)",
                    owasp: "authn_token_fail")
            ]
        case .authorizationFailed(let reason):
            return [
                AuditWords(
                    level: .warning, event: "security.auth_failure", action: "authorization_failed",
                    message: "security_violation: the token does not allow the request", owasp: "authz_fail",
                    failureReason: reason)
            ]
        case .bruteForceDetected(let failures, let window):
            return [
                AuditWords(
                    level: .error, event: "security.brute_force_detected", action: "brute_force_detected",
                    message: "suspicious_activity: possible brute force attack, \(failures) failed logins "
                        + "in \(window.seconds) s",
                    owasp: "authn_login_fail_max")
            ]
        case .blocked, .unblocked, .blockExpired, .blockedRequest, .blockedRequestsSuppressed:
            return [blockWords]
        case .connectionRefused:
            return [
                AuditWords(
                    level: .warning, event: "security.connection_refused", action: "connection_refused",
                    message: "The address has too many connections", owasp: "excess_rate_limit_exceeded",
                    failureReason: "rate_limited")
            ]
        case .connectionsRefusedSuppressed:
            return [
                AuditWords(
                    level: .warning, event: "security.connections_refused_suppressed",
                    action: "connections_refused_suppressed",
                    message: "More connections of the address that has too many", failureReason: "rate_limited")
            ]
        case .rateLimited(let limit, _):
            return [
                AuditWords(
                    level: .warning, event: "security.rate_limited", action: "rate_limited",
                    message: "rate_limit_exceeded: too many requests, \(limit)", owasp: "excess_rate_limit_exceeded",
                    failureReason: "rate_limited")
            ]
        case .rateLimitedSuppressed:
            return [
                AuditWords(
                    level: .warning, event: "security.rate_limited_suppressed", action: "rate_limited_suppressed",
                    message: "More requests of the address that makes too many", failureReason: "rate_limited")
            ]
        case .challenged:
            return [
                AuditWords(
                    level: .warning, event: "security.challenge_posed", action: "challenge_posed",
                    message: "suspicious_activity: a challenge must be solved before the next login",
                    failureReason: "challenge_required")
            ]
        case .challengedSuppressed:
            return [
                AuditWords(
                    level: .warning, event: "security.challenges_posed_suppressed",
                    action: "challenges_posed_suppressed", message: "More logins that were answered with a challenge",
                    failureReason: "challenge_required")
            ]
        case .accountLock(let lock): return [lock.words]
        case .threat(let threat): return [threat.words]
        case .operation(let operation):
            return [
                AuditWords(
                    level: .info, event: "operation", action: operation.action, message: operation.detail)
            ]
        }
    }

    private func authenticationFailureWords(_ reason: String) -> [AuditWords] {
        let failure = AuditWords(
            level: .warning, event: "security.auth_failure", action: "auth_failed",
            message: "authentication_failure: \(reason)", owasp: "authn_token_fail", failureReason: reason)
        guard reason == "token_expired" else { return [failure] }
        return [
            failure,
            AuditWords(
                level: .warning, event: "security.token_expired", action: "token_expired", message: "Token expired"),
        ]
    }

    private var blockWords: AuditWords {
        switch kind {
        case .unblocked:
            AuditWords(
                level: .info, event: "security.block_lifted", action: "ip_unblocked", message: "The block was lifted",
                owasp: "authn_login_unlock")
        case .blockExpired:
            AuditWords(
                level: .info, event: "security.block_expired", action: "block_expired",
                message: "The block's time is over", owasp: "authn_login_unlock")
        case .blockedRequest:
            AuditWords(
                level: .warning, event: "security.blocked_request", action: "blocked_request",
                message: "Request from blocked IP (security_violation)", failureReason: "ip_blocked")
        case .blockedRequestsSuppressed:
            AuditWords(
                level: .warning, event: "security.blocked_requests_suppressed", action: "blocked_requests_suppressed",
                message: "More requests from the blocked address", failureReason: "ip_blocked")
        default:
            AuditWords(
                level: .warning, event: "security.block_set", action: "ip_blocked", message: "The address is blocked",
                owasp: "authn_login_lock")
        }
    }
}
