internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Looks at the outcomes of all logins together, on the control thread, and tells of patterns of attacks: in audit
/// record, log, metrics and to the webhook. Of this process; what others see it does not know.
final class ThreatDesk {
    private static let interval = Interval.seconds(1)

    private let loop: EventLoop
    private let log: OperationalLog
    private let audit: AuditLog
    private let metrics: ThreatMetrics
    let courier: WebhookCourier
    private(set) var settings: Configuration.Threats
    /// Names of the rules whose failures are those of logins.
    private var loginRules: Set<String> = []
    private(set) var knowsAccounts: Bool
    /// Made with the first login: most gateways have none.
    private var classifier: ThreatClassifier?
    /// Of classifiers before it.
    private var formerEvictions = (accounts: 0, networks: 0)
    private(set) var book = ThreatBook()
    private var timer: LoopTimer?
    /// Of the configuration that comes into force next.
    private var nextTrust: TLSClientContext?

    init(
        _ configuration: Configuration, on loop: EventLoop, log: OperationalLog, audit: AuditLog,
        metrics: ThreatMetrics
    ) {
        self.loop = loop
        self.log = log
        self.audit = audit
        self.metrics = metrics
        courier = WebhookCourier(on: loop, log: log, metrics: metrics)
        settings = configuration.threats
        knowsAccounts = configuration.accounts != nil
        metrics.patterns = ThreatPattern.allCases.map(\.rawValue)
    }

    /// What can fail of a configuration. `adopt` follows, or another one is prepared.
    func prepare(_ configuration: Configuration, files: FileAccess = .system) throws(CertificateLoader.Finding) {
        nextTrust = nil
        let webhook = configuration.threats.webhook
        nextTrust = try CertificateLoader.trust(
            for: webhook?.url, of: "threats.webhook", authorities: webhook?.authoritiesPath, files: files)
    }

    func begin(_ configuration: Configuration) throws(CertificateLoader.Finding) {
        try prepare(configuration)
        adopt(configuration)
    }

    func adopt(_ configuration: Configuration) {
        settings = configuration.threats
        knowsAccounts = configuration.accounts != nil
        loginRules = Set(
            [LoginRule.plainName] + configuration.login.rules.filter { $0.kind == .login }.map(\.name))
        courier.adopt(settings.webhook, tls: nextTrust)
        if settings.isEnabled {
            classifier?.adopt(settings)
        } else {
            formerEvictions = evictions
            classifier = nil
            for news in book.endAll(at: .now()) { tell(news) }
        }
        noteActive()
    }

    // MARK: Logins

    /// - Parameter network: that failures of the client are counted for.
    func failed(_ report: LoginReport, from network: IPNetwork) {
        guard settings.isEnabled, report.attempt.rules.contains(where: loginRules.contains) else { return }
        let now = Instant.now()
        take(
            watching { $0.failed(from: network, report.attempt.account, at: now) }, report.request.client,
            report.request.threatTrace, at: now)
    }

    /// Who goes on with an account that is locked fails at it, whatever his password.
    func answered(_ answer: GuessAnswer, _ attempt: LoginAttempt, from network: IPNetwork) {
        guard settings.isEnabled, case .locked = answer, attempt.rules.contains(where: loginRules.contains) else {
            return
        }
        let now = Instant.now()
        take(watching { $0.failed(from: network, attempt.account, at: now) }, attempt.address, nil, at: now)
    }

    /// - Parameter isSpared: the client speaks for many.
    func succeeded(_ request: AuditRequest, _ account: AccountMark?, from network: IPNetwork, isSpared: Bool) {
        guard settings.isEnabled else { return }
        let now = Instant.now()
        take(
            watching { $0.succeeded(from: network, account, isSpared: isSpared, at: now) }, request.client,
            request.threatTrace, at: now)
    }

    private func watching(_ body: (inout ThreatClassifier) -> [ThreatFinding]) -> [ThreatFinding] {
        // In its place: a copy would be one of megabytes.
        if classifier == nil { classifier = ThreatClassifier(settings, seed: .random(in: .min ... .max)) }
        return body(&classifier!)
    }

