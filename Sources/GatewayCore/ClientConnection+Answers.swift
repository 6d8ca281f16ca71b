internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// How a client's connection answers and how it ends.
extension ClientConnection {
    // MARK: Answers

    /// Answers the request at the front of `bytes` with a refusal. Returns where to go on in the scratch, as `takeRequest`.
    func refuse(
        _ refusal: Refusal, _ record: ExchangeRecord, _ bytes: Span<UInt8>, _ offset: Int, _ count: Int, _ now: Instant
    ) -> Int? {
        let worker = worker
        worker.noteTraffic(of: record.facts.client, from: peer)
        record.begin(bytes, peer: peer, worker: worker)
        record.identity = worker.gatekeeper.identity
        audit(refusal, record, bytes, now)
        if worker.gatekeeper.missesKey { worker.reportMissingKey() }
        if case .challengeRequired = refusal.code { pose(bytes) }
        let next = endOfBody(offset, count)
        respond(with: refusal, record, keepAlive: keepsAlive && !refusal.closes && next != nil)
        return phase == .head ? next : nil
    }

    func respond(with refusal: Refusal, keepAlive: Bool) { respond(with: refusal, record, keepAlive: keepAlive) }

    private func respond(with refusal: Refusal, _ record: ExchangeRecord, keepAlive: Bool) {
        let worker = worker
        assert(!record.isResting)
        let origin = record.origin(under: worker.generation)
        let trace = record.trace
        worker.out.reset()
        worker.gatekeeper.write(
            refusal, record.facts, origin: origin.span, requestID: trace.requestID,
            date: worker.clock.date(), retryAfter: refusal.asksToRetry ? retryAfter(refusal) : 1,
            keepAlive: keepAlive, into: &worker.out)
        record.status = refusal.status
        record.refusal = refusal
        record.bytesOut += Int64(worker.out.count)
        worker.telemetry.count(refusal)
        send(worker.composed, Span())
        answered(keepAlive: keepAlive)
    }

    /// In whole seconds.
    func retryAfter(_ refusal: Refusal) -> Int {
        switch refusal.code {
        case .circuitOpen: return record.pool?.retryAfter() ?? 1
        case .accountLocked: return retryAfterLock()
        default: break
        }
        if refusal.isByRate {
            return worker.gatekeeper.rateStanding?.retryAfter ?? 1
        }
        guard refusal == .lockedDown, let route = record.facts.route else { return 1 }
        let now = worker.clock.now
        guard let end = worker.gatekeeper.lockdowns.end(ofRoute: route, for: record.facts.client, at: now) else {
            return 1
        }
        // Of one that has no end nobody knows; rounded up, since a second too early is refused again.
        return end == .never ? 3_600 : Int(((end - now) + .milliseconds(999)).seconds)
    }

    /// An answer is complete.
    func answered(keepAlive: Bool) {
        settle()
        guard phase != .closed else { return }
        guard keepAlive else { return closeGracefully() }
        phase = .head
        if recentPlace < 0 { worker.records.waits(self) }
        waitForRequest()
        if canRead || !stash.isEmpty { worker.loop.stillReady(self) }
    }

    /// While draining, the time begins when the last answer is out; until then it is the reader's.
    private func waitForRequest() {
        let timeouts = worker.generation.configuration.timeouts
        let quiet = worker.drainQuiet.map { outbox.isEmpty ? $0 : timeouts.body }
        deadline = worker.clock.now + (quiet ?? timeouts.idle)
    }

    func settle() {
        let record = record
        guard !record.isSettled else { return }
        if record.plan?.isLogin == true, (200..<400).contains(record.status), let request = record.audit,
            !record.loginRows(under: worker.generation).isDisjoint(with: worker.generation.rules.loginClassRows),
            // A backend may say with a 200 that a login failed.
            !record.failsLogin
        {
            // A failure of another class, of a second factor for one, has it still.
            let attempt = (record.judgedGuess ?? record.guess)?.attempt
            if record.status < 300 {
                worker.report(successOf: request, attempt)
            } else if record.upstreamStatus == record.status {
                worker.report(redirectOf: request, attempt)
            }
        }
        endGuess()
        if record.lasts { worker.streams.remove(self) }
        record.settle(
            peer: peer, port: peerPort, proxy: announcement?.sender, isCheck: door == .checks, worker: worker)
    }

