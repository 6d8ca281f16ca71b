internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Stage *judge* on the control thread: has failed logins counted, and lets their answers go when the count and a block
/// that came of it are in force everywhere.
final class LoginDesk {
    /// Who counts.
    private enum Counter {
        case ledger(any Ledger)
        /// The process that takes over from this one; reports wait for its answers.
        case successor(tell: (LoginFailure) -> Void)
    }

    private var counter: Counter
    private var awaitingSuccessor: [FailureID: LoginReport] = [:]
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
        counter = .ledger(ledger)
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
        switch counter {
        case .ledger(let ledger):
            ledger.recordFailure(report.failure, now: now) { [unowned self] outcome in
                metrics.ledgerAnswered(after: Instant.now() - now)
                counted(report, outcome.count, isNewlyBlocked: outcome.isNewlyBlocked)
            }
        case .successor(let tell):
            awaitingSuccessor[report.failure.id] = report
            tell(report.failure)
        }
    }

    private func counted(_ report: LoginReport, _ count: Int, isNewlyBlocked: Bool) {
        record(report, count, isNewlyBlocked)
        broadcast.whenApplied(within: deadline, now: Instant.now()) { [unowned self] in
            workers[report.worker].send(.judged(ticket: report.ticket))
        }
    }

    /// From now on another process counts.
    func leaveCounting(to tell: @escaping (LoginFailure) -> Void) { counter = .successor(tell: tell) }

    /// It has counted a failure; the block that came of it has been told before.
    func successorCounted(_ id: FailureID, _ count: Int, isNewlyBlocked: Bool) {
        guard let report = awaitingSuccessor.removeValue(forKey: id) else { return }
        counted(report, count, isNewlyBlocked: isNewlyBlocked)
    }

    /// This process counts again, what the other one did not answer first: a failure that it had counted and saved
    /// counts twice then, which is better than not at all.
    func count(with ledger: any Ledger) {
        counter = .ledger(ledger)
        let reports = awaitingSuccessor.values
        awaitingSuccessor = [:]
        for report in reports { failed(report) }
    }

    func succeeded(_ request: AuditRequest) {
        let now = Instant.now()
        let failures = recent.removeValue(forKey: request.client).flatMap { $0.until > now ? $0.failures : nil }
        audit.record(request.event(.loginSucceeded(afterFailures: failures ?? 0), stage: .judge, code: nil))
    }

    private func record(_ report: LoginReport, _ count: Int, _ isNewlyBlocked: Bool) {
        let address = report.failure.address
        if recent.count >= LoginDesk.remembered { recent.removeAll(keepingCapacity: true) }
        recent[address] = (count, Instant.now() + login.window)
        audit.record(
            report.request.event(
                .loginFailed(
                    reason: Reason.badCredentials.rawValue, failures: count, limit: login.limit,
                    window: login.window),
                stage: .judge, code: nil))
        guard isNewlyBlocked else { return }
        audit.record(
            report.request.event(
                .bruteForceDetected(failures: count, window: login.window), stage: .judge,
                code: .addressBlocked))
    }
}
