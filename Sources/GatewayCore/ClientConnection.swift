internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// A client's connection: takes requests off it one after another, asks the Gatekeeper, and moves bytes between it and
/// the upstream connection of the exchange under way. It decides nothing by itself: the Gatekeeper says whether, the
/// Exchange says when.
final class ClientConnection: ReadinessHandler {
    enum Phase {
        /// TLS: until both sides know the keys. → `head`, `closed`
        case handshake
        /// Waiting for a request, or for the rest of its head. → `asking`, `body`, `response`, `closing`
        case head
        /// A head waits in the stash for the word of its token's issuer. → `head`, `closed`
        case asking
        /// The body of a login is put aside until it is whole. → `head`, `closed`
        case collecting
        /// A login waits in the stash for its place. → `head`, `closed`
        case reserving
        /// The body of a request is passed on. → `response`, `closing`
        case body
        /// The whole request was read; what else arrives belongs to the next one. → `head`, `tunnel`, `closing`
        case response
        /// Both sides speak another protocol (RFC 9110 §7.8). → `closed`
        case tunnel
        /// The last answer was given; what still arrives is thrown away until the client closes. → `closed`
        case closing
        case closed
    }

    /// Reads of one turn, so that one uploader starves nobody; the rest waits for the others.
    static let readsPerTurn = 4
    /// Requests that are answered here without a turn for the others, when many were sent at once.
    private static let requestsPerRead = 32
    /// How long the client may take to close after our FIN.
    static let closingTime = Interval.seconds(2)

    let worker: Worker
    let channel: Channel
    /// The other end of the connection, or whom a PROXY header has announced as that.
    let peer: IPAddress
    let peerPort: UInt16
    let announcement: Announcement?
    let door: Door
    /// Place in the worker's table.
    var slot = 0
    var deadline = Instant.never

    var watcher: Watcher?
    var phase = Phase.head
    /// An edge told of bytes that were not read yet. Edges are not repeated, so this remembers them.
    var canRead = false
    /// Bytes came, and the connection may have been reset behind them unnoticed.
    var owesLook = false
    /// The client has closed its sending side: it may still want its answer.
    var peerFinished = false
    /// Bytes that were read and not used: the beginning of a head, or requests sent ahead.
    var stash: Stash
    /// How much of the stash was found to be the beginning of a head: only more bytes can help. 0: it was not parsed yet.
    var parsed = 0
    private var awaitsMore: Bool { parsed > 0 }
    var outbox: Outbox
    /// Where the address is counted; negative: nowhere.
    let addressSlot: Int32
    var meter = ProgressMeter()

    /// Of a connection with TLS, once its handshake is done.
    var link: ClientLink?
    var server: ServerConnection?
    /// Of phase `tunnel`.
    var tunnel: Tunnel?
    /// When the token ends that a tunnel or event stream was opened with.
    var tokenEnds = Instant.never
    /// Of the exchange under way, or the last one; the worker's resting record while there is none.
    private(set) var record: ExchangeRecord
    /// Its place among those that keep their record while they wait; negative: it has none. The pool's to change.
    var recentPlace = -1

    init(
        _ channel: Channel, peer: IPAddress, port: UInt16, door: Door, announcement: Announcement? = nil,
        addressSlot: Int32 = -1, worker: Worker, now: Instant
    ) {
        self.channel = channel
        self.peer = peer
        peerPort = port
        self.announcement = announcement
        self.door = door
        self.worker = worker
        self.addressSlot = addressSlot
        stash = Stash(worker.account)
        outbox = Outbox(worker.account)
        record = worker.records.take()
        record.reset(startedAt: now)
        record.facts = RequestFacts(client: peer)
        let timeouts = worker.generation.configuration.timeouts
        if case .tls = channel {
            phase = .handshake
            deadline = now + timeouts.handshake
        } else {
            deadline = now + timeouts.first
        }
        watcher = Watcher(channel.socket.descriptor, on: worker.loop, handler: self)
    }

