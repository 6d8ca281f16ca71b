internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What a worker is born with. Everything else it builds on its own thread and never shares.
struct WorkerSeed: Sendable {
    let index: Int
    let generation: Generation
    let mailbox: Mailbox<WorkerMessage>
    let control: Mailbox<ControlMessage>
    let tls: TLSServerContext?
    let shared: SharedCounters
    let access: AccessChannel
    let audit: AuditLog
    let metrics: MetricShard
    let heartbeat: Heartbeat
}

/// One thread that serves requests: its event loop, listeners, connections, upstream pools, and its own copy of the
/// blocked addresses. Nothing it does for a request waits for another thread, except for the judgement of a login
/// and for what only the issuer of a token knows.
final class Worker {
    let index: Int
    let loop: EventLoop
    let scratch = Scratch()
    /// Where messages are composed; larger than the scratch, since chunk sizes are written anew and a path in canonical
    /// form may be three times as long as it came (`limits.target` allows 64 KiB). Pages that are never used cost nothing.
    var out = ByteWriter(capacity: 2 * Scratch.size)
    let gatekeeper: Gatekeeper
    var responses: ResponseReader
    let clock = WorkerClock()
    /// What this worker's connections hold in buffers.
    let account: BufferAccount
    let buffers: RecordBufferPool
    let records = ExchangeRecordPool()
    let pipes = PipePool(limit: Room.pipes)
    let access: AccessLog
    let telemetry: WorkerTelemetry
    private(set) var localAnswers = LocalAnswers()
    private(set) var generation: Generation
    var unwatched = UnwatchedLogins()
    /// For connections that are accepted from now on.
    private var tls: TLSServerContext?
    private(set) var pools: [UpstreamPool] = []
    var isDraining: Bool { drainQuiet != nil }

    let control: Mailbox<ControlMessage>
    private let shared: SharedCounters
    private let heartbeat: Heartbeat
    private var receiver: MailboxReceiver<WorkerMessage>?
    private var listeners: [Listener] = []
    /// Those that take who is on the way and nobody else.
    private var closing: [Listener] = []
    private var sweepTimer: LoopTimer?
    var lookTimer: LoopTimer?
    /// By their slots.
    private(set) var connections: [ClientConnection?] = []
    private var relief: Relief?
    /// Listeners that wait until a descriptor is free.
    private var paused: [Listener] = []
    private var freeSlots: [Int] = []
    private var openCount = 0
    let streams = OpenStreams()
    private var drainDeadline = Instant.never
    /// How long a connection may wait for its next request while draining; nil: we are not.
    private(set) var drainQuiet: Interval?
    private var hasDrained = false
    /// Held answers by ticket.
    private var awaitingJudgement: [Int: ClientConnection] = [:]
    private var nextTicket = 0
    var nextKeyReport = Instant(nanoseconds: .min)
    /// By upstream.
    private var standings: [String: UpstreamStanding] = [:]
    var traffic = TrafficShare()
    /// Of this generation, once a proxy has asked.
    private var checkReader: CheckReader?
    private(set) lazy var inquiries = Inquiries(self)
    private(set) lazy var reservations = Reservations(self)
    private lazy var rateReports = RateReports(self)
    private(set) lazy var callers = Callers(self)
    private(set) lazy var reception = ProxyReception(self)
    /// What was closed in this turn and may still be on the call stack.
    private var farewell: [AnyObject] = []

    private static let badCredentials = Reason.allCases.firstIndex(of: .badCredentials)!
    private static let sweepInterval = Interval.milliseconds(250)
    /// A tunnel is closed so much later than its token is revoked.
    static let lookInterval = Interval.milliseconds(20)
    /// What OpenSSL holds for a session, in round numbers: measured with 1,000 idle ones (docs/decisions/abuse.md).
    static let sessionMemory = 16 << 10

