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
    private var pool: UpstreamPool?
    private var requestBody = BodyRelay(reading: .none, writingChunks: false)
    /// The exchange under way, or the last one.
    var record: ExchangeRecord

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
                // A reset that came together with these bytes has no edge of its own (libevent tells of both as readable).
                if phase == .head && awaitsMore || phase == .body { canRead = true }
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
        let wall = WallTime.now()
        let bytes = worker.scratch.bytes(count).extracting(offset..<count)
        if record.isSettled { record = ExchangeRecord(client: peer, startedAt: now) }
        switch worker.gatekeeper.decide(bytes, peer: peer, now: now, wall: wall) {
        case .incomplete:
            restash(bytes)
            awaitsMore = true
            if !record.hasBegun {
                record.hasBegun = true
                deadline = now + worker.generation.configuration.timeouts.head
            }
            return nil
        case .refuse(let refusal, let facts):
            record.begin(facts, bytes, peer: peer, worker: worker)
            audit(refusal, bytes, now)
            respond(with: refusal, keepAlive: keepsAlive && !refusal.closes)
            return skipBody(offset, count)
        case .answer(let answer, let facts):
            record.begin(facts, bytes, peer: peer, worker: worker)
            worker.out.reset()
            record.status = worker.localAnswers.write(
                answer, facts, keepAlive: keepsAlive, wall: wall, date: worker.clock.date(wall), into: &worker.out)
            record.bytesOut = Int64(worker.out.count)
            send(worker.composed, Span())
            answered(keepAlive: keepsAlive)
            return skipBody(offset, count)
        case .forward(let plan):
            record.begin(plan.facts, bytes, peer: peer, worker: worker)
            return forward(plan, bytes, offset, count, now)
        }
    }

    /// Writes the audit record of a refusal while the request's bytes are still there.
    private func audit(_ refusal: Refusal, _ bytes: Span<UInt8>, _ now: Instant) {
        let claimed = worker.gatekeeper.tokenRefusal
        let token = worker.gatekeeper.refusedToken.map {
            AuditToken(bytes.extracting($0), issuedAt: claimed?.issuedAt, expiresAt: claimed?.expiresAt)
        }
        worker.telemetry.record(refusal, auditRequest(bytes), token: token, claimed: claimed, now: now)
    }

    private func auditRequest(_ bytes: Span<UInt8>) -> AuditRequest {
        let facts = record.facts
        return worker.gatekeeper.withPathForLogs(bytes, facts) { path in
            AuditRequest(
                facts, bytes, path: path, peer: peer, peerPort: peerPort,
                route: facts.route.map { worker.generation.configuration.routes[$0].name }, trace: record.trace)
        }
    }

    /// Behind the body of a request that was answered by ourselves: kept in step when the body is here already,
    /// otherwise the connection is closed, since its rest could not be told from the next request.
    private func skipBody(_ offset: Int, _ count: Int) -> Int? {
        guard phase == .head else { return nil }
        let start = offset + record.facts.headLength
        switch record.facts.framing {
        case .none: return start
        case .length(let length) where length <= Int64(count - start): return start + Int(length)
        default:
            closeGracefully()
            return nil
        }
    }

    /// A client that has closed its sending side may have sent more requests before: it is the end of its bytes that ends it.
    private var keepsAlive: Bool { record.facts.keepAlive && !worker.isDraining }

    private func forward(_ plan: Plan, _ bytes: Span<UInt8>, _ offset: Int, _ count: Int, _ now: Instant) -> Int? {
        let facts = plan.facts
        record.plan = plan
        record.identity = worker.gatekeeper.identity
        if record.identity != nil { worker.telemetry.metrics.countAuthSuccess(.token) }
        if plan.isLogin { record.audit = auditRequest(bytes) }
        pool = worker.pools[plan.upstream]
        let bodiless = facts.framing == .none
        requestBody = BodyRelay(reading: facts.framing, writingChunks: facts.framing == .chunked)
        worker.out.reset()
        worker.gatekeeper.prepare(plan, bytes, record.trace, peer: peer, into: &worker.out)
        if bodiless, plan.isIdempotent { record.keepForReplay(worker.composed) }
        exchange = Exchange(
            bodiless: bodiless, replayable: record.canReplay, isLogin: plan.isLogin, attempts: 2)
        phase = bodiless ? .response : .body
        deadline = now + worker.generation.configuration.timeouts.connect
        guard lease() else { return phase == .closing || phase == .closed ? nil : offset + facts.headLength }
        guard bodiless else { return relayBody(offset + facts.headLength, count) }
        server?.send(worker.composed, Span())
        if server?.isConnecting == false { requestSent(now) }
        return offset + facts.headLength
    }

    /// Takes a connection for the exchange; the caller sends. False: there is none, and the client was told.
    private func lease() -> Bool {
        guard let pool else { return false }
        record.leasedAt = Instant.now()
        while true {
            switch pool.lease(for: self) {
            case .pooled(let connection):
                server = connection
                record.server = connection.server.label
                act(on: handle(.connected))
                return true
            case .connecting(let connection):
                server = connection
                record.server = connection.server.label
                return true
            case .failed:
                record.metrics?.upstreamConnectFailed(record.plan?.upstream ?? 0)
                let step = handle(.connectFailed)
                guard step == .retry else {
                    act(on: step)
                    return false
                }
            }
        }
    }

    /// Passes on what the scratch holds of the body from `offset`, behind what `worker.out` holds already.
    private func relayBody(_ offset: Int, _ count: Int) -> Int? {
        guard let server else { return nil }
        let bytes = worker.scratch.bytes(count)
        let parcel = requestBody.relay(bytes, from: offset, into: &worker.out)
        record.bytesIn = Int64(record.facts.headLength) + requestBody.transferred
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
            server.send(worker.composed, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting {
                deadline = now + worker.generation.configuration.timeouts.body
            }
            return count
        case .ended(let next):
            phase = .response
            server.send(worker.composed, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting { requestSent(now) }
            return next
        }
    }

    /// The request is out as far as this side is concerned: now the answer is waited for.
    private func requestSent(_ now: Instant) {
        guard exchange?.isRelaying == false else {
            act(on: handle(.requestEnded))
            return
        }
        deadline = now + worker.generation.configuration.timeouts.response
        if record.facts.framing != .none { act(on: handle(.requestEnded)) }
    }

    // MARK: From the upstream connection

    /// The connection that was under way is established; what was queued has been sent.
    func serverConnected() {
        act(on: handle(.connected))
        record.metrics?.upstreamConnected(record.plan?.upstream ?? 0)
        goOn()
    }

    /// The connection is there and took what was queued: wait for the answer, or go on with the body.
    private func goOn() {
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

    /// The head of the answer is about to be relayed.
    func answerBegins(_ response: Response) {
        record.status = response.status
        record.upstreamStatus = response.status
        // Once `Connection: close` was written it is kept, even if the request turns out to end in time.
        record.closesClient = response.endsWithConnection || !keepsAlive || phase != .response
    }

    /// Whether the next request may come on this connection, as far as is known when an answer begins.
    var willKeepAlive: Bool { !record.closesClient }

    /// Sends part of the answer. True: more may be sent at once.
    func relay(_ head: Span<UInt8>, _ body: Span<UInt8>) -> Bool {
        record.bytesOut += Int64(head.count + body.count)
        send(head, body)
        // An interim answer gives the client time for its body, and takes none from the answer itself.
        let timeouts = worker.generation.configuration.timeouts
        let isInterim = exchange?.isRelaying == false && phase == .response
        deadline = Instant.now() + (isInterim ? timeouts.response : timeouts.body)
        return outbox.isEmpty
    }

    var takesMore: Bool { outbox.isEmpty }

    func act(on step: Exchange.Step) {
        switch step {
        case .none, .relay: break
        case .report: worker.report(failureOf: self)
        case .retry: retry()
        case .refuse(let refusal):
            // The request was read to its end, so the next one can be told from it.
            let isInStep = phase == .response && !refusal.closes
            discardServer()
            exchange = nil
            respond(with: refusal, keepAlive: isInStep && keepsAlive)
        case .finish(let keepClient, let keepUpstream):
            exchange = nil
            if let server {
                self.server = nil
                keepUpstream ? server.release() : server.discard()
            }
            answered(keepAlive: keepClient && keepsAlive && !record.closesClient)
        case .abort: cut { socket.resetOnClose() }
        case .abandon: cut {}
        }
    }

    private func cut(_ prepare: () -> Void) {
        discardServer()
        exchange = nil
        record.wasCut = true
        settle()
        prepare()
        close()
    }

    /// Another connection for the same request: with what the last one did not send, or with the kept head.
    private func retry() {
        let unsent = server?.takeUnsent()
        discardServer()
        record.retries += 1
        record.metrics?.upstreamRetried(record.plan?.upstream ?? 0)
        deadline = Instant.now() + worker.generation.configuration.timeouts.connect
        guard lease(), let server else { return }
        if let unsent {
            server.send(unsent.span, Span())
        } else {
            record.withReplay { server.send($0, Span()) }
        }
        if !server.isConnecting { goOn() }
    }

    private func discardServer() {
        server?.discard()
        server = nil
    }

    // MARK: Answers

    private func respond(with refusal: Refusal, keepAlive: Bool) {
        let origin = record.origin
        let trace = record.trace
        worker.out.reset()
        worker.gatekeeper.write(
            refusal, record.facts, origin: origin.span, requestID: trace.requestID,
            date: worker.clock.date(WallTime.now()), keepAlive: keepAlive, into: &worker.out)
        record.status = refusal.status
        record.refusal = refusal
        record.bytesOut += Int64(worker.out.count)
        worker.telemetry.count(refusal)
        send(worker.composed, Span())
        answered(keepAlive: keepAlive)
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
        if record.plan?.isLogin == true, (200..<300).contains(record.status), let request = record.audit {
            worker.report(successOf: request)
        }
        record.settle(peer: peer, port: peerPort, worker: worker)
        pool = nil
    }

    private func send(_ first: Span<UInt8>, _ second: Span<UInt8>) {
        guard phase != .closed else { return }
        if !outbox.send(first, second, to: socket) { connectionLost() }
    }

    private func flush() {
        let waiting = outbox.count
        guard outbox.flush(to: socket) else { return connectionLost() }
        // Slow is not stuck: whoever takes something gets the time to take the rest.
        if outbox.count < waiting, deadline != .never {
            deadline = max(deadline, Instant.now() + worker.generation.configuration.timeouts.body)
        }
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
        guard outbox.isEmpty else {
            // A slow reader has the time for the rest of its answer that it had for the answer.
            deadline = Instant.now() + worker.generation.configuration.timeouts.body
            closesWhenFlushed = true
            return
        }
        finishSending()
    }

    private func finishSending() {
        // The end was announced, but what stands before it must be read too, or `close` would send RST.
        if peerFinished, !canRead { return close() }
        deadline = Instant.now() + .seconds(2)
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
                record.facts = RequestFacts(client: peer)
                respond(with: .headTimeout, keepAlive: false)
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
        guard phase == .head, !record.hasBegun || record.isSettled, stash.isEmpty else { return }
        outbox.isEmpty ? close() : closeGracefully()
    }

    /// The deadline of draining has passed.
    func cutOff() {
        exchange == nil ? close() : act(on: .abort)
    }

    /// The Ledger has spoken on the failed login of this exchange.
    func judged() {
        guard let server else { return }
        let step = handle(.judged)
        if step == .relay { server.judged() } else { act(on: step) }
    }
}
