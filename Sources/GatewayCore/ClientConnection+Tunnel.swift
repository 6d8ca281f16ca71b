internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Exchanges that last: a connection as a tunnel (RFC 9110 §7.8), and event streams.
extension ClientConnection {
    // MARK: Beginning

    /// The server has changed to the protocol that was asked for.
    /// - Parameters:
    ///   - head: the 101 for the client.
    ///   - bytes: what came behind it.
    func tunnelBegins(with head: Span<UInt8>, _ bytes: Span<UInt8>) {
        record.exchange = nil
        phase = .tunnel
        tunnel = Tunnel(isWebSocket: record.upgrade?.isWebSocket ?? false)
        record.status = 101
        record.upstreamStatus = 101
        record.bytesOut += Int64(head.count)
        record.metrics?.tunnelOpened()
        streamBegins()
        send(head, Span())
        // The client may have sent ahead.
        worker.loop.stillReady(self)
        if let why = veto { return cutStream(why) }
        bytes.isEmpty ? tunnelMoves() : tunnelReceived(bytes, from: .server)
        if worker.isDraining { tellTunnel(.draining) }
    }

    func eventStreamBegins() {
        record.isEventStream = true
        streamBegins()
    }

    /// Whether an event stream is over with its head, which is passed on then.
    func eventStreamEnds(with head: Span<UInt8>) -> Bool {
        guard let why = veto else { return false }
        relay(head, Span())
        cutStream(why)
        return true
    }

    /// What has come while the server was asked, and would have kept the request from it.
    private var veto: TunnelEnd? {
        if worker.gatekeeper.isBlocked(record.facts.client, at: worker.clock.now) { return .blocked }
        if isLockedOut { return .lockedDown }
        if isBrokenGlassOver { return .breakGlassOver }
        guard let token = record.identity else { return nil }
        return worker.gatekeeper.isDead(token, at: worker.clock.wall) ? .tokenRevoked : nil
    }

    /// The route is closed to its client.
    var isLockedOut: Bool {
        guard !worker.gatekeeper.lockdowns.isEmpty, let name = record.routeName else { return false }
        return worker.gatekeeper.lockdowns.refuses(record.facts.client, onRoute: name, at: worker.clock.now)
    }

    /// It was opened by break-glass, and could not be opened so any more.
    var isBrokenGlassOver: Bool { record.plan?.isByBreakGlass == true && breakGlassEnd == nil }

    /// As it is ordered now.
    func takeBreakGlassEnd() { tokenEnds = breakGlassEnd ?? worker.clock.now }

    private var breakGlassEnd: Instant? {
        guard let name = record.routeName else { return nil }
        return worker.gatekeeper.breakGlass.end(ofName: name, for: record.facts.client, at: worker.clock.now)
    }

    private func streamBegins() {
        record.willLast(worker)
        worker.streams.insert(self)
        if let plan = record.plan, plan.isByBreakGlass {
            tokenEnds = plan.glassEnds
            return
        }
        guard let plan = record.plan, plan.closesAtExpiry, let identity = record.identity else {
            tokenEnds = .never
            return
        }
        let leeway = worker.generation.configuration.tokens.leeway + plan.grace
        tokenEnds = worker.clock.now + identity.timeLeft(at: worker.clock.wall, leeway: leeway)
    }

    // MARK: Moving

    func tunnelReceived(_ bytes: Span<UInt8>, from side: Tunnel.Side) {
        guard let tunnel else { return }
        let passage = tunnel.take(bytes, from: side)
        if passage.count > 0 || !passage.close.isEmpty {
            switch side {
            case .client:
                record.bytesIn += Int64(passage.count)
                server?.send(bytes.extracting(first: passage.count), passage.close.span)
            case .server:
                record.bytesOut += Int64(passage.count + passage.close.count)
                send(bytes.extracting(first: passage.count), passage.close.span)
            }
        }
        tunnelMoves()
    }

    func tunnelEnded(_ side: Tunnel.Side) {
        guard let tunnel else { return }
        tunnel.ended(side)
        if tunnel.isEnding { deadline = endingDeadline }
        tunnelMoves()
    }

    /// The server takes nothing more, and all that it has said is passed on.
    /// - Parameter isCut: it has not ended what it had to say. Frames of a WebSocket say what is whole, while the end of
    ///   another protocol must not look like one that was meant.
    func serverBrokeOff(isCut: Bool) {
        guard let tunnel else { return }
        guard tunnel.isWebSocket || !isCut else { return endTunnel(.serverLost) }
        tunnel.serverIsGone(taken: acknowledged)
        tunnelEnded(.server)
    }