    /// Builds the worker on the loop of its own thread.
    init(_ seed: WorkerSeed, on loop: EventLoop) {
        index = seed.index
        self.loop = loop
        generation = seed.generation
        tls = seed.tls
        control = seed.control
        shared = seed.shared
        heartbeat = seed.heartbeat
        account = BufferAccount(seed.shared)
        buffers = RecordBufferPool(account)
        gatekeeper = Gatekeeper(seed.generation.rules)
        gatekeeper.rateMeter = seed.generation.rates
        responses = ResponseReader(seed.generation.rules)
        access = AccessLog(seed.access)
        telemetry = WorkerTelemetry(audit: seed.audit, metrics: seed.metrics)
        receiver = MailboxReceiver(seed.mailbox, on: loop) { [unowned self] in receive($0) }
        relief = Relief(self)
        account.limit = seed.generation.room.memory
        account.whenFull = { [unowned self] in relief?.memoryIsFull() }
        localAnswers.take(seed.generation.rules)
        rateReports.adopt(isShared: seed.generation.configuration.rateLimits.isShared)
        makePools()
        sweepTimer = LoopTimer(on: loop) { [unowned self] in sweep() }
        sweepTimer?.fire(every: Worker.sweepInterval)
        lookTimer = LoopTimer(on: loop) { [unowned self] in
            clock.tick()
            cutDeadStreams()
        }
    }

    /// What `out` holds. The memory is the worker's; what it holds changes with the next message.
    var composed: Span<UInt8> {
        @_lifetime(immortal)
        get { out.unownedBytes }
    }

    /// To be called where the loop calls into a connection.
    func tick() { clock.tick() }

    // MARK: Connections

    func accepted(
        _ socket: StreamSocket, peer: IPAddress, port: UInt16, at door: Door, announcement: Announcement? = nil
    ) {
        var addressSlot: Int32 = -1
        let each = generation.configuration.limits.connectionsPerAddress
        if each > 0, door != .checks, let addresses = generation.addresses, !gatekeeper.isSpared(peer, at: clock.now) {
            switch addresses.enter(peer, limit: each) {
            case .counted(let slot): addressSlot = slot
            case .uncounted: break
            case .full:
                telemetry.record(refusedConnectionOf: peer, port: port, now: clock.now)
                return refuseAdmission(.tooManyConnections, socket, at: door)
            }
        }
        // Said in one call and forgotten: whoever is over the limit gets no buffer and no time.
        guard takePlace() else {
            leave(addressSlot)
            return refuseAdmission(.overloaded, socket, at: door)
        }
        socket.sendWithoutDelay()
        var channel = Channel.plain(socket)
        if door == .secure {
            guard let session = tls?.accept(socket) else {
                shared.connectionClosed()
                leave(addressSlot)
                return socket.close()
            }
            channel = .tls(session)
            account.take(Worker.sessionMemory)
        }
        let connection = ClientConnection(
            channel, peer: peer, port: port, door: door, announcement: announcement, addressSlot: addressSlot,
            worker: self,
            now: clock.now)
        if let slot = freeSlots.popLast() {
            connection.slot = slot
            connections[slot] = connection
        } else {
            connection.slot = connections.count
            connections.append(connection)
        }
        openCount += 1
        telemetry.metrics.connectionOpened()
        if let drainQuiet { connection.drain(quiet: drainQuiet) }
    }

    /// A place among the connections of the process, which somebody else may have to leave for it.
    func takePlace() -> Bool {
        let limit = generation.room.connections
        if shared.connectionOpened(limit: limit) { return true }
        // Another worker may be quicker to take what was freed here.
        for _ in 0..<4 {
            guard relief?.makeRoom() == true else { return false }
            if shared.connectionOpened(limit: limit) { return true }
        }
        return false
    }

    private func refuseAdmission(_ refusal: Refusal, _ socket: StreamSocket, at door: Door) {
        telemetry.count(refusal)
        // A handshake for a refusal would cost more than the request.
        guard door != .secure else { return socket.close() }
        out.reset()
        gatekeeper.write(
            refusal, RequestFacts(client: IPAddress(v4: 0)), origin: Span(), requestID: Span(),
            date: clock.date(), keepAlive: false, into: &out)
        _ = socket.send(composed)
        socket.close()
    }

    private func leave(_ addressSlot: Int32) {
        if addressSlot >= 0 { generation.addresses?.leave(addressSlot) }
    }

    /// Forgets a closed connection; the object lives until the end of the turn, since its caller may still use it.
    func remove(_ connection: ClientConnection) {
        connections[connection.slot] = nil
        freeSlots.append(connection.slot)
        openCount -= 1
        shared.connectionClosed()
        leave(connection.addressSlot)
        if let session = connection.channel.session { account.giveBack(Worker.sessionMemory + session.handshakeMemory) }
        telemetry.metrics.connectionClosed()
        keepUntilEndOfTurn(connection)
        if !paused.isEmpty { resumeListeners() }
        finishDrainingIfEmpty()
    }

