internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

extension Worker {
    /// A connection was accepted. One of a peer that announces clients is served when its header is there, all others at
    /// once.
    func arrived(_ socket: StreamSocket, peer: IPAddress, port: UInt16, at door: Door) {
        if door == .checks, callers.turnAway(peer) { return socket.close() }
        guard door != .checks, announces(peer) else {
            return accepted(socket, peer: peer, port: port, at: door)
        }
        reception.take(socket, from: Endpoint(peer, port), at: door)
    }

    /// Ends connections whose clients were announced by a sender that announces nobody any more, since a reload.
    func endDisowned() {
        for case let connection? in connections {
            guard let sender = connection.announcement?.sender, !announces(sender) else { continue }
            connection.disown()
        }
    }

    fileprivate func announces(_ sender: IPAddress) -> Bool { generation.rules.announcers.contains(sender) }
}

extension ClientConnection {
    /// Nobody vouches for its client any more: what is under way is finished, and is the last.
    fileprivate func disown() {
        switch phase {
        case .head: closeGracefully()
        case .handshake, .asking, .collecting, .reserving: close()
        case .body, .response: record.closesClient = true
        // Nothing more is decided on it.
        case .tunnel, .closing, .closed: break
        }
    }
}

/// A worker's connections whose PROXY header is not complete. Most never get here: the header comes with the connection,
/// and is then read at once.
final class ProxyReception {
    private unowned let worker: Worker
    private var waiting: [ObjectIdentifier: AwaitedHeader] = [:]
    /// Faults are told to the log at most this often; the others are counted.
    private static let tellInterval = Interval.seconds(10)
    private var silentUntil = Instant(nanoseconds: .min)
    private var untold = 0

    init(_ worker: Worker) { self.worker = worker }

    var isEmpty: Bool { waiting.isEmpty }

    /// Takes over the socket. While it waits it has a place among `limits.connections`, which it then gives to the
    /// connection that comes of it.
    func take(_ socket: StreamSocket, from sender: Endpoint, at door: Door) {
        guard worker.takePlace() else { return socket.close() }
        let header = AwaitedHeader(socket, from: sender, at: door, in: self)
        guard let outcome = header.look(worker.scratch) else {
            waiting[ObjectIdentifier(header)] = header
            return header.wait(on: worker.loop, until: worker.generation.configuration.timeouts.head)
        }
        settle(header, outcome)
    }

    /// More of a waiting one may be there.
    /// - Parameter end: what it has come to if it is not complete; nil: it waits on.
    fileprivate func changed(_ header: AwaitedHeader, orElse end: AwaitedHeader.Outcome?) {
        worker.clock.tick()
        guard let outcome = header.look(worker.scratch) ?? end else { return }
        waiting[ObjectIdentifier(header)] = nil
        header.stopWaiting()
        worker.keepUntilEndOfTurn(header)
        settle(header, outcome)
    }

    private func settle(_ header: AwaitedHeader, _ outcome: AwaitedHeader.Outcome) {
        let sender = header.sender
        var outcome = outcome
        if case .read = outcome, !worker.announces(sender.address) { outcome = .disowned }
        worker.returnPlace()
        worker.telemetry.metrics.countProxyHeader(outcome.label)
        switch outcome {
        case .read(.sender):
            worker.accepted(header.socket, peer: sender.address, port: sender.port, at: header.door)
        case .read(.announced(let source, let destination)):
            worker.accepted(
                header.socket, peer: source.address, port: source.port, at: header.door,
                announcement: Announcement(by: sender.address, to: destination))
        case .malformed(let fault):
            header.socket.close()
            tell(sender.address, fault.rawValue)
        case .disowned:
            header.socket.close()
            tell(sender.address, "a reload has taken the sender out of proxy_protocol.from")
        case .late:
            header.socket.close()
            tell(sender.address, "the header did not come in time")
        // A probe that only connects, most often.
        case .closed: header.socket.close()
        }
        worker.finishDrainingIfEmpty()
    }

    private func tell(_ sender: IPAddress, _ reason: String) {
        guard worker.clock.now >= silentUntil else {
            untold += 1
            return
        }
        worker.report(headerOf: sender, reason: reason, untold: untold)
        silentUntil = worker.clock.now + ProxyReception.tellInterval
        untold = 0
    }

    /// The worker ends.
    func closeAll() {
        for header in waiting.values {
            header.stopWaiting()
            header.socket.close()
            worker.returnPlace()
        }
        waiting = [:]
    }
}

/// One connection of a peer that announces clients, until its header is complete. The bytes are looked at where they are,
/// in the socket, and only the header is taken out: what follows is for TLS or for the parser of requests.
private final class AwaitedHeader: ReadinessHandler {
    enum Outcome {
        case read(ProxyHeader.Origin)
        case malformed(ProxyHeader.Fault)
        /// It is sound, but a reload has taken the right from its sender.
        case disowned
        /// The sender has gone before it was complete.
        case closed
        case late

        var label: ProxyHeaderResult {
            switch self {
            case .read(.sender): .sender
            case .read(.announced): .announced
            case .malformed, .disowned: .malformed
            case .closed: .closed
            case .late: .late
            }
        }
    }

    let socket: StreamSocket
    let sender: Endpoint
    let door: Door
    private unowned let reception: ProxyReception
    private var watcher: Watcher?
    private var timer: LoopTimer?

    init(_ socket: StreamSocket, from sender: Endpoint, at door: Door, in reception: ProxyReception) {
        self.socket = socket
        self.sender = sender
        self.door = door
        self.reception = reception
    }

    /// Nil: not complete.
    func look(_ scratch: Scratch) -> Outcome? {
        let room = scratch.room(after: 0, limit: ProxyHeader.maximumLength)
        switch socket.peek(into: room) {
        case .wouldBlock: return nil
        case .ended, .failed: return .closed
        case .bytes(let count):
            switch ProxyHeader.read(scratch.bytes(count)) {
            case .incomplete: return nil
            case .malformed(let fault): return .malformed(fault)
            case .complete(let length, let origin):
                // It was seen in the socket, so it is there as a whole.
                let header = UnsafeMutableRawBufferPointer(rebasing: room[..<length])
                return socket.receive(into: header) == .bytes(length) ? .read(origin) : .closed
            }
        }
    }

    func wait(on loop: EventLoop, until patience: Interval) {
        watcher = Watcher(socket.descriptor, on: loop, handler: self)
        timer = LoopTimer(on: loop) { [unowned self] in reception.changed(self, orElse: .late) }
        timer?.fire(after: patience)
    }

    func stopWaiting() {
        watcher?.cancel()
        timer?.cancel()
    }

    func ready(_ readiness: Readiness) {
        reception.changed(self, orElse: readiness.contains(.closed) ? .closed : nil)
    }
}
