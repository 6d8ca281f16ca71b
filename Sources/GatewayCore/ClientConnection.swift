internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// A client's connection: takes requests off it one after another, asks the Gatekeeper, and moves bytes between it and
/// the upstream connection of the exchange under way. It decides nothing by itself: the Gatekeeper says whether, the
/// Exchange says when.
final class ClientConnection: ReadinessHandler {
    enum Phase {
        /// Waiting for a request, or for the rest of its head. → `body`, `response`, `closing`
        case head
        /// The body of a request is passed on. → `response`, `closing`
        case body
        /// The whole request was read; what else arrives belongs to the next one. → `head`, `closing`
        case response
        /// The last answer was given; what still arrives is thrown away until the client closes. → `closed`
        case closing
        case closed
    }

    unowned(unsafe) let worker: Worker
    let socket: StreamSocket
    let peer: IPAddress
    let peerPort: UInt16
    /// Place in the worker's table.
    var slot = 0
    var deadline = Instant.never

    private var watcher: Watcher?
    private(set) var phase = Phase.head
    /// An edge told of bytes that were not read yet. Edges are not repeated, so this remembers them.
    private var canRead = false
    /// The client has closed its sending side: it may still want its answer.
    private var peerFinished = false
    /// Bytes that were read and not used: the beginning of a head, or requests sent ahead.
    private var stash: [UInt8] = []
    /// The stash is the beginning of a head: only more bytes can help.
    private var awaitsMore = false
    private var outbox = Outbox()
    private var closesWhenFlushed = false

    private var exchange: Exchange?
    private var server: ServerConnection?
    private var requestBody = BodyRelay(reading: .none, writingChunks: false)
    /// The exchange under way, or the last one.
    private(set) var record: ExchangeRecord

    init(_ socket: StreamSocket, peer: IPAddress, port: UInt16, worker: Worker, now: Instant) {
        self.socket = socket
        self.peer = peer
        peerPort = port
        self.worker = worker
        record = ExchangeRecord(client: peer, startedAt: now)
        deadline = now + worker.generation.configuration.timeouts.idle
        watcher = Watcher(socket.descriptor, on: worker.loop, handler: self)
    }

    // MARK: Events

    func ready(_ readiness: Readiness) {
        if readiness.contains(.readable) { canRead = true }
        if readiness.contains(.closed) {
            canRead = true
            peerFinished = true
        }
        if readiness.contains(.writable), !outbox.isEmpty { flush() }
        advance()
    }

    func resume() { advance() }

    /// Reads and handles as long as there is something to read and somewhere to put it.
    private func advance() {
        var budget = 4
        while phase != .closed {
            guard mayRead, canRead || (!stash.isEmpty && !awaitsMore) else { return }
            if budget == 0 { return worker.loop.stillReady(self) }
            budget -= 1
            let limit = phase == .body || phase == .closing ? Scratch.size : Scratch.headRead
            let stashed = worker.scratch.load(&stash)
            // A request that was sent ahead is handled before anything more is read.
            if stashed > 0, !awaitsMore {
                process(stashed)
                continue
            }
            let room = worker.scratch.room(after: stashed, limit: max(limit, stashed + 4_096))
            switch socket.receive(into: room) {
            case .bytes(let count):
                // A short read emptied the socket; an edge will tell when there is more, unless the end was announced.
                if count < room.count, !peerFinished { canRead = false }
                awaitsMore = false
                process(stashed + count)
            case .wouldBlock:
                canRead = false
                if stashed > 0 { restash(worker.scratch.bytes(stashed)) }
                return
            case .ended, .failed:
                canRead = false
                peerFinished = true
                return inputEnded()
            }
        }
    }

    private var mayRead: Bool {
        switch phase {
        case .head: outbox.isEmpty
        case .body: server?.takesMore ?? false
        case .closing: true
        case .response, .closed: false
        }
    }

    private func restash(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBufferPointer { stash = Array($0) }
    }

