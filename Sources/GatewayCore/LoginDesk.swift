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

    /// Whose failure the successor counts.
    private enum Waiting {
        case ours(LoginReport)
        /// Of the process that we took over from.
        case predecessors(LoginFailure, then: (FailureCount) -> Void)
    }

    /// Stage *reserve*.
    let guesses: GuessDesk
    private var counter: Counter
    private var awaitingSuccessor: [FailureID: Waiting] = [:]
    private let broadcast: LedgerBroadcast
    private let workers: [Mailbox<WorkerMessage>]
    private let audit: AuditLog
    private let metrics: ControlMetrics
    private var rule: LoginRule
    private var deadline: Interval
    /// Failures lately of those that they are counted for, to tell a success that follows them. Bounded; the newest matter.
    private var recent: [IPNetwork: (failures: Int, until: Instant)] = [:]
    private static let remembered = 65_536

    init(
        _ configuration: Configuration, ledger: any Ledger, broadcast: LedgerBroadcast,
        workers: [Mailbox<WorkerMessage>], audit: AuditLog, metrics: ControlMetrics, on loop: EventLoop
    ) {
        rule = LoginRule(configuration)
        guesses = GuessDesk(configuration.login, rule, ledger: ledger, on: loop)
        counter = .ledger(ledger)
        self.broadcast = broadcast
        self.workers = workers
        self.audit = audit
        self.metrics = metrics
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
    }

    func adopt(_ rule: LoginRule) {
        self.rule = rule
        guesses.adopt(rule)
    }

    func adopt(_ configuration: Configuration) {
        guesses.adopt(configuration.login)
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
    }

    /// May the guess go? The worker has met a block before it hears of it.
    func reserve(_ request: GuessRequest) {
        guesses.reserve(request) { [unowned self] answer in
            workers[request.worker].send(.reserved(ticket: request.ticket, request.guess, answer))
        }
    }

    func failed(_ report: LoginReport) {
        let now = Instant.now()
        switch counter {
        case .ledger(let ledger):
            ledger.recordFailure(report.failure, now: now) { [unowned self] outcome in
                metrics.ledgerAnswered(after: Instant.now() - now)
                counted(report, FailureCount(outcome))
            }
        case .successor(let tell):
            awaitingSuccessor[report.failure.id] = .ours(report)
            tell(report.failure)
        }
    }

    /// A login has failed in the process that we took over from, and its answer waits there. Whoever counts ours counts it.
    func failedInPredecessor(_ failure: LoginFailure, then done: @escaping (FailureCount) -> Void) {
        switch counter {
        case .ledger(let ledger):
            ledger.recordFailure(failure, now: .now()) { [unowned self] in
                guesses.counted(failure)
                done(FailureCount($0))
            }
        case .successor(let tell):
            awaitingSuccessor[failure.id] = .predecessors(failure, then: done)
            tell(failure)
        }
    }

    private func counted(_ report: LoginReport, _ count: FailureCount) {
        guesses.counted(report.failure)
        record(report, count)
        broadcast.whenApplied(within: deadline, now: Instant.now()) { [unowned self] in
            workers[report.worker].send(.judged(ticket: report.ticket))
        }
    }

    /// From now on another process counts.
    func leaveCounting(to tell: @escaping (HandoverMessage) -> Void) {
        counter = .successor(tell: { tell(.failed($0)) })
        guesses.leave(to: tell)
    }

    /// It has counted a failure; the block that came of it has been told before.
    func successorCounted(_ id: FailureID, _ count: FailureCount) {
        switch awaitingSuccessor.removeValue(forKey: id) {
        case .ours(let report): counted(report, count)
        case .predecessors(_, let done): done(count)
        case nil: return
        }
    }

    /// This process counts again, what the other one did not answer first: a failure that it had counted and saved
    /// counts twice then, which is better than not at all.
    func count(with ledger: any Ledger) {
        counter = .ledger(ledger)
        guesses.reserve(with: ledger)
        let waiting = awaitingSuccessor.values
        awaitingSuccessor = [:]
        for one in waiting {
            switch one {
            case .ours(let report): failed(report)
            case .predecessors(let failure, let done): failedInPredecessor(failure, then: done)
            }
        }
    }

    func succeeded(_ request: AuditRequest) {
        let now = Instant.now()
        let subject = rule.subject(of: request.client)
        let failures = recent.removeValue(forKey: subject).flatMap { $0.until > now ? $0.failures : nil }
        audit.record(request.event(.loginSucceeded(afterFailures: failures ?? 0), stage: .judge, code: nil))
    }

    private func record(_ report: LoginReport, _ count: FailureCount) {
        let subject = rule.subject(of: report.failure.address)
        if recent.count >= LoginDesk.remembered { recent.removeAll(keepingCapacity: true) }
        recent[subject] = (count.failures, Instant.now() + rule.window)
        var failed = report.request.event(
            .loginFailed(
                reason: Reason.badCredentials.rawValue, failures: count.failures, limit: rule.limit,
                window: rule.window),
            stage: .judge, code: nil)
        failed.countedFor = subject.isSingleAddress ? nil : subject
        audit.record(failed)
        guard count.isNewlyBlocked else { return }
        var detected = report.request.event(
            .bruteForceDetected(failures: count.failures, window: rule.window), stage: .judge, code: .addressBlocked)
        detected.countedFor = failed.countedFor
        audit.record(detected)
    }
}
