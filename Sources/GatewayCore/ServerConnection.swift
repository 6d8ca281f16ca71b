internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// A connection to a server of an upstream: idle in its pool, or carrying one exchange for a client's connection. It
/// reads responses and hands them on; what they mean for the exchange is asked of the client's `Exchange`.
final class ServerConnection: ReadinessHandler {
    let pool: UpstreamPool
    let worker: Worker
    let server: UpstreamPool.Server
    let channel: Channel
    private var watcher: Watcher?
    var phase = Phase.connecting
    private(set) var client: ClientConnection?
    private var errand = Errand.request
    private(set) var departure = Departure.begun

    var canRead = false
    /// Bytes came, and the connection may have been reset behind them unnoticed.
    private var owesLook = false
    private(set) var peerFinished = false
    var stash: Stash
    /// What the server must get before everything else, TLS included: a PROXY header, or nothing.
    var preface: [UInt8] = []
    /// Of an answer in `verdict`.
    var pendingVerdict = PendingVerdict()
    /// How much of the stash was found to be the beginning of a head.
    private var parsed = 0
    var outbox: Outbox
    var responseBody = BodyRelay(reading: .none, writingChunks: false)
    private var responseKeepsAlive = false
    /// Of the last answer: `Response.mayBeFollowed`.
    var mayBeFollowed = false
    /// Interim responses so far: a server that sends nothing else is broken or hostile.
    private var interimCount = 0
    /// It has told the client to send its body. Other interim answers do not (RFC 9110 §10.1.1).
    private(set) var saidContinue = false
    /// Something of an answer has come, if only half of a line.
    private(set) var isAnswering = false
    private static let interimLimit = 16
    /// A body of up to this many bytes is copied behind its head: cheaper than sending two pieces in one call.
    private static let copiedBody = 8 * 1_024
    /// When the pool put it aside.
    private(set) var idleSince = Instant.never

    init(_ channel: Channel, to server: UpstreamPool.Server, pool: UpstreamPool, worker: Worker) {
        self.channel = channel
        self.server = server
        self.pool = pool
        self.worker = worker
        stash = Stash(worker.account)
        outbox = Outbox(worker.account)
        watcher = Watcher(channel.socket.descriptor, on: worker.loop, handler: self)
    }

    var isConnecting: Bool { phase == .connecting || phase == .handshake }
    /// Of an idle connection: the server has neither closed it nor said anything. One call to the system.
    var isQuiet: Bool {
        guard channel.mayHoldMore else { return channel.socket.isQuiet }
        canRead = true
        return isSilent()
    }
    /// It has carried an exchange before: that its server closes it now is no failure (RFC 9112 §9.3.1).
    var isReused: Bool { idleSince != .never }
    /// The request's body may go on: what was given so far is out.
    var takesMore: Bool { !isConnecting && outbox.isEmpty }

    /// Begins to serve `client`: a new connection stays `connecting`, a pooled one expects a head at once.
    func assign(to client: ClientConnection, _ errand: Errand) {
        self.client = client
        self.errand = errand
        if pool.countsLoad { server.tally.began() }
        interimCount = 0
        saidContinue = false
        isAnswering = false
        guard phase == .idle else { return }
        phase = .head
        departure = .due
        watcher?.comesFirst(false)
    }

    // MARK: Events

    func ready(_ readiness: Readiness) {
        worker.tick()
        let readiness = channel.crossReadiness(readiness)
        if isConnecting {
            guard connect(readiness) else { return }
        } else if readiness.contains(.writable), !outbox.isEmpty, departure != .impossible {
            let waiting = outbox.count
            guard outbox.flush(to: channel) else {
                lookForAnswer()
                return advance()
            }
            if outbox.isEmpty { client?.serverTakesMore() } else if outbox.count < waiting { client?.serverTakes() }
        }
        if readiness.contains(.readable) { canRead = true }
        if readiness.contains(.closed) {
            canRead = true
            peerFinished = true
        }
        if phase == .idle {
            // Closed by the server, or bytes nobody asked for: either way it cannot be used again.
            if !isSilent() { return discard() }
            // Once is enough: a server that goes on with messages of TLS must not keep others waiting.
            watcher?.comesFirst(false)
            return
        }
        advance()
    }

