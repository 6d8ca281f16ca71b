internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The servers of one upstream and one worker's idle connections to them. Which servers may have requests is the control
/// thread's word (`UpstreamStanding`); which of them has the next one is decided here. Of a server's idle connections the
/// one used last is taken first, so that the others grow old and can be let go.
final class UpstreamPool {
    /// One address of the upstream.
    final class Server {
        enum Place {
            /// Takes requests. Since when it is back, for its slow start; nil: it was never away. → `away`, `gone`
            case serving(since: Instant?)
            /// → `serving`, `gone`
            case away
            /// It is no longer among the upstream's addresses.
            case gone
        }

        let address: ServerAddress
        let label: ServerLabel
        fileprivate(set) var tally: ServerTally
        fileprivate(set) var place = Place.away
        fileprivate var idle = IdleStack<ServerConnection>()
        /// Nil: plain text.
        fileprivate let tls: TLSClient?
        /// Why the last handshake failed; nil: it did not.
        fileprivate var problem: String?

        init(_ address: ServerAddress, _ tally: ServerTally, tls: TLSClient?) {
            self.address = address
            self.tally = tally
            self.tls = tls
            label = ServerLabel(address.description)
        }

        /// The way to the server on a socket that is being connected. Nil: no memory for a session.
        fileprivate func channel(on socket: StreamSocket) -> Channel? {
            guard let tls else { return .plain(socket) }
            return tls.connect(on: socket).map(Channel.tls)
        }
    }

    enum Lease {
        case pooled(ServerConnection)
        case connecting(ServerConnection)
        /// The system refused to connect to this one.
        case failed(Server)
        /// There is no server, or none may be asked.
        case refused(Refusal)
    }

    enum Attempt {
        case first
        /// The request is sent again: on a new connection, and not to this server if there is another.
        case again(avoiding: Server?)
    }

    let name: String
    let settings: Configuration.Upstream
    /// What chooses the server; nil: not the request.
    let affinity: AffinityRule?
    /// Servers' requests under way are counted.
    let countsLoad: Bool
    /// Place of the upstream in its configuration, and that configuration's counters: they go together.
    private let index: Int
    private let metrics: MetricShard
    private let tls: TLSClientContext?
    unowned let worker: Worker
    /// The worker's. Held, because asking for it of one that is not would cost each request two atomic operations.
    private let clock: WorkerClock
    private(set) var servers: [Server] = []
    private(set) var gate = CircuitGate()
    private(set) var circuit = CircuitBreaker.State.closed
    var choice = ServerChoice()
    private var budget: RetryBudget
    private var isRetired = false

    /// A connection that was idle for longer is looked at before it is used: its server may have closed it a moment ago. A
    /// busy one is spared the call: what has arrived on it the loop tells of before any request of the same batch.
    private static let unquestioned = Interval.seconds(1)
    /// So long nobody gets a connection on which a body may follow that must not (`Response.mayBeFollowed`).
    static let parkingTime = Interval.milliseconds(100)

    init(_ upstream: Configuration.Upstream, index: Int, tls: TLSClientContext? = nil, worker: Worker) {
        name = upstream.name
        settings = upstream
        self.index = index
        metrics = worker.telemetry.metrics
        self.tls = tls
        affinity = upstream.balance == .consistentHash ? AffinityRule(upstream.hash) : nil
        countsLoad = upstream.balance == .leastConnections
        clock = worker.clock
        budget = RetryBudget(at: worker.clock.now)
        self.worker = worker
    }

    /// Connections that one request may try.
    var attempts: Int { 1 + settings.retries }

    /// The control thread's last word. Idle connections to servers that are away or gone are closed; what is under way
    /// there ends by itself.
    func update(_ standing: UpstreamStanding, at now: Instant) {
        let known = Dictionary(uniqueKeysWithValues: servers.map { ($0.address, $0) })
        for server in servers { server.place = .gone }
        servers = standing.servers.map { told in
            let server = known[told.address] ?? makeServer(told)
            server.tally = told.tally
            if case .up(let since) = told.state { server.place = .serving(since: since) } else { server.place = .away }
            return server
        }
        for server in known.values where !server.isServing { closeIdle(of: server) }
        gate = standing.gate
        circuit = standing.circuit
        choice = ServerChoice(
            among: servers.filter(\.isServing), settings, standing.ring, at: now)
    }

    private func makeServer(_ told: UpstreamStanding.Server) -> Server {
        let client = tls.map { TLSClient($0, name: settings.certificateName(of: told.address)) }
        return Server(told.address, told.tally, tls: client)
    }