    var checks: CheckReader {
        if let checkReader { return checkReader }
        let made = CheckReader(generation.rules)
        checkReader = made
        return made
    }

    // MARK: Pressure

    /// Bodies are refused from 7/8 of the limit on, and at the limit buffers are let go down to that.
    var isShortOfMemory: Bool {
        let limit = generation.room.memory
        return shared.bufferedBytes > limit - limit / 8
    }

    func isBlocked(_ address: IPAddress, at now: Instant) -> Bool {
        gatekeeper.blocksAnybody && gatekeeper.isBlocked(address, at: now)
    }

    /// No descriptor is left for whoever waits at `listener`. True: a connection was let go for it. Else the listener is
    /// called again when one of this worker's connections has closed.
    func makeRoom(for listener: Listener) -> Bool {
        if pipes.closeIdle() || relief?.makeRoom() == true { return true }
        telemetry.metrics.countAcceptPause()
        if !paused.contains(where: { $0 === listener }) { paused.append(listener) }
        return false
    }

    /// The descriptor is closed by now; who waits for it is let in by the next turn.
    private func resumeListeners() {
        let waiting = paused
        paused = []
        for listener in waiting { listener.resumeAccepting() }
    }

    /// A connection to a backend found no descriptor: what only might be used gives way to what is.
    func descriptorsRanOut() {
        for pool in pools { pool.closeIdle() }
        _ = pipes.closeIdle()
        loop.atEndOfTurn { [unowned self] in _ = relief?.makeRoom() }
    }

    func keepUntilEndOfTurn(_ object: AnyObject) {
        if farewell.isEmpty { loop.atEndOfTurn { [unowned self] in farewell.removeAll(keepingCapacity: true) } }
        farewell.append(object)
    }

    /// For a connection that cannot be served yet.
    func returnPlace() { shared.connectionClosed() }

    // MARK: Messages

    private func receive(_ message: WorkerMessage) {
        clock.tick()
        switch message {
        case .ledger(let change, let sequence):
            apply(change)
            control.send(.applied(worker: index, sequence: sequence))
        case .generation(let next, let metrics, let told):
            generation = next
            unwatched = UnwatchedLogins()
            account.limit = next.room.memory
            countAssertions()
            telemetry.adopt(metrics)
            gatekeeper.adopt(next.rules)
            rateReports.adopt(isShared: next.configuration.rateLimits.isShared)
            cutDeadStreams()
            cutBlockedStreams()
            localAnswers.take(next.rules)
            responses = ResponseReader(next.rules)
            checkReader = nil
            for pool in pools { pool.retire() }
            // Those pools still serve exchanges that were decided by the former rules, and must not learn of these servers.
            standings = Dictionary(uniqueKeysWithValues: told.map { ($0.name, $0) })
            makePools()
            endDisowned()
        case .keys(let keys):
            gatekeeper.adopt(keys)
            cutDeadStreams()
            // What is missing now is news again.
            nextKeyReport = Instant(nanoseconds: .min)
        case .inspectKeys(let question, let ticket):
            control.send(.keysInspected(answer(to: question), ticket: ticket))
        case .assertionKeys(let keys):
            gatekeeper.adopt(keys)
            localAnswers.assertionKeys = keys.document
        case .rateTables(let tables): gatekeeper.rateMeter = tables
        case .certificates(let context): tls = context
        case .standing(let standing):
            standings[standing.name] = standing
            for pool in pools where pool.name == standing.name { pool.update(standing, at: clock.now) }
        case .judged(let ticket):
            awaitingJudgement.removeValue(forKey: ticket)?.judged()
        case .reserved(let ticket, let guess, let answer): reservations.answered(ticket, guess, answer)
        case .introspected(let answer, let token): inquiries.answered(answer, about: token)
        case .health(let state):
            localAnswers.health = state
        case .listeners(let wanted): listen(on: wanted)
        case .drain(let deadline, let quiet): drain(until: deadline, quiet: quiet)
        }
    }

    private func makePools() {
        pools = generation.configuration.upstreams.enumerated().map { index, upstream in
            UpstreamPool(upstream, index: index, tls: generation.upstreamTLS[index], worker: self)
        }
        for pool in pools {
            if let standing = standings[pool.name] { pool.update(standing, at: clock.now) }
        }
    }

