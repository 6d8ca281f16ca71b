package import Policy
package import Settings
package import Transport
internal import Wire

/// The ledger of replicas that share a Redis: the authority counts and keeps the blocks, this process keeps a complete
/// mirror of `ip_block:*` and `revoked:*` so that no request has to ask.
///
/// While Redis is away the last known blocks stay in force, failures are counted here (from the last count that is
/// known) and carried over later; each has an id, so carrying one over twice counts it once.
///
/// Files: here the life of the connection and the state; `+Failures` counting, deadlines and carrying over;
/// `+Reservations` places for guesses, `+Places` their return; `+Mirror` what is known of the store; `+Commands` what
/// operators do; `+Revocations` all of this for tokens, `+Shared` for keys and lockdowns; `+Buckets` rate limits; `+Words` what
/// was said while Redis was away; `+Epochs` whether its data is the data we knew; `+Discovery` where Redis is.
package final class RedisLedger: Ledger {
    /// idle → resolving → connecting → mirroring → inStep, from everywhere to waiting (then resolving), to stopped.
    enum Phase {
        case idle
        case resolving
        case connecting(any RedisStore)
        /// Counting works; the mirror may still hold what is gone and miss what is new.
        case mirroring(any RedisStore)
        case inStep(any RedisStore)
        case waiting
        case stopped
    }

    /// What operators are told. A session that was lost a moment ago is not yet an outage.
    enum Health {
        /// Not connected yet; leads to good, or to degraded when the first attempt fails.
        case starting(since: WallTime)
        case good
        case degraded(Degradation)
    }

    struct Degradation {
        enum Cause {
            /// No session, or one whose mirror is not complete.
            case disconnected
            /// A failure was not answered in time; the session may be alive.
            case slow
            /// Redis answers with errors: out of memory, read-only, no permission.
            case refusing
        }
        var cause: Cause
        var reason: String
        var since: WallTime
        var began: Instant
    }

    let loop: EventLoop
    let clock: LedgerClock
    unowned let sink: any LedgerSink
    let configuration: Configuration.Redis
    private let directory: StateDirectory
    let resolver: ResolverPort
    let keys: RedisKeys
    /// Nil: one server at one address.
    private(set) var sentinels: RedisSentinels?
    /// Nil: no cluster.
    private(set) var cluster: RedisClusterBook?
    private var saved: JournalState?
    /// A mirror that once was complete is on the disk.
    private var hasSnapshot: Bool
    private let tornBytes: Int
    private(set) var journal: JournalThread?

    var local: LocalLedger
    var phase = Phase.idle
    private(set) var health: Health
    private(set) var connectTimer: LoopTimer?
    private var graceTimer: LoopTimer?
    private var readyTimer: LoopTimer?
    private var expiryTimer: LoopTimer?
    private(set) var failedAttempts = 0
    private var lostReason = ""
    /// When a session was last replaced at once, and how many were one soon after the other.
    private var replaced: (at: Instant, inARow: Int)?
    package private(set) var isReady = false
    package internal(set) var totals = LedgerTotals()
    let statistics = RedisStatistics()
    package var store: StoreStatistics? {
        var store = statistics.total
        store.nodes = cluster?.nodes ?? []
        return store
    }

    // +Failures
    var waiting: [FailureID: WaitingFailure] = [:]
    var deadlines: [(at: Instant, id: FailureID)] = []
    var deadlineTimer: LoopTimer?
    var unsettled = UnsettledFailures()
    /// What operators said was refused for a moment only.
    var saysAgain = false
    var nextSaying = Instant(nanoseconds: 0)
    var replaying: Set<FailureID> = []
    var pendingBlocks: Set<BlockSubject> = []
    /// Those of them that are on their way.
    var uploading: Set<BlockSubject> = []
    var pendingLifts: Set<BlockSubject> = []
    var uploadingLifts: Set<BlockSubject> = []
    var replayTimer: LoopTimer?
    var slowness = Slowness()
    var slowTimer: LoopTimer?

    // +Reservations
    var waitingGuesses: [FailureID: WaitingGuess] = [:]
    var guessDeadlines: [(at: Instant, id: FailureID)] = []
    var guessTimer: LoopTimer?
    /// Until then a place that was given here may be in use, and the store may not know of it.
    var ownPlacesEnd = Instant(nanoseconds: 0)
    // +Places
    var places: [FailureID: StoredPlace] = [:]
    var nextLookAtPlaces = Instant(nanoseconds: 0)
    // +Discovery
    var master: Configuration.SocketAddressText?
    /// The masters of the cluster to which we spoke last.
    var masters: [RedisSlotMap.Master] = []
    var recentlyTold: [(at: Instant, failure: UnsettledFailure)] = []
    var recentWords: [RecentWord] = []
    /// When a server without sentinels was given up because it was no master.
    var lookedAgain: Instant?
    var feed = RedisSession.Feed.tracking
    private(set) var scanTimer: LoopTimer?

    // +Revocations
    var revocationBook = RevocationBook()
    var pendingRevocations: Set<RevocationTarget> = []
    /// Those of them that are on their way.
    var uploadingRevocations: Set<RevocationTarget> = []
    var pendingRevocationLifts: Set<RevocationTarget> = []
    var uploadingRevocationLifts: Set<RevocationTarget> = []

    // +Shared
    var sharedBook: [SharedName: SharedText] = [:]
    var pendingShared: Set<SharedName> = []
    /// Of the resynchronisation that is under way.
    var seenShared: Set<SharedName> = []

    // +Words
    /// Of names that are pending in one of the ways above.
    var words: [StoreKey: Word] = [:]

    // +Mirror
    var dirty: Set<StoreKey> = []
    var fetches = 0
    var movingKeys: Set<StoreKey> = []
    private(set) var movingTimer: LoopTimer?
    var resync: Resync?
    var epochs = RedisEpochs()
    var advancing: Set<String> = []
    var reportedKeys: Set<String> = []
    var outgoing = OutgoingChanges()

    package static let journalName = "redis.journal"
    /// Failures that wait to be carried over; more of them would only say the same again.
    static let unsettledLimit = 65_536
    /// So many words of a kind are on their way at once.
    static let slice = 512
    /// Bytes that may wait to be sent to Redis.
    var outputLimit = 64 << 20

    /// Locks the directory and reads the journal; this is the only time that the calling thread waits for the disk.
    /// - Parameters:
    ///   - resolver: For a Redis that is known by name; a port of `loop`.
    ///   - sink: Must outlive the ledger.
    package init(
        rules: LoginRules, redis: Configuration.Redis, stateDirectory: String, on loop: EventLoop,
        resolver: ResolverPort, keys: RedisKeys? = nil, sink: any LedgerSink, clock: LedgerClock = .system
    ) throws(LedgerError) {
        self.loop = loop
        self.clock = clock
        self.sink = sink
        self.resolver = resolver
        configuration = redis
        self.keys =
            keys
            ?? RedisKeys(
                security: { () throws(LedgerError) -> TLSClientContext? in nil }, password: { redis.password })
        local = LocalLedger(rules: rules)
        health = .starting(since: clock.wall())
        directory = try StateDirectory(stateDirectory)
        do throws(LedgerError) {
            let opened = try OpenedJournal(in: directory, name: RedisLedger.journalName, at: clock.wall())
            saved = opened.state
            tornBytes = opened.tornBytes
            hasSnapshot = opened.state.isComplete
            journal = JournalThread(opened, on: loop) { [unowned sink] in sink.ledger(noted: .journalFailed($0)) }
        } catch {
            directory.release()
            throw error
        }
    }

    package var state: LedgerState {
        switch health {
        case .starting(let since): .degraded(reason: "not connected yet", since: since)
        case .good: .connected
        case .degraded(let outage): .degraded(reason: outage.reason, since: outage.since)
        }
    }

    package func start() {
        let unknown = saved?.unknownRecords ?? 0
        restore()
        if unknown > 0 { sink.ledger(noted: .journalUnknown(records: unknown)) }
        if tornBytes > 0 { sink.ledger(noted: .journalTorn(bytes: tornBytes)) }
        sink.ledger(changed: .replaceAll(blocks().map(\.entry)))
        sink.ledger(revoked: .replaceAll(revocations().map(\.entry)))
        sink.ledger(shared: sharedBook)
        expiryTimer = LoopTimer(on: loop) { [unowned self] in expire() }
        deadlineTimer = LoopTimer(on: loop) { [unowned self] in deadlinesPassed() }
        guessTimer = LoopTimer(on: loop) { [unowned self] in guessDeadlinesPassed() }
        replayTimer = LoopTimer(on: loop) { [unowned self] in replay() }
        slowTimer = LoopTimer(on: loop) { [unowned self] in askAgainHowFast() }
        connectTimer = LoopTimer(on: loop) { [unowned self] in resolve() }
        scanTimer = LoopTimer(on: loop) { [unowned self] in scanAgain() }
        movingTimer = LoopTimer(on: loop) { [unowned self] in readMoving() }
        graceTimer = LoopTimer(on: loop) { [unowned self] in graceOver() }
        readyTimer = LoopTimer(on: loop) { [unowned self] in becomeReady() }
        if hasSnapshot { becomeReady() } else { readyTimer?.fire(after: configuration.startupWait) }
        scheduleExpiry()
        if let settings = configuration.sentinels {
            sentinels = RedisSentinels(
                settings, on: loop, resolve: { [resolver] in resolver.resolve($0, completion: $1) },
                secure: keys.security,
                onSwitch: { [unowned self] in masterChanged($0) })
        }
        if !configuration.cluster.isEmpty {
            cluster = RedisClusterBook(
                seeds: configuration.cluster, resolve: { [resolver] in resolver.resolve($0, completion: $1) })
        }
        resolve()
    }

    package func stop(completion: @escaping () -> Void) {
        let session = session
        phase = .stopped
        session?.close()
        sentinels?.stop()
        for timer in [
            connectTimer, graceTimer, readyTimer, expiryTimer, deadlineTimer, guessTimer, replayTimer, scanTimer,
            slowTimer, movingTimer,
        ] {
            timer?.cancel()
        }
        decideAllLocally()
        guard let journal else { return completion() }
        let directory = directory
        journal.stop { [self] in
            self.journal = nil
            directory.release()
            completion()
        }
    }

    package var waitingFailures: Int { unsettled.count }

    package func adopt(_ rules: LoginRules) { local.rules = rules }

    /// Whoever answers commands, in whatever mood.
    var session: (any RedisStore)? {
        switch phase {
        case .mirroring(let session), .inStep(let session), .connecting(let session): session
        case .idle, .resolving, .waiting, .stopped: nil
        }
    }

    /// The session to ask first; nil while the local ledger decides.
    var authority: (any RedisStore)? {
        if case .degraded(let outage) = health, outage.cause != .disconnected { return nil }
        switch phase {
        case .mirroring(let session), .inStep(let session): return session
        case .idle, .resolving, .connecting, .waiting, .stopped: return nil
        }
    }

    /// A session was lost a moment ago and is being replaced: worth the wait that a failure's deadline allows.
    var mayRecoverSoon: Bool {
        if case .degraded = health { return false }
        switch phase {
        case .resolving, .connecting, .waiting: return true
        case .idle, .mirroring, .inStep, .stopped: return false
        }
    }

    private func restore() {
        guard let saved else { return }
        self.saved = nil
        for block in saved.blocks.values {
            local.book.set(block.record(clock: clock))
            if block.isPending { pendingBlocks.insert(block.subject) }
        }
        pendingLifts = saved.pendingLifts
        for revocation in saved.revocations.values {
            revocationBook.set(revocation.record(clock: clock))
            if revocation.isPending { pendingRevocations.insert(revocation.record.target) }
        }
        pendingRevocationLifts = saved.pendingRevocationLifts
        if let text = saved.epoch { epochs = RedisEpochs(text: text) }
        sharedBook = saved.shared.mapValues { $0.text(clock: clock) }
        pendingShared = saved.pendingShared
        restoreWords(saved.words)
        for var kept in saved.unsettled.values {
            kept.failure.key = local.rules.renewed(kept.failure.key, of: kept.failure.address)
            unsettled[kept.failure.id] = kept
        }
        // A restart during an outage must not give an attacker his guesses back.
        let now = clock.now()
        for kept in unsettled.values {
            let left = local.rules[kept.failure.key.rule].window - (clock.wall() - kept.at)
            guard left > .zero else { continue }
            _ = local.counters.record(kept.failure.id, of: kept.failure.key, window: left, at: now)
        }
    }

    private func becomeReady() {
        guard !isReady else { return }
        isReady = true
        sink.ledger(noted: .ready)
    }

    // MARK: The connection

    private func resolve() {
        phase = .resolving
        discover()
    }

    func sessionReady(_ feed: RedisSession.Feed) {
        guard case .connecting(let session) = phase else { return }
        phase = .mirroring(session)
        follow(feed)
        // First, so that it reads how far the data is before anything is said.
        beginResync(becauseOfFlush: false)
        uploadLifts(session)
        uploadRevocationLifts(session)
        uploadShared(session)
        takeOutThoseThatAreOver(session)
        sendWaiting(session)
    }

    /// The mirror is complete: called at the end of a resynchronisation.
    func resynced() {
        scheduleScan()
        guard case .mirroring(let session) = phase else { return }
        phase = .inStep(session)
        failedAttempts = 0
        graceTimer?.cancel()
        becomeReady()
        if !hasSnapshot {
            hasSnapshot = true
            save([.complete])
        }
        recover()
    }

    func sessionLost(_ reason: String) {
        if case .stopped = phase { return }
        forgetQuestions()
        totals.reconnects += 1
        // A session that worked is replaced at once; only when that fails too it is an outage.
        if case .inStep = phase, case .good = health {
            lostReason = reason
            graceTimer?.fire(after: configuration.deadline)
            let now = clock.now()
            // Each one scans everything: those that end again and again are not replaced again and again.
            let inARow = replaced.map { now - $0.at < .seconds(5) ? $0.inARow + 1 : 0 } ?? 0
            replaced = (now, inARow)
            return inARow == 0 ? resolve() : pause(afterAttempts: inARow)
        }
        degrade(.disconnected, reason)
        failedAttempts += 1
        pause(afterAttempts: failedAttempts)
    }

    private func pause(afterAttempts attempts: Int) {
        phase = .waiting
        // Half of the pause is chance, so that replicas do not come back in step.
        let pause = min(2_000, 50 << min(attempts - 1, 6))
        connectTimer?.fire(after: .milliseconds(pause / 2 + .random(in: 0...pause / 2)))
    }

    private func graceOver() {
        if case .inStep = phase { return }
        degrade(.disconnected, lostReason)
    }

    // MARK: The state

    func degrade(_ cause: Degradation.Cause, _ error: String) {
        if wasDemoted(error) || isMoving(error) { return }
        let reason = cause == .refusing ? RedisRemedy.explain(error, user: configuration.username) : error
        if case .degraded(var outage) = health {
            // The later cause is the one to mend; the outage began with the first.
            outage.cause = cause
            outage.reason = reason
            health = .degraded(outage)
        } else {
            health = .degraded(
                Degradation(cause: cause, reason: reason, since: clock.wall(), began: clock.now()))
            sink.ledger(noted: .degraded(reason: reason))
        }
        if cause != .slow { decideAllLocally() }
        if cause == .refusing { replayTimer?.fire(after: .seconds(1)) }
    }

    /// The authority answers again and the mirror is complete: carry over what was decided here.
    func recover() {
        guard case .inStep(let session) = phase else { return }
        let former = health
        health = .good
        if case .degraded(let outage) = former {
            sink.ledger(noted: .recovered(outage: clock.now() - outage.began, replay: unsettled.count))
        }
        takeOutThoseThatAreOver(session)
        // Those that were lifted while it did not answer, on this same session.
        if !pendingLifts.isEmpty { uploadLifts(session) }
        if !pendingRevocationLifts.isEmpty { uploadRevocationLifts(session) }
        uploadShared(session)
        replay()
    }

    var isRefusing: Bool {
        if case .degraded(let outage) = health, outage.cause == .refusing { return true }
        return false
    }

    // MARK: The end of blocks

    func scheduleExpiry() {
        let deadlines = [local.book.nextDeadline, revocationBook.nextDeadline, nextSharedDeadline].compactMap { $0 }
        guard let next = deadlines.min() else { return }
        expiryTimer?.fire(after: max(.milliseconds(1), next - clock.now()))
    }

    /// Redis announces natural expiry late or, with many keys, never: the deadlines are kept here.
    private func expire() {
        for record in local.book.expire(at: clock.now()) {
            if pendingBlocks.remove(record.subject) != nil { settleWord(of: BlockKey.block(record.subject)) }
            totals.blocksLifted += 1
            sink.ledger(noted: .lifted(record, .expired))
        }
        expireRevocations()
        expireShared()
        scheduleExpiry()
    }
}
