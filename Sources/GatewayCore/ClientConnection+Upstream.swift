internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What an upstream connection tells the client's, and what becomes of the exchange then.
extension ClientConnection {
    // MARK: To the upstream connection

    /// Passes on what the scratch holds of the body from `offset`, behind what `worker.out` holds already.
    func relayBody(_ offset: Int, _ count: Int) -> Int? {
        guard let server else { return nil }
        let bytes = worker.scratch.bytes(count)
        let parcel = record.requestBody.relay(bytes, from: offset, into: &worker.out)
        record.bytesIn = Int64(record.facts.headLength) + record.requestBody.transferred
        // A message with a piece left out would be read as another one: nothing of it may go.
        if bodyIsTooLarge || worker.out.overflowed {
            act(on: handle(.requestTooLarge), endedBy: .clientLost)
            return nil
        }
        let now = worker.clock.now
        switch parcel.progress {
        case .malformed:
            act(on: handle(.requestMalformed), endedBy: .clientLost)
            return nil
        case .more:
            server.send(worker.composed, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting { deadline = now + bodyTime }
            return count
        case .ended(let next):
            phase = .response
            server.send(worker.composed, bytes.extracting(parcel.tail))
            if self.server != nil, !server.isConnecting { requestSent(now) }
            return next
        }
    }

    /// The request is out as far as this side is concerned: now the answer is waited for.
    func requestSent(_ now: Instant) {
        guard record.exchange?.isRelaying == false else {
            act(on: handle(.requestEnded))
            return
        }
        deadline = now + responseTimeout
        if record.facts.framing != .none { act(on: handle(.requestEnded)) }
    }

    /// How long nothing may move of the request's body.
    private var bodyTime: Interval {
        awaitsGoAhead ? responseTimeout : worker.generation.configuration.timeouts.body
    }

    /// The client may wait with its body for the server's word (RFC 9110 §10.1.1): the server's silence is not the client's.
    var awaitsGoAhead: Bool {
        phase == .body && record.facts.expectsContinue && bodyBytes == 0 && server?.saidContinue != true
    }

    // MARK: From the upstream connection

    /// The connection that was under way is established; what was queued has been sent.
    func serverConnected() {
        act(on: handle(.connected))
        goOn()
    }

    /// The connection is there and took what was queued: wait for the answer, or go on with the body.
    private func goOn() {
        let now = worker.clock.now
        if phase == .response {
            requestSent(now)
        } else {
            deadline = now + bodyTime
            worker.loop.stillReady(self)
        }
    }

    /// The upstream connection took something: slow is not stuck.
    func serverTakes() {
        switch phase {
        case .body: deadline = worker.clock.now + bodyTime
        case .tunnel: tunnelDrains(to: .server)
        default: return
        }
    }

    /// The upstream connection took everything: the body may go on.
    func serverTakesMore() {
        guard phase == .body || phase == .tunnel else { return }
        serverTakes()
        worker.loop.stillReady(self)
    }

    /// Asks the Exchange. Nil exchange: the answer came after the end and means nothing.
    func handle(_ event: Exchange.Event) -> Exchange.Step {
        guard record.exchange != nil else { return .none }
        if let guess = record.guess {
            guess.note(event)
            // How fast the client reads its answer must not keep others waiting.
            if guess.isAnswered {
                record.judgedGuess = guess
                endGuess()
            }
        }
        let step = record.exchange!.handle(event)
        if case .retry = step, record.pool?.mayRetry() == false { return record.exchange!.handle(.retryDenied) }
        return step
    }

    /// The head of the answer is about to be relayed.
    func answerBegins(_ response: Response) {
        record.status = response.status
        record.upstreamStatus = response.status
        // Once `Connection: close` was written it is kept, even if the request turns out to end in time.
        record.closesClient = response.endsWithConnection || !keepsAlive || phase != .response
        if response.isEventStream { eventStreamBegins() }
        if response.status == 401 { refusedByBackend() }
    }

    /// Whether this was a login is for the operator to say.
    private func refusedByBackend() {
        // After a reload the place of the route would be that of another.
        guard let plan = record.plan, !plan.isLogin, !plan.isIdempotent, !plan.isByBreakGlass, record.identity == nil,
            let route = record.facts.route, record.isOf(worker.generation)
        else { return }
        worker.refusedUnwatched(at: route)
    }

    /// Whether the next request may come on this connection, as far as is known when an answer begins.
    var willKeepAlive: Bool { !record.closesClient }

    /// Sends part of the answer.
    func relay(_ head: Span<UInt8>, _ body: Span<UInt8>) {
        assert(!record.isResting)
        record.bytesOut += Int64(head.count + body.count)
        send(head, body)
        relayed()
    }

    /// Something of the answer went out, or waits to.
    func relayed() {
        // An interim answer gives the client time for its body, and takes none from the answer itself.
        let isInterim = record.exchange?.isRelaying == false && (phase == .response || awaitsGoAhead)
        // The place of a login does not last longer for it.
        if isInterim, record.guess != nil { return }
        deadline = worker.clock.now + (isInterim ? responseTimeout : silence)
    }

    var responseTimeout: Interval {
        record.plan?.responseTimeout ?? worker.generation.configuration.timeouts.response
    }

    /// How long nothing may move on an answer. An event stream may be quiet, but who does not read it is stuck.
    var silence: Interval {
        let timeouts = worker.generation.configuration.timeouts
        return record.isEventStream && record.exchange != nil && outbox.isEmpty ? timeouts.tunnel : timeouts.body
    }

    /// What was sent of the answer so far is out; more may be read for it. A verdict on a login is read in any case: who does
    /// not read the interim answers before it would guess for nothing, and their number and size have limits.
    var takesMore: Bool { outbox.isEmpty || record.guess?.isForwarded == true }

    /// - Parameter end: who or what cuts the answer off, if the step does.
    func act(on step: Exchange.Step, endedBy end: TunnelEnd = .serverLost) {
        switch step {
        case .none, .relay, .tunnel: break
        case .report: worker.report(failureOf: self)
        case .retry: retry()
        case .refuse(let refusal):
            // The request was read to its end, so the next one can be told from it.
            let isInStep = phase == .response && !refusal.closes
            discardServer()
            record.exchange = nil
            respond(with: refusal, keepAlive: isInStep && keepsAlive)
        case .finish(let keepClient, let keepUpstream):
            record.exchange = nil
            if let server {
                self.server = nil
                keepUpstream ? server.release() : server.discard()
            }
            // Its head has said whether it is the last. If it did not, the client may be sending the next request already,
            // also if we have begun to drain since.
            answered(keepAlive: keepClient && record.facts.keepAlive && !record.closesClient)
        case .abort: cut(end) { channel.resetOnClose() }
        case .abandon: cut(.clientLost) {}
        }
    }

    private func cut(_ end: TunnelEnd, _ prepare: () -> Void) {
        discardServer()
        record.exchange = nil
        record.wasCut = true
        if record.end == nil { record.end = end }
        settle()
        prepare()
        close()
    }

    /// Another connection for the same request: with what the last one did not send, or with the kept head.
    private func retry() {
        let unsent = server?.takeUnsent()
        let blamed = server?.blamed
        discardServer()
        countRetry()
        deadline = worker.clock.now + worker.generation.configuration.timeouts.connect
        guard let pool = record.pool, lease(from: pool, record, .again(avoiding: blamed)), let server else { return }
        if let unsent {
            server.send(unsent.span, Span())
        } else {
            record.withReplay { server.send($0, Span()) }
        }
        if !server.isConnecting { goOn() }
    }

    func countRetry() {
        record.retries += 1
        record.pool?.retried()
    }

    func discardServer() {
        server?.discard()
        server = nil
    }
}