    /// Something happened in the tunnel: whoever has taken everything may have to be told the end, and the time begins anew.
    func tunnelMoves() {
        guard let tunnel, let server else { return }
        if outbox.isEmpty, tunnel.finishes(.client) { channel.finishSending() }
        if server.takesMore, tunnel.finishes(.server) { server.finishSending() }
        if tunnel.isOver { return endTunnel(.clientClosed) }
        guard !tunnel.isEnding else { return }
        let now = worker.clock.now
        let timeouts = worker.generation.configuration.timeouts
        // A side that does not read holds memory of ours: it has less time than one that is only quiet, and what the other
        // side sends or takes gives it no more.
        let due = tunnel.due(
            waitsForClient: !outbox.isEmpty, waitsForServer: !server.takesMore, from: now + timeouts.body)
        deadline = min(now + timeouts.tunnel, due)
    }

    /// `side` took some of what waited for it: slow is not stuck.
    func tunnelDrains(to side: Tunnel.Side) {
        guard let tunnel else { return }
        tunnel.took(side)
        if tunnel.isEnding { deadline = max(deadline, endingDeadline) }
        tunnelMoves()
    }

    /// A slow reader has the time for the rest of what it was sent that it had for all of it.
    private var endingDeadline: Instant {
        let isHeld = tunnel?.serverIsDeaf == true && channel.socket.unacknowledged > 0
        let isOut = outbox.isEmpty && server?.takesMore ?? true && !isHeld
        let body = worker.generation.configuration.timeouts.body
        return worker.clock.now + (isOut ? ClientConnection.closingTime : body)
    }

    // MARK: Ending

    /// Cuts a tunnel or event stream whose client may not use it any more.
    func cutStream(_ why: TunnelEnd) {
        tokenEnds = .never
        guard phase == .tunnel else {
            if record.isEventStream, record.exchange != nil {
                record.end = why
                act(on: handle(.timedOut))
            }
            return
        }
        guard let tunnel, let server else { return }
        // Whoever has not read what was sent before will not read a Close either.
        guard tunnel.isWebSocket, outbox.isEmpty, server.takesMore else { return endTunnel(why) }
        // Whoever does not answer the Close has no more time with each revocation that follows.
        let end = worker.clock.now + ClientConnection.closingTime
        deadline = tunnel.isStopped ? min(deadline, end) : end
        sendCloses(tunnel.cut(why, why.close))
    }

    /// Lets both sides of a WebSocket know that it will end; others learn it at the end.
    func tellTunnel(_ why: TunnelEnd) {
        if let tunnel { sendCloses(tunnel.tell(why, why.close)) }
    }

    private func sendCloses(_ closes: (toClient: [UInt8], toServer: [UInt8])) {
        if !closes.toServer.isEmpty { server?.send(closes.toServer.span, Span()) }
        if !closes.toClient.isEmpty {
            record.bytesOut += Int64(closes.toClient.count)
            send(closes.toClient.span, Span())
        }
        tunnelMoves()
    }

    /// The time is over: for the end that has begun, or for anything to move.
    func tunnelTimedOut() {
        guard let tunnel else { return }
        if tunnel.isEnding { endTunnel(.idle) } else { cutStream(.idle) }
    }

    /// Both connections are closed now.
    /// - Parameter why: unless the tunnel has a reason of its own already.
    func endTunnel(_ why: TunnelEnd) {
        guard let tunnel else { return }
        self.tunnel = nil
        if !tunnel.isOver {
            // What was sent is not whole, and must not look so.
            channel.resetOnClose()
            server?.reset()
        }
        let end = tunnel.end ?? why
        record.end = end
        record.metrics?.tunnelClosed(end)
        settle()
        close()
    }
}

extension TunnelEnd {
    /// RFC 6455 §7.4.1.
    fileprivate var close: WebSocketClose {
        switch self {
        case .blocked: WebSocketClose(code: 1008, reason: "blocked")
        case .tokenExpired: WebSocketClose(code: 1008, reason: "token expired")
        case .tokenRevoked: WebSocketClose(code: 1008, reason: "token revoked")
        case .breakGlassOver: WebSocketClose(code: 1008, reason: "a token is required")
        case .lockedDown: WebSocketClose(code: 1001, reason: "closed for a while")
        case .draining: WebSocketClose(code: 1001, reason: "going away")
        case .idle: WebSocketClose(code: 1001, reason: "idle")
        case .clientClosed, .serverClosed, .clientLost, .serverLost: WebSocketClose(code: 1001, reason: "closed")
        }
    }
}