    deinit { worker.records.give(record) }

    // MARK: Events

    func ready(_ readiness: Readiness) {
        worker.tick()
        let readiness = channel.crossReadiness(readiness)
        if readiness.contains(.readable) { canRead = true }
        if readiness.contains(.closed) {
            canRead = true
            peerFinished = true
        }
        if phase == .handshake, !shakeHands() { return }
        if phase == .reserving, hasBroken(readiness) { return close() }
        if phase == .response, hasBroken(readiness) { return connectionLost() }
        // Who goes away while an event stream is quiet would be noticed with its next event only.
        if readiness.contains(.closed), record.isEventStream, record.exchange != nil {
            return act(on: handle(.clientLost))
        }
        if readiness.contains(.writable), !outbox.isEmpty { flush() }
        advance()
    }

    func resume() {
        worker.tick()
        advance()
    }

    /// Reads and handles as long as there is something to read and somewhere to put it.
    private func advance() {
        let worker = worker
        var budget = ClientConnection.readsPerTurn
        while phase != .closed {
            guard mayRead, canRead || (!stash.isEmpty && !awaitsMore) else { return }
            if budget == 0 { return worker.loop.stillReady(self) }
            budget -= 1
            if phase == .collecting, awaitsMore {
                guard collectMore() else { return }
                continue
            }
            let limit = phase == .head ? Scratch.headRead : Scratch.size
            let stashed = worker.scratch.load(&stash)
            // A request that was sent ahead is handled before anything more is read.
            if stashed > 0, !awaitsMore {
                process(stashed)
                continue
            }
            if stashed == 0, spliceBody() { continue }
            let room = worker.scratch.room(after: stashed, limit: max(limit, stashed + 4_096))
            switch channel.receive(into: room) {
            case .bytes(let count):
                // A short read emptied the socket; an edge will tell when there is more, unless the end was announced.
                if count < room.count, !peerFinished, !channel.mayHoldMore { canRead = false }
                let bytes = worker.scratch.bytes(stashed + count)
                if awaitsMore, !isWorthParsing(bytes, stashed) {
                    stash.keep(bytes)
                } else {
                    parsed = 0
                    process(stashed + count)
                }
                // A reset that came together with these bytes has no edge of its own (libevent tells of both as readable).
                // Whoever waits for the rest of a head asks once more; a stream of bytes is looked at by the next sweep.
                if phase == .head, awaitsMore { canRead = true }
                owesLook = true
            case .wouldBlock:
                canRead = false
                if stashed > 0 { stash.keep(worker.scratch.bytes(stashed)) }
                return
            case .failed
            where phase == .tunnel || phase == .closing || phase == .body && record.exchange?.isRelaying == true:
                canRead = false
                return connectionLost()
            case .ended, .failed:
                canRead = false
                peerFinished = true
                return inputEnded()
            }
        }
    }

    private func isWorthParsing(_ bytes: Span<UInt8>, _ stashed: Int) -> Bool {
        HeadParser.isWorthParsing(
            bytes, from: stashed, parsed: parsed, limits: worker.generation.rules.headLimits)
    }

    private var mayRead: Bool {
        switch phase {
        case .head: outbox.isEmpty
        case .body, .tunnel: server?.takesMore ?? false
        case .closing, .collecting: true
        case .handshake, .asking, .reserving, .response, .closed: false
        }
    }

    /// Of the request's body, so far.
    var bodyBytes: Int64 { record.requestBody.transferred }