    func send(_ first: Span<UInt8>, _ second: Span<UInt8>) {
        guard phase != .closed else { return }
        if !outbox.send(first, second, to: channel) { connectionLost() }
    }

    func flush() {
        let waiting = outbox.count
        guard outbox.flush(to: channel) else { return connectionLost() }
        // Slow is not stuck: whoever takes something gets the time to take the rest.
        if outbox.count < waiting, deadline != .never, phase != .tunnel {
            deadline = max(deadline, worker.clock.now + silence)
        }
        if phase == .tunnel, outbox.count < waiting { tunnelDrains(to: .client) }
        guard outbox.isEmpty else { return }
        if phase == .closing { return finishSending() }
        if phase == .head, worker.isDraining, record.isSettled { waitForRequest() }
        server?.clientTakesMore()
    }

    /// The client's connection broke.
    func connectionLost() {
        canRead = false
        outbox.removeAll()
        if phase == .tunnel { return endTunnel(.clientLost) }
        let step = handle(.clientLost)
        if record.exchange != nil, step == .none {
            // A verdict on a login is still waited for; nobody will read the answer.
            detach()
        } else if record.exchange != nil {
            act(on: step)
        } else {
            close()
        }
    }

    /// Closes the client's side while the exchange goes on.
    func detach() {
        watcher?.cancel()
    }

    // MARK: Records

    /// Writes the audit record of a refusal while the request's bytes are still there.
    func audit(_ refusal: Refusal, _ record: ExchangeRecord, _ bytes: Span<UInt8>, _ now: Instant) {
        if case .addressBlocked = refusal.code { return auditBlocked(record.facts.client, bytes, refusal, now) }
        let token = auditToken(bytes)
        if let expiry = token?.expiry { worker.telemetry.metrics.countExpiredToken(.refused, expiry.age) }
        if refusal.isByRate, let kind = worker.gatekeeper.rateStanding?.rule.kind {
            return worker.telemetry.record(
                tooMany: kind, of: record.facts.client, auditRequest(bytes), refusal, identity: record.identity,
                now: now)
        }
        if case .challengeRequired = refusal.code {
            return worker.telemetry.record(challengeOf: record.facts.client, auditRequest(bytes), refusal, now: now)
        }
        if case .accountLocked = refusal.code, let guess = record.guess {
            return worker.telemetry.record(tried: guess.account ?? .unnamed, auditRequest(bytes), refusal, at: now)
        }
        worker.telemetry.record(
            refusal, auditRequest(bytes), token: token,
            claimed: worker.gatekeeper.tokenRefusal, identity: record.identity)
    }

    /// What a blocked client can cause at any rate is asked first, and copies nothing.
    private func auditBlocked(_ client: IPAddress, _ bytes: Span<UInt8>, _ refusal: Refusal, _ now: Instant) {
        let worker = worker
        guard let suppressed = worker.telemetry.admitBlockedRequest(from: client, at: now) else { return }
        worker.telemetry.record(
            blocked: refusal, suppressed: suppressed, network: worker.gatekeeper.blockedNetwork(of: client, at: now),
            feed: worker.gatekeeper.feed(holding: client), auditRequest(bytes))
    }

    /// The token that was not accepted, as far as it may be told.
    func auditToken(_ bytes: Span<UInt8>) -> AuditToken? {
        guard let place = worker.gatekeeper.refusedToken else { return nil }
        let claimed = worker.gatekeeper.tokenRefusal
        var token = AuditToken(bytes.extracting(place), issuedAt: claimed?.issuedAt, expiresAt: claimed?.expiresAt)
        token.expiry = claimed.flatMap { AuditExpiry($0, at: worker.clock.wall) }
        return token
    }

