internal import Policy
internal import Transport
internal import Wire

/// One operator's connection on the control loop: a request, its answer, the next request. It knows how to carry both
/// and nothing of what they mean.
final class AdminConnection: ReadinessHandler {
    private enum State: Equatable {
        /// Until a request is complete. → `working`, or `writing` for one that is malformed
        case reading
        /// Somebody else has the request. → `writing`
        case working
        /// → `reading`, or `ending`
        case writing(keepAlive: Bool)
        /// The answer is out; what still comes is thrown away, so that closing does not reset it. → `closed`
        case ending
        case closed
    }

    /// For a whole request, idle time before it included, and for its answer each: operators' requests are small.
    static let patience = Interval.seconds(30)
    private static let farewell = Interval.seconds(2)
    private static let chunk = 16 << 10

    let peer: AdminPeer
    private let socket: StreamSocket
    private let loop: EventLoop
    private unowned let server: AdminServer
    private var watcher: Watcher?
    private var state = State.reading
    /// Past it the server closes the connection without a word: nobody reads an answer to a request that does not end.
    private(set) var deadline: Instant
    private var input: [UInt8] = []
    private var output: [UInt8] = []
    private var sent = 0
    /// Sticky: edges are not repeated.
    private var mayRead = false
    private var peerHasFinished = false

    /// Owns the socket from now on.
    init(_ socket: StreamSocket, peer: AdminPeer, server: AdminServer, on loop: EventLoop, now: Instant) {
        self.socket = socket
        self.peer = peer
        self.server = server
        self.loop = loop
        deadline = now + AdminConnection.patience
        watcher = Watcher(socket.descriptor, on: loop, handler: self)
    }

    /// Nothing of a request has come.
    var isIdle: Bool { state == .reading && input.isEmpty }

    func ready(_ readiness: Readiness) {
        if !readiness.isDisjoint(with: [.readable, .closed]) { mayRead = true }
        if readiness.contains(.writable) { flush() }
        read()
    }

    /// The next request, which may have arrived together with the one before it.
    func resume() {
        process()
        read()
    }

    func close() {
        guard state != .closed else { return }
        state = .closed
        server.ended(self)
        // The watcher may be the one that is calling right now.
        loop.atEndOfTurn { [self] in
            watcher = nil
            socket.close()
        }
    }

    // MARK: In

    private func read() {
        while mayRead, state == .reading || state == .ending {
            let transfer = withUnsafeTemporaryAllocation(byteCount: AdminConnection.chunk, alignment: 1) { buffer in
                let transfer = socket.receive(into: buffer)
                if case .bytes(let count) = transfer, state == .reading { input += buffer[..<count] }
                return transfer
            }
            switch transfer {
            case .bytes: process()
            case .wouldBlock: mayRead = false
            case .ended:
                mayRead = false
                peerHasFinished = true
                if state == .reading || state == .ending { close() }
            case .failed: close()
            }
        }
    }

    private func process() {
        guard state == .reading, !input.isEmpty else { return }
        // Held, because a span of the object's own array is good for one expression only.
        let arrived = input
        switch server.read(arrived.span) {
        case .incomplete:
            if input.count >= AdminRequestReader.inputLimit {
                refuse(AdminProblem.tooLarge("the request does not end"), arrived.span)
            }
        case .complete(let request, let consumed):
            input.removeFirst(consumed)
            state = .working
            let patience = server.handle(request, from: peer) { [weak self] response in
                self?.answer(response, keepAlive: request.keepAlive, toHead: request.isHead)
            }
            if state == .working { deadline = Instant.now() + patience }
        case .refused(let problem):
            refuse(problem, arrived.span)
        }
    }

    private func refuse(_ problem: AdminProblem, _ bytes: Span<UInt8>) {
        answer(problem.response, keepAlive: false, toHead: Methods.beginsAsHead(bytes))
    }

    // MARK: Out

    private func answer(_ response: AdminResponse, keepAlive: Bool, toHead: Bool) {
        guard state == .working || state == .reading else { return }
        output = response.bytes(keepAlive: keepAlive, toHead: toHead, at: .now())
        sent = 0
        state = .writing(keepAlive: keepAlive)
        deadline = Instant.now() + AdminConnection.patience
        flush()
    }

    private func flush() {
        guard case .writing(let keepAlive) = state else { return }
        let waiting = output
        while sent < waiting.count {
            switch socket.send(waiting.span.extracting(sent..<waiting.count)) {
            case .bytes(let count): sent += count
            case .wouldBlock: return
            case .ended, .failed: return close()
            }
        }
        output = []
        if keepAlive {
            state = .reading
            deadline = Instant.now() + AdminConnection.patience
        } else {
            socket.finishSending()
            state = .ending
            deadline = Instant.now() + AdminConnection.farewell
        }
        // In the next turn: a pipeline of requests must not keep the control thread to itself.
        loop.stillReady(self)
    }
}