    /// Handles the first `count` bytes of the scratch.
    private func process(_ count: Int) {
        var offset = 0
        while true {
            switch phase {
            case .head:
                guard offset < count else { return }
                guard let next = takeRequest(offset, count) else { return }
                offset = next
                // Answers that a slow client does not read must not pile up behind it.
                if phase == .head, !outbox.isEmpty, offset < count {
                    return restash(worker.scratch.bytes(count).extracting(offset..<count))
                }
            case .body:
                guard offset < count else { return }
                worker.out.reset()
                guard let next = relayBody(offset, count) else { return }
                offset = next
            case .response:
                if offset < count { restash(worker.scratch.bytes(count).extracting(offset..<count)) }
                return
            case .closing, .closed:
                return
            }
        }
    }

    private func inputEnded() {
        switch phase {
        case .head, .closing: close()
        case .body: act(on: handle(.clientLost))
        case .response: break
        case .closed: break
        }
    }

    // MARK: Requests

    /// Judges the head at `offset`. Returns where to go on in the scratch; nil: nothing more can be done now.
    private func takeRequest(_ offset: Int, _ count: Int) -> Int? {
        let now = Instant.now()
        let bytes = worker.scratch.bytes(count).extracting(offset..<count)
        if record.isSettled { record = ExchangeRecord(client: peer, startedAt: now) }
        switch worker.gatekeeper.decide(bytes, peer: peer, now: now) {
        case .incomplete:
            restash(bytes)
            awaitsMore = true
            if !record.hasBegun {
                record.hasBegun = true
                deadline = now + worker.generation.configuration.timeouts.head
            }
            return nil
        case .refuse(let refusal, let facts):
            record.begin(facts, bytes, worker: worker)
            respond(with: refusal, facts)
            return skipBody(facts, offset, count)
        case .answer(let answer, let facts):
            record.begin(facts, bytes, worker: worker)
            worker.out.reset()
            worker.localAnswers.write(
                answer, facts, keepAlive: keepsAlive(facts), date: worker.clock.date, into: &worker.out)
            record.status = 200
            send(worker.out.bytes, Span())
            answered(keepAlive: keepsAlive(facts))
            return skipBody(facts, offset, count)
        case .forward(let plan):
            record.begin(plan.facts, bytes, worker: worker)
            return forward(plan, bytes, offset, count, now)
        }
    }

    /// Behind the body of a request that was answered by ourselves: kept in step when the body is here already,
    /// otherwise the connection is closed, since its rest could not be told from the next request.
    private func skipBody(_ facts: RequestFacts, _ offset: Int, _ count: Int) -> Int? {
        guard phase == .head else { return nil }
        let start = offset + facts.headLength
        switch facts.framing {
        case .none: return start
        case .length(let length) where length <= Int64(count - start): return start + Int(length)
        default:
            closeGracefully()
            return nil
        }
    }

    private func keepsAlive(_ facts: RequestFacts) -> Bool {
        facts.keepAlive && !worker.isDraining && !peerFinished
    }

    private func forward(_ plan: Plan, _ bytes: Span<UInt8>, _ offset: Int, _ count: Int, _ now: Instant) -> Int? {
        let facts = plan.facts
        record.plan = plan
        let bodiless = facts.framing == .none
        requestBody = BodyRelay(reading: facts.framing, writingChunks: facts.framing == .chunked)
        exchange = Exchange(
            bodiless: bodiless, replayable: bodiless && plan.isIdempotent, isLogin: plan.isLogin, attempts: 2)
        worker.out.reset()
        worker.gatekeeper.prepare(plan, bytes, record.trace, peer: peer, into: &worker.out)
        guard !worker.out.overflowed else {
            act(on: .refuse(.headTooLarge))
            return nil
        }
        record.keepForReplay(worker.out.bytes, if: bodiless && plan.isIdempotent)
        phase = bodiless ? .response : .body
        deadline = now + worker.generation.configuration.timeouts.connect
        lease()
        guard phase != .closed, phase != .closing, exchange != nil else { return offset + facts.headLength }
        if bodiless {
            server?.send(worker.out.bytes, Span())
            if server?.isConnecting == false { requestSent(now) }
            return offset + facts.headLength
        }
        return relayBody(offset + facts.headLength, count)
    }