    func resume() {
        worker.tick()
        advance()
    }

    private func advance() {
        if departure == .impossible, phase == .head { return neverLeft() }
        let worker = worker
        var budget = ClientConnection.readsPerTurn
        while isReading {
            guard let client, client.takesMore, canRead || phase == .judged else { return }
            if budget == 0 { return worker.loop.stillReady(self) }
            budget -= 1
            let stashed = worker.scratch.load(&stash)
            if phase == .judged {
                process(stashed, for: client)
                continue
            }
            if stashed == 0, spliceBody(to: client) { continue }
            let room = worker.scratch.room(after: stashed, limit: Scratch.size)
            switch channel.receive(into: room) {
            case .bytes(let count):
                if count < room.count, !peerFinished, !channel.mayHoldMore { canRead = false }
                let bytes = worker.scratch.bytes(stashed + count)
                if stashed > 0, phase == .head, !isWorthParsing(bytes, stashed) {
                    stash.keep(bytes)
                } else if isTooLittle(bytes) {
                    stash.keep(bytes)
                } else {
                    process(stashed + count, for: client)
                }
                // libevent tells of a reset as of bytes, so one that came together with these has no edge of its own:
                // whoever waits for the rest of a head asks once more, a stream of bytes is looked at by the next sweep.
                if phase == .head || phase == .verdict { canRead = true }
                owesLook = true
            case .wouldBlock:
                canRead = false
                if stashed > 0 { stash.keep(worker.scratch.bytes(stashed)) }
                if phase == .tunnel, departure == .brokenOff { client.endTunnel(.serverLost) }
            case .ended:
                canRead = false
                peerFinished = true
                switch phase {
                case .tunnel where departure == .brokenOff: client.serverBrokeOff(isCut: isCut)
                case .tunnel: client.tunnelEnded(.server)
                case .verdict: isCut ? lost() : verdictAtClose(stashed)
                default: responseEndedByClose()
                }
            case .failed:
                canRead = false
                phase == .tunnel ? client.endTunnel(.serverLost) : lost()
            }
        }
    }

    private func isWorthParsing(_ bytes: Span<UInt8>, _ stashed: Int) -> Bool {
        HeadParser.isWorthParsing(bytes, from: stashed, parsed: parsed, limits: worker.generation.rules.headLimits)
    }

    /// Called by the worker's sweep, while there is a client.
    func lookForReset() {
        guard owesLook, phase == .body || phase == .tunnel else { return }
        owesLook = false
        guard !canRead else { return }
        canRead = true
        worker.loop.stillReady(self)
    }

    /// Bytes that the server has not acknowledged, those that wait here included.
    var untaken: Int64 { Int64(outbox.count) + Int64(channel.socket.unacknowledged) }

    /// Bytes of buffers.
    var held: Int { stash.count + outbox.held }

    func blame(_ failure: UpstreamFailure) {
        pool.blame(server, for: failure, errand)
        errand = .request
        blamed = server
    }

    /// The server, if it was at fault: another attempt is better made elsewhere.
    private(set) var blamed: UpstreamPool.Server?

    func act(on event: Exchange.Event) {
        guard let client else { return discard() }
        client.act(on: client.handle(event))
    }

    // MARK: Requests

