internal import Transport
internal import Wire

/// A worker's listening socket: accepts until there is nobody left, a batch at a time.
final class Listener: ReadinessHandler {
    private enum Phase {
        /// → `paused`, `closing`, `closed`
        case accepting
        /// No descriptor is free for whoever waits. → `accepting`, `closing`, `closed`
        case paused
        /// The system begins no new handshake; those who have begun one are still taken. → `closed`
        case closing
        case closed
    }

    let socket: ListeningSocket
    /// A reload may change it for those who come from now on.
    var door: Door
    private unowned let worker: Worker
    private var watcher: Watcher?
    private var timer: LoopTimer?
    private var phase = Phase.accepting
    private var whenClosed: (() -> Void)?
    /// Connections taken in one turn, so that a flood of them leaves time for those that are there.
    private static let batch = 64
    /// Time for a handshake that had begun: a round trip to the other side of the world.
    private static let closingTime = Interval.milliseconds(300)

    init(_ listener: PublicListener, worker: Worker) {
        socket = listener.socket
        door = listener.door
        self.worker = worker
        watch()
        timer = LoopTimer(on: worker.loop) { [unowned self] in
            switch phase {
            case .paused:
                phase = .accepting
                watch()
            case .closing: finish()
            case .accepting, .closed: break
            }
        }
    }

    private func watch() {
        watcher = Watcher(socket.descriptor, on: worker.loop, trigger: .level, handler: self)
    }

    func ready(_ readiness: Readiness) {
        worker.clock.tick()
        take(Listener.batch)
    }

    private func take(_ count: Int) {
        for _ in 0..<count {
            switch socket.accept() {
            case .connection(let connection, let address):
                guard let ip = address?.ip, let port = address?.port else {
                    connection.close()
                    continue
                }
                worker.arrived(connection, peer: ip, port: port, at: door)
            case .none: return
            case .exhausted:
                guard phase == .accepting else { return }
                if worker.makeRoom(for: self) { continue }
                // A level-triggered listener would spin while no descriptor is free. A connection that closes brings it
                // back; the timer does where others hold what is missing (the machine's table is full).
                phase = .paused
                watcher?.cancel()
                timer?.fire(after: .milliseconds(100))
                return
            }
        }
    }

    /// A descriptor is free again. After the turn: the caller is in the middle of closing a connection.
    func resumeAccepting() {
        if phase == .paused { timer?.fire(after: .zero) }
    }

    /// Turns away who comes from now on, takes who is on the way, then closes. A socket that another process holds,
    /// too, is only left: what waits in its queue is that one's.
    func close(then done: @escaping () -> Void) {
        guard phase == .accepting || phase == .paused else { return }
        guard !socket.isHeldElsewhere else {
            phase = .closed
            watcher?.cancel()
            timer?.cancel()
            return done()
        }
        if phase == .paused { watch() }
        phase = .closing
        whenClosed = done
        socket.refuseHandshakes()
        timer?.fire(after: Listener.closingTime)
    }

    /// Ends the closing now, for one who cannot wait.
    func finish() {
        guard phase != .closed else { return }
        // Whoever came since the last turn: the backlog is the most there can be.
        take(ListeningSocket.backlog)
        phase = .closed
        watcher?.cancel()
        timer?.cancel()
        // The descriptor may be held by the control thread a moment longer, so closing it here would not be enough.
        if !socket.isHeldElsewhere { socket.stop() }
        let done = whenClosed
        whenClosed = nil
        done?()
    }
}
