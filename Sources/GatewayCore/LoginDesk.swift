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

    /// A failure that the successor counts.
    private struct Waiting {
        let failure: LoginFailure
        let then: (FailureCount) -> Void
    }

    /// What is known of the counts of one login.
    private final class Counts {
        var waiting: Int
        var known: [(key: LoginKey, count: FailureCount)] = []

        init(_ waiting: Int) { self.waiting = waiting }
    }

    /// Stage *reserve*.
    let guesses: GuessDesk
    let threats: ThreatDesk
    private var counter: Counter
    private var awaitingSuccessor: [FailureID: Waiting] = [:]
    private let broadcast: LedgerBroadcast
    private let workers: [Mailbox<WorkerMessage>]
    private let audit: AuditLog
    private let metrics: ControlMetrics
    private var rules: LoginRules
    private var deadline: Interval
    private var resetsAccounts: Bool
    let sharedAddresses: SharedAddressDesk
    /// Hears of each login whose account is known, while this process has the ledger.
    var accountLoggedIn: (AccountMark, IPAddress) -> Void = { _, _ in }
    /// Failures lately of those that they are counted for, to tell a success that follows them. Bounded; the newest matter.
    private var recent: [LoginKey: (failures: Int, until: Instant)] = [:]
    private static let remembered = 65_536

    init(
        _ configuration: Configuration, ledger: any Ledger, broadcast: LedgerBroadcast,
        workers: [Mailbox<WorkerMessage>], audit: AuditLog, log: OperationalLog, metrics: ControlMetrics,
        on loop: EventLoop
    ) {
        rules = LoginRules(configuration)
        guesses = GuessDesk(configuration.login, rules, ledger: ledger, on: loop)
        threats = ThreatDesk(configuration, on: loop, log: log, audit: audit, metrics: metrics.threats)
        counter = .ledger(ledger)
        self.broadcast = broadcast
        self.workers = workers
        self.audit = audit
        self.metrics = metrics
        sharedAddresses = SharedAddressDesk(audit: audit, metrics: metrics)
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
        resetsAccounts = configuration.accounts?.resetsOnSuccess == true
    }

    func adopt(_ rules: LoginRules) {
        self.rules = rules
        guesses.adopt(rules)
    }

    func adopt(_ configuration: Configuration) {
        guesses.adopt(configuration.login)
        threats.adopt(configuration)
        sharedAddresses.adopt(configuration)
        deadline = configuration.redis?.deadline ?? .milliseconds(250)
        resetsAccounts = configuration.accounts?.resetsOnSuccess == true
    }

    /// May the guess go? The worker has met a block before it hears of it.
    func reserve(_ request: GuessRequest) {
        guesses.reserve(request) { [unowned self] answer in
            threats.answered(answer, request.guess, from: rules.plain.subject(of: request.guess.address))
            workers[request.worker].send(.reserved(ticket: request.ticket, request.guess, answer))
        }
    }

    func failed(_ report: LoginReport) {
        let now = Instant.now()
        threats.failed(report, from: rules.plain.subject(of: report.request.client))
        if !report.others.isEmpty {
            let attempt = report.attempt
            guesses.ended(
                LoginAttempt(id: attempt.id, address: attempt.address, rules: report.others, account: attempt.account),
                isReturned: true)
        }
        let failures = guesses.places(of: report.attempt)
        guard !failures.isEmpty else { return counted(report, []) }
        let counts = Counts(failures.count)
        for failure in failures {
            count(failure) { [unowned self] count in
                if case .ledger = counter { metrics.ledgerAnswered(after: Instant.now() - now) }
                guesses.counted(failure)
                counts.known.append((failure.key, count))
                counts.waiting -= 1
                if counts.waiting == 0 { counted(report, counts.known) }
            }
        }
    }

    /// A login has failed in the process that we took over from, and its answer waits there. Whoever counts ours counts it.
    func failedInPredecessor(_ failure: LoginFailure, then done: @escaping (FailureCount) -> Void) {
        let failure = rules.own(failure)
        count(failure) { [unowned self] count in
            guesses.counted(failure)
            done(count)
        }
    }

    private func count(_ failure: LoginFailure, then done: @escaping (FailureCount) -> Void) {
        switch counter {
        case .ledger(let ledger): ledger.recordFailure(failure, now: .now()) { done(FailureCount($0)) }
        case .successor(let tell):
            awaitingSuccessor[failure.id] = Waiting(failure: failure, then: done)
            tell(failure)
        }
    }

    private func counted(_ report: LoginReport, _ counts: [(key: LoginKey, count: FailureCount)]) {
        record(report, counts)
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
        awaitingSuccessor.removeValue(forKey: id)?.then(count)
    }

    /// This process counts again, what the other one did not answer first: a failure that it had counted and saved
    /// counts twice then, which is better than not at all.
    func count(with ledger: any Ledger) {
        counter = .ledger(ledger)
        guesses.reserve(with: ledger)
        let waiting = awaitingSuccessor.values
        awaitingSuccessor = [:]
        for one in waiting { count(one.failure, then: one.then) }
    }

    /// Never the failures of the address: who knows one password may guess at others.
    func succeeded(_ request: AuditRequest, _ attempt: LoginAttempt?) {
        if resetsAccounts, let attempt, attempt.account != nil, case .ledger(let ledger) = counter {
            // Whoever knows the password of an account has not guessed its second factor.
            for place in guesses.places(of: attempt)
            where place.key.subject.account != nil && rules[place.key.rule].isOfLogins {
                ledger.forgetFailures(under: place.key)
            }
        }
        if let account = attempt?.account, case .ledger = counter { accountLoggedIn(account, request.client) }
        let now = Instant.now()
        let key = LoginKey(rules.plain.subject(of: request.client))
        sawSuccess(request, attempt)
        let failures = recent.removeValue(forKey: key).flatMap { $0.until > now ? $0.failures : nil }
        var event = request.event(.loginSucceeded(afterFailures: failures ?? 0), stage: .judge, code: nil)
        event.countedFor = LoginDesk.prefix(key.subject)
        event.account = LoginDesk.hash(attempt)
        audit.record(event)
    }

    /// The backend did not refuse it: a success as far as patterns of attacks go.
    func sawSuccess(_ request: AuditRequest, _ attempt: LoginAttempt?) {
        threats.succeeded(
            request, attempt?.account, from: rules.plain.subject(of: request.client),
            isSpared: rules.plain.isExempt(request.client))
    }

    private func record(_ report: LoginReport, _ counts: [(key: LoginKey, count: FailureCount)]) {
        for (key, _) in counts { metrics.failureCounted(by: key.rule) }
        // That of the plain rule, where it is for this login; what is no guess at who somebody is has none.
        let told = counts.first(where: \.key.isPlain) ?? counts.first { rules[$0.key.rule].guardsCredentials }
        if let (key, count) = told {
            let rule = rules[key.rule]
            if recent.count >= LoginDesk.remembered { recent.removeAll(keepingCapacity: true) }
            let client = LoginKey(rules.plain.subject(of: report.request.client))
            recent[client] = (count.failures, Instant.now() + rule.window)
            audit.record(
                event(
                    .loginFailed(
                        reason: Reason.badCredentials.rawValue, failures: count.failures, limit: rule.limit(under: key),
                        window: rule.window), of: report, under: key))
        }
        for (key, count) in counts where count.isNewlyBlocked && key.subject.account == nil {
            audit.record(
                event(
                    .bruteForceDetected(failures: count.failures, window: rules[key.rule].window), of: report,
                    under: key, code: .addressBlocked))
        }
    }

    private func event(
        _ kind: AuditEvent.Kind, of report: LoginReport, under key: LoginKey, code: ErrorCode? = nil
    ) -> AuditEvent {
        var event = report.request.event(kind, stage: .judge, code: code)
        event.countedFor = LoginDesk.prefix(key.subject)
        event.rule = key.rule
        event.account = LoginDesk.hash(report.attempt)
        return event
    }

    /// What audit records say where it is not the client by itself.
    private static func prefix(_ subject: BlockSubject) -> IPNetwork? {
        subject.network.isSingleAddress ? nil : subject.from
    }

    private static func hash(_ attempt: LoginAttempt?) -> String? {
        attempt?.account.flatMap { $0 == .unnamed ? nil : $0.description }
    }
}
