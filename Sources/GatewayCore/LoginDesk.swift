internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Stage *judge* on the control thread: has failed logins counted, and lets their answers go when the count and a block
/// that came of it are in force everywhere.
final class LoginDesk {
    private let ledger: any Ledger
    private let broadcast: BlockBroadcast
    private let workers: [Mailbox<WorkerMessage>]
    private let audit: AuditLog
    private let metrics: ControlMetrics
    private var login: Configuration.Login
    private var deadline: Interval
    /// Failures of addresses lately, to tell a success that follows them. Bounded; the newest matter.
    private var recent: [IPAddress: (failures: Int, until: Instant)] = [:]
    private static let remembered = 65_536

    init(
        _ configuration: Configuration, ledger: any Ledger, broadcast: BlockBroadcast,
        workers: [Mailbox<WorkerMessage>], audit: AuditLog, metrics: ControlMetrics
    ) {
        self.ledger = ledger
        self.broadcast = broadcast
        self.workers = workers
        self.audit = audit
        self.metrics = metrics
        login = configuration.login
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
    }

    func adopt(_ configuration: Configuration) {
        login = configuration.login
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
    }

    func failed(_ report: LoginReport) {
        let now = Instant.now()
        ledger.recordFailure(report.failure, now: now) { [unowned self] outcome in
            metrics.ledgerAnswered(after: Instant.now() - now)
            record(report, outcome)
            broadcast.whenApplied(within: deadline, now: Instant.now()) { [unowned self] in
                workers[report.worker].send(.judged(ticket: report.ticket))
            }
        }
    }

    func succeeded(_ request: AuditRequest) {
        let now = Instant.now()
        let failures = recent.removeValue(forKey: request.client).flatMap { $0.until > now ? $0.failures : nil }
        audit.record(request.event(.loginSucceeded(afterFailures: failures ?? 0), stage: .judge, code: nil))
    }

    private func record(_ report: LoginReport, _ outcome: FailureOutcome) {
        let address = report.failure.address
        if recent.count >= LoginDesk.remembered { recent.removeAll(keepingCapacity: true) }
        recent[address] = (outcome.count, Instant.now() + login.window)
        audit.record(
            report.request.event(
                .loginFailed(
                    reason: Reason.badCredentials.rawValue, failures: outcome.count, limit: login.limit,
                    window: login.window),
                stage: .judge, code: nil))
        guard outcome.isNewlyBlocked else { return }
        audit.record(
            report.request.event(
                .bruteForceDetected(failures: outcome.count, window: login.window), stage: .judge,
                code: .addressBlocked))
    }
}
