internal import Glibc
internal import Ledger
internal import Policy
package import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The process: built from a configuration on the main thread, which becomes the control thread. It owns the ledger, the
/// logs, the workers and the signals; it serves no request itself.
package final class Gateway {
    /// Why the gateway cannot start, in words for the operator.
    package struct StartFailure: Error, CustomStringConvertible {
        package let description: String

        init(description: String) { self.description = description }

        init(_ finding: CertificateLoader.Finding) {
            description = "\(finding.setting): \(finding.path): \(finding.message)"
        }
    }

    let loop: EventLoop
    let log: OperationalLog
    let audit: AuditLog
    let metrics: ControlMetrics
    let registry: MetricsRegistry
    private(set) var configuration: Configuration
    var ledger: any Ledger
    private(set) var generation: Generation
    /// When `configuration` came into force.
    private(set) var loadedAt = WallTime.now()
    /// Settings that only a restart brings into force.
    private(set) var restartNeeded: [String] = []
    let startedAt = Instant.now()
    let configurationPath: String
    let broadcast: LedgerBroadcast
    private(set) var directory: UpstreamDirectory?
    private(set) var upstreams: UpstreamHealth?
    let keys: KeyStore
    let keyDesk: KeyDesk
    let lockdowns: LockdownDesk
    let allowances: AllowanceDesk
    let feeds: FeedDesk
    let breakGlass: BreakGlassDesk
    let rateLimits: RateLimitDesk
    private(set) lazy var rateSharing = makeRateSharing()
    let logLevels: LogLevelDesk
    let introspection: IntrospectionDesk
    let assertions: AssertionKeyStore
    /// The public addresses, with the real port where 0 was asked for.
    var boundListeners: [String] { listeners.addresses(of: .plain) }
    /// The same of those with TLS.
    var boundSecureListeners: [String] { listeners.addresses(of: .secure) }
    /// Those at which proxies ask.
    var boundCheckListeners: [String] { listeners.addresses(of: .checks) }

    let logs: LogWriter
    private let reload: () -> LoadResult
    /// What the process was started with: settings that only a restart changes are compared with it.
    private let loaded: LoadResult
    let shared = SharedCounters()
    var pressure = PressureWatch()
    private let control = Mailbox<ControlMessage>()
    private var receiver: MailboxReceiver<ControlMessage>?
    let workers: WorkerPool
    let trail: LedgerTrail
    let desk: LoginDesk
    let resolver = Resolver()
    private(set) var admin: AdminServer?
    private var signals: [SignalWatcher] = []
    private var housekeeping: LoopTimer?
    private(set) var listeners: Listeners
    private(set) var reloads: ReloadQueue?
    private var certificates: CertificateStore?
    let upstreamTLS: UpstreamTLSTrail
    let inheritance: Inheritance
    let supervisor: Supervisor
    /// Of the program, to another process.
    private(set) lazy var upgrade = makeUpgrade()
    var state = StatePossession.ours
    /// Tries again to open the state directory.
    var stateRetry: LoopTimer?
    var watchdog: LoopTimer?
    var life = Life.starting
    /// While an upgrade was under way.
    var endIsAsked = false
    /// By a signal, before it served.
    var reloadIsAsked = false
    var cut = 0

    /// Opens everything that can fail: log files, listeners, the state directory, the admin socket.
    /// - Parameter reload: reads the configuration anew, for SIGHUP.
    package init(
        _ configuration: Configuration, from loaded: LoadResult, path: String, with inheritance: Inheritance,
        reload: @escaping () -> LoadResult
    ) throws(StartFailure) {
        let configuration = configuration.sparingThisHost()
        ignoreBrokenPipes()
        HostLimits.raiseDescriptors()
        try Gateway.demandDescriptors(for: configuration)
        loop = EventLoop()
        self.configuration = configuration
        configurationPath = path
        self.loaded = loaded
        self.reload = reload
        self.inheritance = inheritance
        do {
            logs = try LogWriter(
                LogTargets(configuration.logs), spillPath: "\(configuration.stateDirectory)/audit.spill")
        } catch {
            throw StartFailure(description: "\(error)")
        }
        log = OperationalLog(logs, level: LogLevel(configuration.logs.level))
        audit = AuditLog(logs)
        logLevels = LogLevelDesk(log.level, log: log, audit: audit, on: loop)
        upstreamTLS = UpstreamTLSTrail(log)
        supervisor = Supervisor(inheritance.environment, process: getpid(), log: log)
        metrics = ControlMetrics(ledger: configuration.redis == nil ? .embedded : .starting)
        registry = MetricsRegistry(
            prefix: configuration.metrics.prefix, version: GatewayVersion.text, startedAt: .now())
        do {
            listeners = try Listeners().next(
                for: Listeners.wanted(by: configuration), workers: configuration.workers, now: .now(),
                from: inheritance)
        } catch {
            throw StartFailure(description: "\(error.setting): \(error.description)")
        }
        workers = WorkerPool(count: configuration.workers)
        broadcast = LedgerBroadcast(workers.mailboxes, on: loop)
        // The trail and the ledger know each other: the trail is made first and told of the gateway later.
        let relay = StateRelay()
        trail = LedgerTrail(
            broadcast: broadcast, audit: audit, log: log, metrics: metrics,
            stateChanged: { relay.changed() })
        // The last thing that a running gateway gives away to the process that takes over from it.
        inheritance.predecessor?.obtainState()
        do {
            ledger = try makeLedger(configuration, on: loop, sink: trail, resolver: resolver)
        } catch {
            throw StartFailure(description: error.description)
        }
        desk = LoginDesk(
            configuration, ledger: ledger, broadcast: broadcast, workers: workers.mailboxes, audit: audit, log: log,
            metrics: metrics, on: loop)
        let trust: PartyTrust
        do throws(CertificateLoader.Finding) {
            trust = try PartyTrust(configuration)
            try desk.threats.begin(configuration)
        } catch {
            throw StartFailure(error)
        }
        let pool = workers
        keys = KeyStore(
            configuration, trust: trust.keys, on: loop, log: log, metrics: metrics.keys,
            publish: { pool.send(.keys($0)) })
        keyDesk = KeyDesk(running: { pool.running }, on: loop) { pool.send(.inspectKeys($0, ticket: $1)) }
        introspection = IntrospectionDesk(
            configuration, trust: trust.introspection, on: loop, log: log, metrics: metrics.introspection,
            publish: { pool.send(.introspected($0, token: $1)) })
        desk.guesses.challenges = ChallengeDesk(
            configuration.login, trust: trust.captcha, on: loop, log: log, metrics: metrics.challenges)
        trail.sharedKeysChanged = { [unowned keys] in keys.take(shared: $0) }
        lockdowns = LockdownDesk(
            broadcast: broadcast, audit: audit, log: log, routes: configuration.routes.map(\.name))
        breakGlass = BreakGlassDesk(broadcast: broadcast, audit: audit, log: log, on: loop)
        rateLimits = RateLimitDesk(
            configuration, broadcast: broadcast, audit: audit, log: log, on: loop,
            announce: { pool.send(.rateTables($0)) })
        allowances = AllowanceDesk(broadcast: broadcast, audit: audit, log: log)
        trail.allowancesChanged = { [unowned allowances] in allowances.take($0, at: .now(), wall: .now()) }
        trail.lockdownsChanged = { [unowned lockdowns] in lockdowns.take($0, at: .now(), wall: .now()) }
        feeds = FeedDesk(
            in: configuration.stateDirectory, on: loop, log: log, audit: audit, metrics: metrics.feeds,
            publish: { [unowned broadcast] in broadcast.send(.feeds($0)) })
        assertions = AssertionKeyStore(
            in: configuration.stateDirectory, on: loop, log: log, audit: audit,
            publish: { pool.send(.assertionKeys($0)) })
        do { try assertions.begin(configuration.assertion) } catch { throw StartFailure(error) }
        generation = Generation(
            number: 1, configuration: configuration,
            rules: GatekeeperRules(configuration, keys: keys.keys, assertionKeys: assertions.keyring),
            room: configuration.room, upstreamTLS: trust.upstreams.contexts, rates: rateLimits.tables)
        reportRoom()
        report(trust.upstreams.warnings)
        relay.gateway = self
        allowances.changed = { [unowned self] in adoptLoginRules() }
        followSharedAddresses()
        assertions.ownsState = { [unowned self] in ownsState }
        feeds.ownsState = { [unowned self] in ownsState }
        feeds.begin(configuration, trust: trust.feeds)
        receiver = MailboxReceiver(control, on: loop) { [unowned self] in receive($0) }
        upstreams = UpstreamHealth(on: loop, log: log, metrics: metrics.upstreams) { [unowned self] in
            workers.send(.standing($0))
        }
        directory = UpstreamDirectory(resolver, on: loop, log: log) { [unowned self] upstream, addresses in
            upstreams?.resolved(upstream, addresses)
        }
        if let tls = configuration.tls {
            do {
                certificates = try openCertificates(tls)
            } catch {
                throw StartFailure(error)
            }
        }
        do {
            admin = try AdminServer(self, inheritance)
        } catch {
            throw StartFailure(description: error.description)
        }
        do { try assertions.keep() } catch { throw StartFailure(error) }
        for reject in inheritance.closeRest() {
            log.log(
                .warning, "listener.inherited_unused",
                "A descriptor that the gateway was started with is of no use and was closed",
                [("name", .text(reject.name)), ("reason", .text(reject.reason))])
        }
    }

    /// Serves until a signal ends it. Returns when every thread has ended and every log line is written.
    package func run() {
        signals = [
            SignalWatcher(SIGTERM, on: loop) { [unowned self] in drain() },
            SignalWatcher(SIGINT, on: loop) { [unowned self] in drain() },
            SignalWatcher(SIGHUP, on: loop) { [unowned self] in reloadBySignal() },
            SignalWatcher(SIGUSR1, on: loop) { [unowned self] in logs.reopen() },
            SignalWatcher(SIGUSR2, on: loop) { [unowned self] in upgradeBySignal() },
            SignalWatcher(SIGCHLD, on: loop) { [unowned self] in upgrade.childEnded() },
        ]
        EarlySignals.release()
        reloads = ReloadQueue(on: loop) { [unowned self] in applyConfiguration(then: $0) }
        housekeeping = LoopTimer(on: loop) { [unowned self] in keepHouse() }
        housekeeping?.fire(every: .seconds(1))
        watchSigns()
        // Before anything else: whoever asks why the gateway is not ready gets an answer.
        admin?.start()
        followPredecessor()
        ledger.start()
        upstreams?.adopt(configuration.upstreams, tls: generation.upstreamTLS)
        directory?.learn(configuration.upstreams) { [unowned self] in
            directory?.adopt(configuration.upstreams)
            namesAreKnown = true
            serveIfReady()
        }
        loop.run()
        workers.join()
        let took: Interval
        if case .draining(let since, _) = life { took = Instant.now() - since } else { took = .zero }
        life = .stopped
        log.stopped(cutConnections: cut, took: took)
        logs.stop()
    }

    private var namesAreKnown = false
    private var publishedHealth: HealthState?
    var trafficAlarm = TrafficAlarm()
    /// Routes of the generation, of which it was told.
    var toldUnwatched: Set<String> = []

    // MARK: Starting

    func serveIfReady() {
        guard life == .starting, namesAreKnown, ledger.isReady else { return }
        guard inheritance.predecessor?.letsServe(on: inheritance.kept) != false else { return }
        life = .serving
        let catalog = makeCatalog()
        let channels = (0..<configuration.workers).map { _ in logs.accessChannel() }
        workers.start(
            (0..<configuration.workers).map { index in
                WorkerSeed(
                    index: index, generation: generation, mailbox: workers.mailboxes[index], control: control,
                    tls: certificates?.context, shared: shared, access: channels[index], audit: audit,
                    metrics: registry.makeShard(catalog), heartbeat: workers.heartbeats[index])
            })
        // By message, as after a reload: nothing but the worker then holds on to a socket that goes.
        for (index, mailbox) in workers.mailboxes.enumerated() { mailbox.send(.listeners(listeners.of(worker: index))) }
        assertions.release()
        publishHealth()
        log.ready(
            listeners: boundListeners, secureListeners: boundSecureListeners, checkListeners: boundCheckListeners,
            admin: admin?.address, adminSocket: configuration.admin.socketPath, pid: getpid(),
            version: GatewayVersion.text, took: Instant.now() - startedAt)
        inheritance.predecessor?.serves(version: GatewayVersion.text)
        supervisor.tell(.ready(takesOver: inheritance.predecessor.map { _ in getpid() }), servingStatus)
        if reloadIsAsked { reloadBySignal() }
    }

    fileprivate func ledgerStateChanged() {
        serveIfReady()
        publishHealth()
    }

    private func publishHealth() {
        metrics.ledger = LedgerCondition(ledger.state)
        publishedHealth = health
        workers.send(.health(health))
    }

    var health: HealthState { HealthState(ledger: ledger.state.word, isReady: ledger.isReady) }

    private func keepHouse() {
        if health != publishedHealth { publishHealth() }
        metrics.replayQueue = ledger.waitingFailures
        metrics.guessesWaiting = desk.guesses.waiting
        watchPressure()
        audit.tellSuppressed(at: Instant.now())
        supervisor.retry()
    }

    var openConnections: Int { shared.openConnections }
    var isServing: Bool { life == .serving }
    var isDraining: Bool { if case .draining = life { true } else { false } }

    // MARK: Reload

    /// SIGHUP, or an operator's command: a configuration with mistakes changes nothing and says why.
    func reloadConfiguration(then done: @escaping (ReloadOutcome) -> Void = { _ in }) {
        guard life == .serving else { return done(.notServing) }
        reloads?.request(done)
    }

    private func applyConfiguration(then done: @escaping (ReloadOutcome) -> Void) {
        guard life == .serving, let directory else { return done(.notServing) }
        supervisor.tell(.reloading(at: .now()), "Reading the configuration")
        var result = reload()
        // What the start refuses is refused here too: a log that cannot be written would end with this reload.
        let obstacles = result.directoryDiagnostics()
        result.diagnostics += obstacles
        if obstacles.containsErrors { result.configuration = nil }
        let finish: (ReloadOutcome) -> Void = { [unowned self] outcome in
            if case .refused(let diagnostics) = outcome {
                metrics.reloaded(successfully: false)
                log.reloadFailed(path: configurationPath, diagnostics: diagnostics.map(\.description))
            }
            // A drain may have begun meanwhile.
            if life == .serving { supervisor.tell(.ready(takesOver: nil), servingStatus) }
            done(outcome)
        }
        guard let next = result.configuration?.sparingThisHost() else { return finish(.refused(result.diagnostics)) }
        let names = directory.news(in: next.upstreams).filter { IPAddress($0) == nil }
        if !names.isEmpty { log.reloadWaits(for: names) }
        directory.learn(next.upstreams) { [unowned self] in
            guard life == .serving else { return finish(.notServing) }
            finish(bring(next, from: result))
        }
    }

    /// Brings a configuration into force, in one turn: at no time the control thread says one thing and workers do another.
    private func bring(_ next: Configuration, from result: LoadResult) -> ReloadOutcome {
        func refused(_ setting: String, _ text: String) -> ReloadOutcome {
            .refused(result.diagnostics + [result.diagnostic(at: setting, text)].compactMap(\.self))
        }
        // What can fail comes before anything is changed: the old configuration stays in force as a whole.
        let nextListeners: Listeners
        do throws(Listeners.Failure) {
            nextListeners = try listeners.next(
                for: Listeners.wanted(by: next), workers: workers.mailboxes.count, now: .now())
        } catch {
            return refused(error.setting, error.description)
        }
        let trust: PartyTrust
        let signing: AssertionKeyring?
        do throws(CertificateLoader.Finding) {
            trust = try PartyTrust(next)
            try desk.threats.prepare(next)
            signing = try assertions.keyring(for: next.assertion, at: .now())
            try adopt(certificatesOf: next)
        } catch {
            return refused(error.setting, error.text)
        }
        toldUnwatched = []
        restartNeeded = result.changesNeedingRestart(since: loaded)
        for name in restartNeeded {
            log.log(
                .warning, "gateway.restart_needed", "The setting changed, but only a restart brings it into force",
                [("setting", .text(name))])
        }
        report(trust.upstreams.warnings)
        upstreamTLS.reset()
        let former = configuration.routes
        configuration = next
        keys.adopt(next, trust: trust.keys)
        assertions.adopt(next.assertion, signing, at: .now())
        loadedAt = .now()
        rateLimits.adopt(next)
        if !next.rateLimits.isShared { rateSharing.forget() }
        generation = Generation(
            number: generation.number + 1, configuration: next,
            rules: GatekeeperRules(next, keys: keys.keys, assertionKeys: signing), room: next.room,
            upstreamTLS: trust.upstreams.contexts, rates: rateLimits.tables, after: generation)
        reportRoom()
        logLevels.reloaded(LogLevel(next.logs.level))
        logs.retarget(LogTargets(next.logs))
        feeds.adopt(next, trust: trust.feeds)
        lockdowns.adopt(routes: next.routes.map(\.name))
        breakGlass.adopt(next.routes, after: former)
        listeners = nextListeners
        let standings = upstreams?.adopting {
            upstreams?.adopt(next.upstreams, tls: generation.upstreamTLS)
            directory?.adopt(next.upstreams)
        }
        let catalog = makeCatalog()
        for (index, mailbox) in workers.mailboxes.enumerated() {
            mailbox.send(.generation(generation, registry.makeShard(catalog), standings ?? []))
            mailbox.send(.listeners(nextListeners.of(worker: index)))
        }
        desk.adopt(next)
        adoptLoginRules()
        introspection.adopt(next, trust: trust.introspection)
        desk.guesses.challenges?.adopt(next.login, trust: trust.captcha)
        keys.release()
        assertions.release()
        metrics.reloaded(successfully: true)
        log.reloaded(
            path: configurationPath, listeners: boundListeners + boundSecureListeners + boundCheckListeners)
        return .applied(result.diagnostics)
    }

    /// Throws before anything changes. TLS may come and go with a reload.
    private func adopt(certificatesOf next: Configuration) throws(CertificateLoader.Finding) {
        guard let tls = next.tls else {
            certificates = nil
            metrics.certificates = []
            return
        }
        if let certificates { return try certificates.adopt(tls) }
        let opened = try openCertificates(tls)
        certificates = opened
        workers.send(.certificates(opened.context))
    }

    private func openCertificates(_ tls: Configuration.TLS) throws(CertificateLoader.Finding) -> CertificateStore {
        try CertificateStore(tls, on: loop, log: log, metrics: metrics) { [unowned self] in
            workers.send(.certificates($0))
        }
    }

    private func report(_ warnings: [CertificateLoader.Finding]) {
        for warning in warnings { log.certificateProblem(warning) }
    }
}

/// Lets the ledger's sink reach the gateway, which is made after it.
private final class StateRelay {
    weak var gateway: Gateway?
    func changed() { gateway?.ledgerStateChanged() }
}