    func auditRequest(_ bytes: Span<UInt8>) -> AuditRequest {
        let facts = record.facts
        let gatekeeper = worker.gatekeeper
        return AuditRequest(
            facts, bytes, path: gatekeeper.pathForLogs(bytes, facts.path), peer: peer, peerPort: peerPort,
            proxy: announcement?.sender, isCheck: door == .checks,
            route: facts.route.map { worker.generation.configuration.routes[$0].name }, trace: record.trace)
    }

    // MARK: Ending

    /// Sends FIN behind the answer and waits for the client's own: closing with unread bytes would send RST, and the
    /// answer could be lost with it (RFC 9112 §9.6).
    func closeGracefully() {
        guard phase != .closed else { return }
        phase = .closing
        stash.removeAll()
        guard outbox.isEmpty else {
            // A slow reader has the time for the rest of its answer that it had for the answer.
            deadline = worker.clock.now + worker.generation.configuration.timeouts.body
            return
        }
        finishSending()
    }

    func finishSending() {
        // The end was announced, but what stands before it must be read too, or `close` would send RST.
        if peerFinished, !canRead { return close() }
        deadline = worker.clock.now + ClientConnection.closingTime
        channel.finishSending()
        if canRead { worker.loop.stillReady(self) }
    }

    func close() {
        guard phase != .closed else { return }
        phase = .closed
        discardServer()
        if record.exchange != nil { record.exchange = nil }
        if record.guess != nil { endGuess() }
        worker.records.leaves(self)
        outbox.removeAll()
        stash.removeAll()
        watcher?.cancel()
        channel.close()
        worker.remove(self)
    }

    // MARK: Time

    /// Called by the worker's sweep when `deadline` has passed.
    func deadlinePassed() {
        if stillReads {
            deadline = worker.clock.now + worker.generation.configuration.timeouts.body
            return
        }
        deadline = .never
        switch phase {
        case .handshake: handshakeFailed(.timeout)
        case .head:
            if record.hasBegun, !record.isSettled {
                record.facts = RequestFacts(client: peer)
                let begun = stash.bytes
                record.facts.isHead = Methods.beginsAsHead(begun.span)
                respond(with: .headTimeout, keepAlive: false)
            } else {
                closeIfIdle()
            }
        case .asking: worker.inquiries.giveUp(self)
        case .collecting: bodyIsLate()
        case .reserving: reservationIsLate()
        case .body, .response:
            let blame = isServersFault
            if blame { server?.timedOut() }
            act(on: handle(blame && phase == .body ? .requestStuck : .timedOut), endedBy: .idle)
        case .tunnel: tunnelTimedOut()
        case .closing: close()
        case .closed: break
        }
    }

    /// A server that does not answer, or does not take the body: not a client that does not send, nor one that does not read,
    /// behind whom a server that answers while it reads must wait as well.
    private var isServersFault: Bool {
        guard let server else { return false }
        if server.isConnecting { return true }
        guard outbox.isEmpty, !record.isEventStream else { return false }
        if phase == .response { return record.exchange?.owesRequest != true }
        return !server.takesMore || awaitsGoAhead
    }

    /// The time for another request is over, unless it has come in this very moment.
    func closeIfIdle() {
        deadline = .never
        canRead = true
        resume()
        // Whatever came has set a deadline of its own.
        guard phase == .head, deadline == .never else { return }
        channel.sayGoodbye()
        close()
    }

    /// The process is ending. The next request is answered with `Connection: close`; a connection without one is closed
    /// when it has waited for `quiet`, and not at once: the request may be on its way, and would be lost. The time of one
    /// that has not yet read its last answer begins when it has.
    func drain(quiet: Interval) {
        if phase == .tunnel { return tellTunnel(.draining) }
        guard phase == .head, stash.isEmpty, outbox.isEmpty, record.isSettled || !record.hasBegun else { return }
        deadline = min(deadline, worker.clock.now + quiet)
    }

    /// The deadline of draining has passed.
    func cutOff() {
        if phase == .tunnel { return endTunnel(.draining) }
        record.exchange == nil ? close() : act(on: .abort, endedBy: .draining)
    }

    /// The Ledger has spoken on the failed login of this exchange.
    func judged() {
        guard let server else { return }
        let step = handle(.judged)
        if step == .relay { server.judged() } else { act(on: step) }
    }
}