    /// Takes a connection for the exchange; the request bytes are sent by the caller.
    private func lease() {
        guard let plan = record.plan else { return }
        switch worker.pools[plan.upstream].lease(for: self) {
        case .pooled(let connection):
            server = connection
            _ = handle(.connected)
        case .connecting(let connection):
            server = connection
        case .failed:
            act(on: handle(.connectFailed))
        }
    }

    /// Passes on what the scratch holds of the body from `offset`, behind what `worker.out` holds already.
    private func relayBody(_ offset: Int, _ count: Int) -> Int? {
        guard let server else { return nil }
        let bytes = worker.scratch.bytes(count)
        let parcel = requestBody.relay(bytes, from: offset, into: &worker.out)
        record.bytesIn = requestBody.transferred
        let limit = worker.generation.configuration.limits.bodyBytes
        if limit > 0, requestBody.transferred > Int64(limit) {
            act(on: handle(.requestTooLarge))
            return nil
        }
        let now = Instant.now()
        switch parcel.progress {
        case .malformed:
            act(on: handle(.requestMalformed))
            return nil
        case .more:
            server.send(worker.out.bytes, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting {
                deadline = now + worker.generation.configuration.timeouts.body
            }
            return count
        case .ended(let next):
            phase = .response
            server.send(worker.out.bytes, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting { requestSent(now) }
            return next
        }
    }

    /// The request is out as far as this side is concerned: now the answer is waited for.
    private func requestSent(_ now: Instant) {
        guard exchange?.isRelaying == false else {
            _ = handle(.requestEnded)
            return
        }
        deadline = now + worker.generation.configuration.timeouts.response
        if requestBody.transferred > 0 || record.plan?.facts.framing != BodyFraming.none { _ = handle(.requestEnded) }
    }

    // MARK: From the upstream connection

    /// The connection that was under way is established; what was queued has been sent.
    func serverConnected() {
        _ = handle(.connected)
        let now = Instant.now()
        if phase == .response {
            requestSent(now)
        } else {
            deadline = now + worker.generation.configuration.timeouts.body
            worker.loop.stillReady(self)
        }
    }

    /// The upstream connection took everything: the body may go on.
    func serverTakesMore() {
        guard phase == .body else { return }
        deadline = Instant.now() + worker.generation.configuration.timeouts.body
        worker.loop.stillReady(self)
    }

    /// Asks the Exchange. Nil exchange: the answer came after the end and means nothing.
    func handle(_ event: Exchange.Event) -> Exchange.Step {
        guard exchange != nil else { return .none }
        return exchange!.handle(event)
    }

    /// Sends part of the answer. True: more may be sent at once.
    func relay(_ head: Span<UInt8>, _ body: Span<UInt8>) -> Bool {
        record.bytesOut += Int64(head.count + body.count)
        send(head, body)
        deadline = Instant.now() + worker.generation.configuration.timeouts.body
        return outbox.isEmpty
    }

    var takesMore: Bool { outbox.isEmpty }

    func act(on step: Exchange.Step) {
        switch step {
        case .none, .relay: break
        case .report: worker.report(failureOf: self)
        case .retry: retry()
        case .refuse(let refusal):
            discardServer()
            exchange = nil
            let facts = record.plan?.facts ?? RequestFacts(client: peer)
            let inStep = phase == .response && !refusal.closes
            respond(with: refusal, facts, keepAlive: inStep && keepsAlive(facts))
        case .finish(let keepClient, let keepUpstream):
            exchange = nil
            let facts = record.plan?.facts ?? RequestFacts(client: peer)
            if let server {
                self.server = nil
                keepUpstream ? server.release() : server.discard()
            }
            answered(keepAlive: keepClient && keepsAlive(facts) && !record.closesClient)
        case .abort:
            discardServer()
            exchange = nil
            record.wasCut = true
            settle()
            socket.resetOnClose()
            close()
        case .abandon:
            discardServer()
            exchange = nil
            record.wasCut = true
            settle()
            close()
        }
    }

    private func retry() {
        discardServer()
        record.retries += 1
        deadline = Instant.now() + worker.generation.configuration.timeouts.connect
        lease()
        record.withReplay { bytes in
            server?.send(bytes, Span())
        }
        if let server, !server.isConnecting, exchange != nil { requestSent(Instant.now()) }
    }

    private func discardServer() {
        server?.discard()
        server = nil
    }

    // MARK: Answers

    private func respond(with refusal: Refusal, _ facts: RequestFacts, keepAlive: Bool? = nil) {
        let keep = keepAlive ?? (keepsAlive(facts) && !refusal.closes)
        worker.out.reset()
        worker.gatekeeper.write(refusal, facts, record.trace, keepAlive: keep, into: &worker.out)
        record.status = refusal.status
        record.refusal = refusal
        send(worker.out.bytes, Span())
        worker.refused(refusal, self)
        answered(keepAlive: keep)
    }

    /// An answer is complete.
    private func answered(keepAlive: Bool) {
        settle()
        guard phase != .closed else { return }
        guard keepAlive else { return closeGracefully() }
        phase = .head
        deadline = Instant.now() + worker.generation.configuration.timeouts.idle
        if canRead || !stash.isEmpty { worker.loop.stillReady(self) }
    }

    private func settle() {
        guard !record.isSettled else { return }
        worker.settle(record, self)
        record.isSettled = true
    }

    private func send(_ first: Span<UInt8>, _ second: Span<UInt8>) {
        guard phase != .closed else { return }
        if !outbox.send(first, second, to: socket) { connectionLost() }
    }

    private func flush() {
        guard outbox.flush(to: socket) else { return connectionLost() }
        guard outbox.isEmpty else { return }
        if closesWhenFlushed { return finishSending() }
        server?.clientTakesMore()
    }

    /// The client's connection broke.
    private func connectionLost() {
        canRead = false
        outbox.removeAll()
        let step = handle(.clientLost)
        if exchange != nil, step == .none {
            // A verdict on a login is still waited for; nobody will read the answer.
            detach()
        } else if exchange != nil {
            act(on: step)
        } else {
            close()
        }
    }

    /// Closes the client's side while the exchange goes on.
    private func detach() {
        watcher?.cancel()
    }

    // MARK: Ending

    /// Sends FIN behind the answer and waits for the client's own: closing with unread bytes would send RST, and the
    /// answer could be lost with it (RFC 9112 §9.6).
    private func closeGracefully() {
        guard phase != .closed else { return }
        phase = .closing
        stash = []
        deadline = Instant.now() + .seconds(2)
        if outbox.isEmpty { finishSending() } else { closesWhenFlushed = true }
    }

    private func finishSending() {
        if peerFinished { return close() }
        socket.finishSending()
        if canRead { worker.loop.stillReady(self) }
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        discardServer()
        exchange = nil
        outbox.removeAll()
        stash = []
        watcher?.cancel()
        socket.close()
        worker.remove(self)
    }

    // MARK: Time

    /// Called by the worker's sweep when `deadline` has passed.
    func deadlinePassed() {
        deadline = .never
        switch phase {
        case .head:
            if record.hasBegun, !record.isSettled {
                respond(with: .headTimeout, RequestFacts(client: peer))
            } else {
                close()
            }
        case .body, .response: act(on: handle(.timedOut))
        case .closing: close()
        case .closed: break
        }
    }

    /// The process is ending: a connection without a request is closed at once, the others behind their answer.
    func drain() {
        if phase == .head, !record.hasBegun || record.isSettled, stash.isEmpty { close() }
    }

    /// The Ledger has spoken on the failed login of this exchange.
    func judged() {
        guard let server else { return }
        let step = handle(.judged)
        if step == .relay { server.judged() } else { act(on: step) }
    }
}