    /// Sends part of a request, or queues it until the connection is there.
    func send(_ first: Span<UInt8>, _ second: Span<UInt8>) {
        // Behind what a tunnel has lost nothing may follow.
        guard phase != .closed, phase != .tunnel || departure != .brokenOff else { return }
        if isConnecting || departure == .impossible {
            outbox.append(first)
            outbox.append(second)
        } else if outbox.send(first, second, to: channel) {
            departure = .begun
        } else {
            // Of a session it cannot be said that nothing left: a message has more than one record.
            if departure == .due, channel.session == nil {
                departure = .impossible
                outbox.append(first)
                outbox.append(second)
            } else {
                lookForAnswer()
            }
            worker.loop.stillReady(self)
        }
    }

    /// The rest of the request, or of what goes through a tunnel, cannot be sent. A server may answer and close before
    /// it has read everything, so what it said is read before it is given up.
    func lookForAnswer() {
        departure = .brokenOff
        outbox.removeAll()
        canRead = true
        peerFinished = true
    }

    /// What was queued while the connection was under way, or could not leave at all; nil once something has left.
    func takeUnsent() -> [UInt8]? {
        isConnecting || departure == .impossible ? outbox.takeAll() : nil
    }

    /// The client read what was queued for it: go on.
    func clientTakesMore() {
        if canRead || !stash.isEmpty { worker.loop.stillReady(self) }
    }

    // MARK: Responses

    /// - Parameter ended: the server's connection has, behind these bytes.
    func process(_ count: Int, for client: ClientConnection, ended: Bool = false) {
        process(count, for: client, client.record, ended)
    }

    private func process(_ count: Int, for client: ClientConnection, _ record: ExchangeRecord, _ ended: Bool) {
        let worker = worker
        var offset = 0
        worker.out.reset()
        while phase == .head || phase == .verdict || phase == .judged {
            let bytes = worker.scratch.bytes(count).extracting(offset..<count)
            let context = record.context(under: worker.generation)
            switch worker.responses.parse(bytes, to: context) {
            case .incomplete:
                // Interim answers that came before are passed on now.
                if worker.out.count > 0 { client.relay(worker.composed, Span()) }
                // The client may be gone with them, and this connection with it.
                guard phase != .closed else { return }
                parsed = bytes.count
                isAnswering = true
                return stash.keep(bytes)
            case .malformed:
                return malformed()
            case .malformedFailedLogin(let rows):
                record.failedRows = rows
                // Nothing more is read of it, but the exchange keeps it until the failure is counted.
                phase = .held
                return malformed(.failedLoginMalformed)
            case .interim(let status, let length):
                interimCount += 1
                if status == 100 { saidContinue = true }
                isAnswering = true
                guard interimCount <= Self.interimLimit else { return malformed() }
                worker.responses.writeInterim(bytes, to: context, into: &worker.out)
                offset += length
                if offset == count { return client.relay(worker.composed, Span()) }
            case .switching(let length):
                return becomeTunnel(bytes, length, context, client)
            case .final(let response):
                probeAnswered(response.status)
                var failedRows = response.failedRows
                if phase != .judged, !response.undecidedRows.isEmpty {
                    guard let rows = verdict(on: response, bytes, ended: ended, for: client) else { return }
                    failedRows = rows
                }
                // Of one that was judged it stands as it was, of what the body said, too.
                if phase != .judged { record.failedRows = failedRows }
                let step =
                    phase == .judged ? .relay : client.handle(.responseHead(failedLogin: !failedRows.isEmpty))
                guard step == .relay else {
                    if step == .report {
                        if worker.out.count > 0 { client.relay(worker.composed, Span()) }
                        phase = .held
                        stash.keep(bytes)
                    }
                    return client.act(on: step)
                }
                guard compose(response, bytes, to: context, for: client, record) else { return malformed() }
                phase = .body
                if response.isEventStream {
                    pool.answered(by: server, status: response.status)
                    if client.eventStreamEnds(with: worker.composed) { return }
                }
                offset += response.headLength
            }
        }
        if phase == .tunnel {
            client.tunnelReceived(worker.scratch.bytes(count), from: .server)
        } else if phase == .body {
            relayBody(offset, count, for: client)
        }
    }