    /// Tells the Ledger of a failed login; `judged` comes back.
    func report(failureOf client: ClientConnection) {
        // The rules may have other bits when its answer is through.
        let failsLogin = !client.record.failedRows.isDisjoint(with: generation.rules.loginClassRows)
        client.record.failsLogin = failsLogin
        guard let request = client.record.audit else { return client.judged() }
        let ticket = nextTicket
        nextTicket += 1
        awaitingJudgement[ticket] = client
        // Who is never blocked has no place, and is counted all the same.
        var attempt =
            client.record.guess?.attempt
            ?? LoginAttempt(id: .random(), address: client.record.facts.client, rules: [])
        let isGuess = !client.record.failedRows.isDisjoint(with: generation.rules.credentialRows)
        var failed = generation.rules.names(of: client.record.failedRows)
        // Without an account it is counted only behind a shared address.
        if failsLogin, attempt.account != nil || attempt.rules.contains(LoginRule.accountsName) {
            failed.append(LoginRule.accountsName)
        }
        let others = attempt.rules.filter { !failed.contains($0) }
        attempt.rules = failed
        control.send(
            .loginFailed(
                LoginReport(
                    worker: index, ticket: ticket, attempt: attempt, others: others, request: request)))
        guard isGuess else { return }
        telemetry.metrics.countLoginFailure()
        telemetry.metrics.countAuthFailure(reason: Worker.badCredentials)
    }

    // MARK: Time

    private func sweep() {
        clock.tick()
        let now = clock.now
        heartbeat.beat(now)
        for connection in connections {
            guard let connection else { continue }
            connection.lookAtServer(at: now)
            if connection.deadline <= now { connection.deadlinePassed() }
            if generation.progress.rate > 0 { connection.checkProgress(generation.progress, at: now) }
            // After that, since whoever is about to be read keeps nobody waiting.
            connection.lookForReset()
            connection.rest()
        }
        streams.cutExpired(at: now)
        if gatekeeper.advance(to: clock.wall) { cutDeadStreams() }
        account.tell()
        countAssertions()
        if shared.bufferedBytes > generation.room.memory { relief?.memoryIsFull() }
        for pool in pools { pool.sweep(now) }
        pipes.sweep()
        let leads = gatekeeper.takeLeads()
        if !leads.isEmpty { control.send(.clocksAhead(leads)) }
        gatekeeper.blocks.sweep(at: now)
        lookForOneAddress(at: now)
        if isDraining, now >= drainDeadline { finishDraining() }
    }

    // MARK: Listeners

    private func listen(on wanted: [PublicListener]) {
        guard !isDraining else { return }
        close(listeners.filter { listener in !wanted.contains { $0.socket === listener.socket } })
        listeners = wanted.map { want in
            guard let present = listeners.first(where: { $0.socket === want.socket }) else {
                return Listener(want, worker: self)
            }
            present.door = want.door
            return present
        }
    }

    /// All of them are known to be closing before the first is closed, or the drain would end with that one.
    private func close(_ ending: [Listener]) {
        closing += ending
        for listener in ending {
            listener.close { [unowned self, unowned listener] in
                closing.removeAll { $0 === listener }
                keepUntilEndOfTurn(listener)
                finishDrainingIfEmpty()
            }
        }
    }

    // MARK: Draining

    private func drain(until deadline: Instant, quiet: Interval) {
        drainDeadline = min(drainDeadline, deadline)
        guard !isDraining else { return }
        drainQuiet = quiet
        close(listeners)
        listeners = []
        for connection in connections { connection?.drain(quiet: quiet) }
        finishDrainingIfEmpty()
    }

    func finishDrainingIfEmpty() {
        if isDraining, openCount == 0, closing.isEmpty, reception.isEmpty { finishDraining() }
    }

    /// Said once: the control thread counts the workers that have ended.
    private func finishDraining() {
        guard !hasDrained else { return }
        hasDrained = true
        heartbeat.end()
        for listener in closing { listener.finish() }
        rateReports.send()
        control.send(.drained(cut: openCount))
        for connection in connections { connection?.cutOff() }
        reception.closeAll()
        for pool in pools { pool.retire() }
        loop.stop()
    }
}