    private func take(
        _ findings: [ThreatFinding], _ client: IPAddress, _ trace: @autoclosure () -> ThreatTrace?, at now: Instant
    ) {
        guard !findings.isEmpty else { return }
        let (wall, trace) = (WallTime.now(), trace())
        for finding in findings {
            let all = book.note(
                finding, from: client, trace, quiet: settings.window, reminder: settings.reminder, at: now, wall: wall,
                id: ThreatDesk.makeID())
            for news in all { tell(news) }
        }
        noteActive()
    }

    private func look() {
        for news in book.sweep(at: .now(), wall: .now()) { tell(news) }
        noteActive()
    }

    private func noteActive() {
        if book.isQuiet {
            timer = nil
        } else if timer == nil {
            timer = LoopTimer(on: loop) { [unowned self] in
                // It may be ended by what it does.
                let timer = timer
                look()
                loop.atEndOfTurn { withExtendedLifetime(timer) {} }
            }
            timer?.fire(every: ThreatDesk.interval)
        }
    }

    /// Before metrics are read.
    func measure() {
        for pattern in ThreatPattern.allCases {
            metrics.begun[pattern.rawValue] = book.begun[pattern] ?? 0
            metrics.active[pattern.rawValue] = book.activeCounts[pattern] ?? 0
        }
        for pattern in ThreatPattern.allCases { metrics.unlisted[pattern.rawValue] = book.unlisted[pattern] ?? 0 }
        (metrics.accountEvictions, metrics.networkEvictions) = evictions
    }

    /// Since the start of the process.
    private var evictions: (accounts: Int, networks: Int) {
        let totals = totals
        return (
            formerEvictions.accounts + totals.accountEvictions, formerEvictions.networks + totals.networkEvictions
        )
    }

    /// Of the window that ends now.
    var totals: ThreatTotals { classifier?.totals(at: .now()) ?? ThreatTotals() }

    // MARK: Telling

    private func tell(_ news: ThreatNews) {
        let threat = news.threat
        audit.record(event(news))
        let fields: [(String, LogValue)] = [
            ("threat_id", .text(threat.id)), ("pattern", .text(threat.pattern.rawValue)),
            ("subject", .text(threat.subject.description)), ("failures", .number(threat.measures.failures)),
            ("accounts", .number(threat.measures.accounts)), ("networks", .number(threat.measures.networks)),
        ]
        switch news.step {
        case .began: log.log(.warning, "traffic.threat_began", "Failed logins look like an attack", fields)
        case .continues:
            log.log(
                news.isGrown ? .error : .warning, "traffic.threat_continues",
                "Failed logins still look like an attack\(news.isGrown ? ", and there are many more of them" : "")",
                fields)
        case .ended: log.log(.info, "traffic.threat_ended", "Failed logins look like an attack no more", fields)
        }
        guard settings.webhook != nil else { return }
        courier.send(
            WebhookMessage(
                id: "msg_\(threat.id)_\(ThreatDesk.makeID())", ThreatReports.message(news, settings, at: .now()).bytes,
                news.rank))
    }

    /// False: another test is under way, or there is no webhook.
    func testWebhook(then done: @escaping (String?) -> Void) -> Bool {
        courier.test(id: "msg_\(ThreatDesk.makeID())", ThreatReports.trial(settings, at: .now()).bytes, then: done)
    }

    private func event(_ news: ThreatNews) -> AuditEvent {
        let threat = news.threat
        let step: AuditThreat.Step =
            switch news.step {
            case .began: .began
            case .continues: news.isGrown ? .grows : .continues
            case .ended: .ended
            }
        var told = AuditThreat(
            step, id: threat.id, pattern: threat.pattern.rawValue, failures: threat.measures.failures,
            accounts: threat.measures.accounts, networks: threat.measures.networks, window: settings.window)
        var client: IPAddress?
        switch threat.subject {
        case .account(let mark):
            told.account = mark.description
            if threat.pattern == .successAfterFailures { told.isFromFailing = threat.isFromFailing }
            // One of many says nothing.
            if threat.pattern != .distributed { client = threat.address }
        case .network(let network):
            told.network = network
            client = threat.address
        case .everybody: break
        }
        var event = AuditEvent(.threat(told), client: client)
        event.stage = Stage.judge.rawValue
        event.requestID = threat.trace?.requestID
        event.traceID = threat.trace?.traceID
        return event
    }

    private static func makeID() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension AuditRequest {
    fileprivate var threatTrace: ThreatTrace { ThreatTrace(requestID: requestID, traceID: traceID) }
}
