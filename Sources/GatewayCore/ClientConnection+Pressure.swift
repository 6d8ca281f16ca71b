internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// A client's connection under pressure: what it is doing, what it holds, and how it is let go.
extension ClientConnection {
    /// What the head, a handshake or a slow client keeps waiting is told from what the gateway or a backend does.
    func standing(at now: Instant) -> Standing {
        if record.plan?.isLogin == true, record.exchange?.isRelaying == false { return .bound }
        if door != .checks, worker.isBlocked(peer, at: now) { return .blocked }
        if let matter = waitedFor {
            return meter.rate(matter, at: now, bytes: moved).map { .waiting(rate: $0.rate, since: $0.since) } ?? .busy
        }
        switch phase {
        // Nothing is gained by half of a head: it makes progress when it is whole.
        case .handshake: return .waiting(rate: 0, since: record.startedAt)
        case .head: return isInHead ? .waiting(rate: 0, since: record.startedAt) : .idle(since: idleSince)
        case .closing: return .idle(since: idleSince)
        // He may want his answer, but nearly always he has gone.
        case .response where peerFinished: return .waiting(rate: 0, since: record.startedAt)
        case .asking, .collecting, .reserving, .body, .response, .tunnel, .closed: return .busy
        }
    }

    /// Told from the deadline, which is set at that moment.
    private var idleSince: Instant {
        let timeouts = worker.generation.configuration.timeouts
        let time =
            phase == .closing ? ClientConnection.closingTime : record.isSettled ? timeouts.idle : timeouts.first
        return deadline + (.zero - time)
    }

    /// The first bytes of a head are there, and the last are not.
    private var isInHead: Bool { record.hasBegun && !record.isSettled }

    /// Bytes of buffers.
    var held: Int {
        stash.count + outbox.held + (server?.held ?? 0)
            + (channel.session.map { Worker.sessionMemory + $0.handshakeMemory } ?? 0)
    }

    // MARK: Progress

    /// What the client, and nobody else, keeps waiting. Tunnels have times of their own.
    private var waitedFor: ProgressMeter.Matter? {
        if !outbox.isEmpty { return phase == .tunnel ? nil : .reading }
        if phase == .collecting { return canRead ? nil : .sending }
        return phase == .body && !canRead && server?.takesMore == true && !awaitsGoAhead ? .sending : nil
    }

    /// Bytes that the client has moved in that. Of an answer those that it has acknowledged: the system's own buffer may
    /// hold minutes of a slow reader's time, in which it takes nothing more from us.
    private var moved: Int64 {
        guard !outbox.isEmpty else { return phase == .collecting ? Int64(stash.count) : bodyBytes }
        return acknowledged
    }

    /// Of an answer or tunnel. TLS adds to what the system holds, so there it is a little less.
    var acknowledged: Int64 {
        record.bytesOut - Int64(outbox.count) - Int64(channel.socket.unacknowledged)
    }

    /// What the system's buffer of a connection may hold for minutes when its reader is slow.
    private static let largeBody = 64 * 1_024

    /// Called by the worker's sweep. A server that takes a large body slowly is not stuck: the system tells of room in a
    /// full buffer when a third of it is free, which may be long after the last time, and never of its end.
    func lookAtServer(at now: Instant) {
        if phase == .tunnel { return lookAtTunnel() }
        guard phase == .body || phase == .response, bodyBytes > ClientConnection.largeBody, let server,
            !server.isConnecting, record.exchange?.isRelaying == false
        else { return }
        let taken = bodyBytes - server.untaken
        guard taken > record.taken else { return }
        record.taken = taken
        if phase == .response { deadline = now + responseTimeout } else if !server.takesMore { serverTakes() }
    }

    /// The same of either side of a tunnel for which something waits. Who is cut has no more time for it.
    private func lookAtTunnel() {
        guard let tunnel, let server, !(tunnel.isEnding && tunnel.isStopped) else { return }
        if !server.takesMore {
            if tunnel.hasTaken(record.bytesIn - server.untaken, .server) { tunnelDrains(to: .server) }
        }
        // At the end, what the system holds for the client is all that is still to come.
        guard !outbox.isEmpty || tunnel.isEnding else { return }
        if tunnel.hasTaken(acknowledged, .client) { tunnelDrains(to: .client) }
    }

    /// Called by the worker's sweep.
    func lookForReset() {
        server?.connectAgain()
        server?.lookForReset()
        if owesLook { look() }
        if phase == .reserving { leaveLineIfGone() }
    }

    /// A reset that came together with bytes has no edge of its own.
    private func look() {
        switch phase {
        case .reserving, .response:
            // Nothing is read now.
            owesLook = false
            if channel.socket.pendingError != 0 { connectionLost() }
        case .body, .tunnel, .collecting:
            owesLook = false
            guard !canRead else { return }
            canRead = true
            worker.loop.stillReady(self)
        default: return
        }
    }

    /// Called by the worker's sweep.
    func checkProgress(_ rule: ProgressRule, at now: Instant) {
        let matter = waitedFor
        guard !meter.look(matter, at: now, rule, bytes: moved) else { return }
        worker.telemetry.metrics.countLetGo(LetGo.stalled.index)
        if phase == .collecting {
            bodyIsLate()
        } else if matter == .sending {
            act(on: handle(.timedOut), endedBy: .idle)
        } else {
            cutShort()
        }
    }

    /// The reader took something since its time began, if only from the system's buffer: slow is not stuck.
    var stillReads: Bool { !outbox.isEmpty && meter.hasMoved(to: moved) }

    // MARK: Letting go

    /// For somebody else's place. False: it was idle, and its next request has come in this very moment.
    func letGo(at now: Instant) -> Bool {
        let reason: LetGo
        switch standing(at: now) {
        case .blocked:
            reason = .blocked
            cutShort(.blocked)
        case .idle:
            reason = .idle
            if phase == .head { closeIfIdle() } else { close() }
        case .waiting:
            reason = .slow
            cutShort()
        case .busy, .bound: return false
        }
        guard phase == .closed else { return false }
        worker.telemetry.metrics.countLetGo(reason.index)
        return true
    }

    /// For memory: there is no time to be polite, unless a verdict on a login is waited for. Of that one what was sent
    /// ahead is thrown away, and the connection ends behind the answer.
    func giveUpBuffers(at now: Instant) {
        worker.telemetry.metrics.countLetGo(LetGo.memory.index)
        guard standing(at: now) == .bound else { return cutShort() }
        stash.removeAll()
        record.closesClient = true
    }

    /// RST: what the system still holds for a client that does not read would be held for minutes more.
    private func cutShort(_ end: TunnelEnd = .idle) {
        if phase == .tunnel { return endTunnel(.clientLost) }
        guard record.exchange == nil else { return act(on: .abort, endedBy: end) }
        channel.resetOnClose()
        close()
    }
}