    /// Handles the first `count` bytes of the scratch.
    private func process(_ count: Int) {
        var offset = 0
        var taken = 0
        while true {
            switch phase {
            case .head, .collecting:
                guard offset < count else { return }
                phase = .head
                guard let next = door == .checks ? takeCheck(offset, count) : takeRequest(offset, count) else { return }
                offset = next
                taken += 1
                // Answers that a slow client does not read must not pile up behind it.
                if phase == .head, !outbox.isEmpty || taken == Self.requestsPerRead, offset < count {
                    return stash.keep(worker.scratch.bytes(count).extracting(offset..<count))
                }
            case .body:
                guard offset < count else { return }
                worker.out.reset()
                guard let next = relayBody(offset, count) else { return }
                offset = next
            case .response:
                if offset < count { stash.keep(worker.scratch.bytes(count).extracting(offset..<count)) }
                return
            case .tunnel:
                return tunnelReceived(worker.scratch.bytes(count).extracting(offset..<count), from: .client)
            case .handshake, .asking, .reserving, .closing, .closed:
                return
            }
        }
    }

    private func inputEnded() {
        switch phase {
        case .head, .collecting:
            channel.sayGoodbye()
            close()
        // A half-closed client still reads; `flush` ends it.
        case .closing: if outbox.isEmpty { close() }
        // Whoever is answered before he has sent everything stops sending, and may say so (RFC 9112 §9.5).
        case .body where record.exchange?.isRelaying == true: phase = .response
        case .body: act(on: handle(.clientLost))
        case .tunnel: tunnelEnded(.client)
        case .handshake, .asking, .reserving, .response, .closed: break
        }
    }

    // MARK: Requests

    /// Judges the head at `offset`. Returns where to go on in the scratch; nil: nothing more can be done now.
    private func takeRequest(_ offset: Int, _ count: Int) -> Int? {
        // Held here and in the functions that this one calls: what is asked of an object's object is counted each time.
        let worker = worker
        let now = worker.clock.now
        let wall = worker.clock.wall
        let bytes = worker.scratch.bytes(count).extracting(offset..<count)
        if record.isResting { record = worker.records.take() }
        let record = record
        if record.isSettled || !record.hasBegun { record.reset(startedAt: now) }
        switch decide(bytes, record, now, wall) {
        case .incomplete:
            awaitRest(of: bytes, now)
            return nil
        case .introspect(let token):
            wait(for: bytes.extracting(token), bytes)
            return nil
        case .refuse(let refusal): return refuse(refusal, record, bytes, offset, count, now)
        case .answer(let answer):
            record.begin(bytes, peer: peer, worker: worker)
            let next = endOfBody(offset, count)
            let keepAlive = keepsAlive && next != nil
            worker.out.reset()
            record.status = worker.localAnswers.write(
                answer, record.facts, worker.generation.rules.hardening, keepAlive: keepAlive, wall: wall,
                date: worker.clock.date(), into: &worker.out)
            record.bytesOut += Int64(worker.out.count)
            send(worker.composed, Span())
            answered(keepAlive: keepAlive)
            return phase == .head ? next : nil
        case .forward(var plan):
            if plan.tellsRate { record.rate = worker.gatekeeper.rateStanding }
            if plan.isLogin {
                switch admit(plan, bytes) {
                case .go:
                    if let refusal = worker.gatekeeper.countLogin(&plan, record.facts, at: now) {
                        return refuse(refusal, record, bytes, offset, count, now)
                    }
                    if plan.tellsRate { record.rate = worker.gatekeeper.rateStanding }
                case .wait:
                    loginWaits()
                    return nil
                case .refuse(let refusal): return refuse(refusal, record, bytes, offset, count, now)
                }
            }
            worker.noteTraffic(of: record.facts.client, from: peer)
            record.begin(bytes, peer: peer, worker: worker)
            if record.facts.framing != .none, worker.isShortOfMemory {
                let next = endOfBody(offset, count)
                respond(with: .shortOfMemory, keepAlive: keepsAlive && next != nil)
                return phase == .head ? next : nil
            }
            return forward(plan, record, bytes, offset, count, now)
        }
    }

    /// Only more bytes can help.
    func awaitMore(of bytes: Span<UInt8>) {
        stash.keep(bytes)
        parsed = bytes.count
    }