    func probeAnswered(_ status: Int) {
        guard errand == .probe else { return }
        errand = .request
        pool.probed(status: status)
    }

    /// Writes the head for the client behind the interim ones and gets ready for the body. False: it does not fit.
    private func compose(
        _ response: Response, _ bytes: Span<UInt8>, to context: ResponseContext, for client: ClientConnection,
        _ record: ExchangeRecord
    ) -> Bool {
        let worker = worker
        client.answerBegins(response)
        let trace = record.trace
        worker.responses.writeHead(
            response, bytes, to: context, keepAlive: client.willKeepAlive,
            date: worker.clock.date(), requestID: trace.requestID, into: &worker.out)
        responseBody = BodyRelay(reading: response.framing, writingChunks: response.writesChunks)
        responseKeepsAlive = response.keepAlive
        mayBeFollowed = response.mayBeFollowed
        return !worker.out.overflowed
    }

    private func relayBody(_ offset: Int, _ count: Int, for client: ClientConnection) {
        let worker = worker
        let bytes = worker.scratch.bytes(count)
        let parcel = responseBody.relay(bytes, from: offset, into: &worker.out)
        if worker.out.count > 0 || !parcel.tail.isEmpty {
            if parcel.tail.count <= Self.copiedBody {
                worker.out.append(bytes, parcel.tail)
                client.relay(worker.composed, Span())
            } else {
                client.relay(worker.composed, bytes.extracting(parcel.tail))
            }
            worker.out.reset()
            // The client may be gone with it, and this connection with the client.
            guard phase != .closed else { return }
        }
        switch parcel.progress {
        case .more: break
        case .malformed: malformed()
        case .ended(let next):
            // A server that did not want the body resets the connection behind its answer, unnoticed if both came at once.
            let clean =
                next == count && responseKeepsAlive && !peerFinished && outbox.isEmpty
                && (client.record.facts.framing == .none || channel.socket.pendingError == 0)
            pool.answered(by: server, status: client.record.status)
            client.act(on: client.handle(.responseEnded(reusable: clean)))
        }
    }

    /// What was read as the end of the connection is none: sending has met a reset before. The end of a session is the
    /// server's own word, whatever became of its connection.
    private var isCut: Bool { outbox.wasReset && channel.session == nil }

    private func responseEndedByClose() {
        guard let client else { return discard() }
        worker.out.reset()
        if phase == .body, !isCut, responseBody.endAtClose(into: &worker.out) {
            if worker.out.count > 0 { client.relay(worker.composed, Span()) }
            pool.answered(by: server, status: client.record.status)
            client.act(on: client.handle(.responseEnded(reusable: false)))
        } else {
            lost()
        }
    }

    // MARK: Ending

    /// The exchange is over and the connection provably clean: back to the pool.
    func release() {
        leaveClient()
        phase = .idle
        idleSince = worker.clock.now
        // Whatever arrives while nobody waits for it is to be seen before the next request takes the connection (RFC 9112 §9.2).
        let isClean = isSilent() && watcher?.comesFirst(true) == true
        if !isClean || !pool.putBack(self) { discard() }
    }

    private func leaveClient() {
        guard client != nil else { return }
        client = nil
        if pool.countsLoad { server.tally.ended() }
        if errand == .probe { pool.gate.returnPermit() }
    }

    func discard() {
        guard phase != .closed else { return }
        let wasIdle = phase == .idle
        if !isConnecting { pool.disconnected() }
        phase = .closed
        leaveClient()
        stash.removeAll()
        outbox.removeAll()
        watcher?.cancel()
        // The length of a request is never told by the end of its connection, so the goodbye cannot complete a half one.
        channel.sayGoodbye()
        channel.close()
        if wasIdle { pool.remove(self) }
        worker.keepUntilEndOfTurn(self)
    }
}