    /// - Parameter key: of the request, for `consistent_hash`.
    func lease(for client: ClientConnection, key: UInt64, _ attempt: Attempt) -> Lease {
        guard !choice.isEmpty else { return .refused(.upstreamUnreachable) }
        var errand = ServerConnection.Errand.request
        switch circuit {
        case .closed: break
        case .open: return .refused(.circuitOpen)
        case .halfOpen:
            guard gate.takePermit() else { return .refused(.circuitOpen) }
            errand = .probe
        }
        guard case .again(let last) = attempt else {
            budget.noteRequest()
            let server = choice.next(key: key, avoiding: nil)
            guard let connection = takeIdle(of: server) else { return connect(to: server, for: client, errand) }
            connection.assign(to: client, errand)
            return .pooled(connection)
        }
        return connect(to: choice.next(key: key, avoiding: last), for: client, errand)
    }

    private func connect(
        to server: Server, for client: ClientConnection, _ errand: ServerConnection.Errand
    ) -> Lease {
        switch StreamSocket.connect(to: server.address.socket, waits: true) {
        case .failure(let error):
            connectFailed()
            if error.isOwnShortage {
                worker.descriptorsRanOut()
                if errand == .probe { gate.returnPermit() }
            } else {
                blame(server, for: .refused, errand)
            }
            return .failed(server)
        case .success(let socket):
            guard let channel = server.channel(on: socket) else {
                socket.close()
                if errand == .probe { gate.returnPermit() }
                return .failed(server)
            }
            let connection = ServerConnection(channel, to: server, pool: self, worker: worker)
            connection.assign(to: client, errand)
            connection.preface = client.proxyHeader(in: settings.proxyProtocol)
            return .connecting(connection)
        }
    }

    private func takeIdle(of server: Server) -> ServerConnection? {
        while let connection = server.idle.pop() {
            if clock.now - connection.idleSince < UpstreamPool.unquestioned || connection.isQuiet {
                return connection
            }
            connection.discard()
        }
        return nil
    }

    /// False when there are enough, its server has no business any more, or it was announced for one client.
    func putBack(_ connection: ServerConnection) -> Bool {
        guard case .none = settings.proxyProtocol, !isRetired, connection.server.idle.count < settings.keepAlive,
            connection.server.isServing
        else { return false }
        if connection.mayBeFollowed {
            connection.server.idle.park(connection)
        } else {
            connection.server.idle.push(connection)
        }
        return true
    }

    func remove(_ connection: ServerConnection) {
        connection.server.idle.remove(connection)
    }

    func connected() { metrics.upstreamConnected(index) }
    func disconnected() { metrics.upstreamDisconnected(index) }
    func connectFailed() { metrics.upstreamConnectFailed(index) }
    /// A connection broke, or an answer on it could not be understood.
    func failed() { metrics.upstreamFailed(index) }
    func retried() { metrics.upstreamRetried(index) }

    /// What became of a handshake. The log learns of it when it is news for this worker.
    /// - Parameter problem: nil: it succeeded.
    func handshaken(_ result: UpstreamHandshake, with server: Server, problem: String?) {
        metrics.upstreamHandshaken(index, result)
        guard server.problem != problem else { return }
        server.problem = problem
        worker.report(handshakeWith: server.address.description, of: name, problem: problem)
    }

    /// Whether a request may be sent again now; takes its place in the budget.
    func mayRetry() -> Bool {
        if budget.takeRetry(at: clock.now) { return true }
        metrics.upstreamRetryDenied(index)
        return false
    }

    /// Closes connections that were idle for too long (the oldest stand first), and lets time pass for those who come back.
    func sweep(_ now: Instant) {
        for server in servers {
            server.idle.unpark { now - $0.idleSince >= UpstreamPool.parkingTime }
            while let oldest = server.idle.oldest, now - oldest.idleSince > settings.idleTimeout {
                oldest.discard()
            }
        }
        budget.advance(to: now)
        choice.advance(to: now)
    }

    /// Keeps no idle connection from now on. Exchanges that began with this pool may still lease for another attempt.
    func retire() {
        isRetired = true
        closeIdle()
    }

    /// Closes what waits for a request.
    func closeIdle() {
        for server in servers { closeIdle(of: server) }
    }

    private func closeIdle(of server: Server) {
        for connection in server.idle.all { connection.discard() }
    }

    /// Connections that wait for a request, to all servers together.
    var idleCount: Int { servers.reduce(0) { $0 + $1.idle.count } }
}

extension UpstreamPool.Server {
    var isServing: Bool { if case .serving = place { true } else { false } }
}