    /// The head at the front of `bytes` is not whole yet.
    func awaitRest(of bytes: Span<UInt8>, _ now: Instant) {
        awaitMore(of: bytes)
        // Empty lines are none of a request (RFC 9112 §2.2): old clients send one behind a body.
        guard !record.hasBegun, !HeadParser.areEmptyLines(bytes) else { return }
        record.hasBegun = true
        deadline = now + worker.generation.configuration.timeouts.head
    }

    /// Where the next request begins behind one that we answer ourselves; nil: its body is not here yet, so that the
    /// rest of it could not be told from the next request. The answer then says that the connection ends (RFC 9112 §9.6).
    func endOfBody(_ offset: Int, _ count: Int) -> Int? {
        let start = offset + record.facts.headLength
        switch record.facts.framing {
        case .none: return start
        case .length(let length) where length <= Int64(count - start): return start + Int(length)
        default: return nil
        }
    }

    /// A client that has closed its sending side may have sent more requests before: the end of its bytes ends it.
    var keepsAlive: Bool { record.facts.keepAlive && !worker.isDraining && !record.closesClient }

    private func forward(
        _ plan: Plan, _ record: ExchangeRecord, _ bytes: Span<UInt8>, _ offset: Int, _ count: Int, _ now: Instant
    ) -> Int? {
        let worker = worker
        record.plan = plan
        if plan.changesProtocol { record.upgrade = worker.gatekeeper.protocolChange }
        noteIdentity(bytes, record)
        if plan.isLogin { record.audit = auditRequest(bytes) }
        let pool = worker.pools[plan.upstream]
        record.pool = pool
        if let affinity = pool.affinity { record.affinity = worker.gatekeeper.affinity(bytes, record.facts, affinity) }
        let framing = record.facts.framing
        let bodiless = framing == .none
        record.requestBody = BodyRelay(reading: framing, writingChunks: framing == .chunked)
        worker.out.reset()
        worker.gatekeeper.prepare(
            plan, record.facts, bytes, record.trace, peer: peer, link: link, way: record.way, into: &worker.out)
        // A guess that is sent twice is two guesses.
        if bodiless, plan.isIdempotent, !plan.isLogin { record.keepForReplay(worker.composed) }
        record.exchange = Exchange(
            bodiless: bodiless, replayable: record.canReplay, isLogin: plan.isLogin, attempts: pool.attempts)
        phase = bodiless ? .response : .body
        deadline = now + worker.generation.configuration.timeouts.connect
        let end = offset + record.facts.headLength
        guard lease(from: pool, record) else { return phase == .closing || phase == .closed ? nil : end }
        guard bodiless else { return relayBody(end, count) }
        server?.send(worker.composed, Span())
        if server?.isConnecting == false { requestSent(now) }
        return end
    }

    func recordBegins(_ now: Instant) {
        if record.isResting { record = worker.records.take() }
        record.reset(startedAt: now)
    }

    /// Called by the worker's sweep, and when others have answered since. If nothing is under way, nor waits to be sent, the
    /// record is for others.
    func rest() {
        record.forget(allBut: worker.generation)
        guard phase == .head, record.isSettled, !record.isResting, outbox.isEmpty else { return }
        worker.records.leaves(self)
        worker.records.give(record)
        record = worker.records.resting
    }

    /// Takes a connection for the exchange; the caller sends. False: there is none, and the client was told.
    func lease(
        from pool: UpstreamPool, _ record: ExchangeRecord, _ attempt: UpstreamPool.Attempt = .first
    ) -> Bool {
        record.leasedAt = worker.clock.now
        var attempt = attempt
        while true {
            switch pool.lease(for: self, key: record.affinity, attempt) {
            case .pooled(let connection):
                server = connection
                record.server = connection.server.label
                act(on: handle(.connected))
                return true
            case .connecting(let connection):
                server = connection
                record.server = connection.server.label
                return true
            case .failed(let server):
                let step = handle(.connectFailed)
                guard step == .retry else {
                    act(on: step)
                    return false
                }
                countRetry()
                attempt = .again(avoiding: server)
            case .refused(let refusal):
                act(on: handle(.notLeased(refusal)))
                return false
            }
        }
    }
}
