internal import Transport
internal import Wire

/// A worker's listening socket: accepts until there is nobody left, a batch at a time.
final class Listener: ReadinessHandler {
    private let socket: ListeningSocket
    private let isSecure: Bool
    private unowned let worker: Worker
    private var watcher: Watcher?
    private var retry: LoopTimer?
    /// Connections taken in one turn, so that a flood of them leaves time for those that are there.
    private static let batch = 64

    init(_ listener: PublicListener, worker: Worker) {
        socket = listener.socket
        isSecure = listener.isSecure
        self.worker = worker
        watch()
        retry = LoopTimer(on: worker.loop) { [unowned self] in watch() }
    }

    private func watch() {
        watcher = Watcher(socket.descriptor, on: worker.loop, trigger: .level, handler: self)
    }

    func ready(_ readiness: Readiness) {
        worker.clock.tick()
        for _ in 0..<Listener.batch {
            switch socket.accept() {
            case .connection(let connection, let address):
                guard let ip = address?.ip, let port = address?.port else {
                    connection.close()
                    continue
                }
                worker.accepted(connection, peer: ip, port: port, isSecure: isSecure)
            case .none: return
            case .exhausted:
                // A level-triggered listener would spin while no descriptor is free: look away for a moment.
                watcher?.cancel()
                retry?.fire(after: .milliseconds(100))
                return
            }
        }
    }

    /// Accepts who is waiting already, then refuses: the descriptor is shared with the seed, so closing it here would
    /// not be enough.
    func close() {
        ready(.readable)
        watcher?.cancel()
        watcher = nil
        retry?.cancel()
        socket.stop()
    }
}
