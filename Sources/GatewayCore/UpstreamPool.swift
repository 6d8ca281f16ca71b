internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The servers of one upstream and one worker's idle connections to them. Servers take turns; of a server's idle
/// connections the one used last is taken first, so that the others grow old and can be let go.
final class UpstreamPool {
    /// One address of the upstream.
    final class Server {
        let address: SocketAddress
        let label: ServerLabel
        fileprivate var idle: [ServerConnection] = []
        init(_ address: SocketAddress) {
            self.address = address
            label = ServerLabel(address.description)
        }
    }

    enum Lease {
        case pooled(ServerConnection)
        case connecting(ServerConnection)
        /// No server is known, or the system refused to connect.
        case failed
    }

    let name: String
    /// Place of the upstream in its configuration, and that configuration's counters: they go together.
    private let index: Int
    private let metrics: MetricShard
    private let keepAlive: Int
    private let idleTimeout: Interval
    private unowned let worker: Worker
    private(set) var servers: [Server] = []
    private var turn = 0
    private var isRetired = false

    init(_ upstream: Configuration.Upstream, index: Int, worker: Worker) {
        name = upstream.name
        self.index = index
        metrics = worker.telemetry.metrics
        keepAlive = upstream.keepAlive
        idleTimeout = upstream.idleTimeout
        self.worker = worker
    }

    /// The addresses as they were resolved last. Idle connections to servers that are gone are closed; what is under way
    /// there ends by itself.
    func update(_ addresses: [SocketAddress]) {
        let known = Dictionary(uniqueKeysWithValues: servers.map { ($0.address, $0) })
        let kept = Set(addresses)
        for server in servers where !kept.contains(server.address) { closeIdle(of: server) }
        var seen = Set<SocketAddress>()
        servers = addresses.filter { seen.insert($0).inserted }.map { known[$0] ?? Server($0) }
    }

    func lease(for client: ClientConnection) -> Lease {
        guard !servers.isEmpty else { return .failed }
        turn = turn + 1 < servers.count ? turn + 1 : 0
        let server = servers[turn]
        if let connection = server.idle.popLast() {
            connection.assign(to: client)
            return .pooled(connection)
        }
        switch StreamSocket.connect(to: server.address) {
        case .failure:
            connectFailed()
            return .failed
        case .success(let socket):
            let connection = ServerConnection(.plain(socket), to: server, pool: self, worker: worker)
            connection.assign(to: client)
            return .connecting(connection)
        }
    }

    /// False when there are enough, or its server is gone.
    func putBack(_ connection: ServerConnection) -> Bool {
        guard !isRetired, connection.server.idle.count < keepAlive,
            servers.contains(where: { $0 === connection.server })
        else { return false }
        connection.server.idle.append(connection)
        return true
    }

    func remove(_ connection: ServerConnection) {
        connection.server.idle.removeAll { $0 === connection }
    }

    func connected() { metrics.upstreamConnected(index) }
    func disconnected() { metrics.upstreamDisconnected(index) }
    func connectFailed() { metrics.upstreamConnectFailed(index) }
    /// A connection broke, or an answer on it could not be understood.
    func failed() { metrics.upstreamFailed(index) }
    func retried() { metrics.upstreamRetried(index) }

    /// Closes connections that were idle for too long. The oldest stand first.
    func sweep(_ now: Instant) {
        for server in servers {
            while let oldest = server.idle.first, now - oldest.idleSince > idleTimeout {
                oldest.discard()
            }
        }
    }

    /// Keeps no idle connection from now on. Exchanges that began with this pool may still lease for another attempt.
    func retire() {
        isRetired = true
        for server in servers { closeIdle(of: server) }
    }

    private func closeIdle(of server: Server) {
        for connection in server.idle { connection.discard() }
    }

    /// Connections that wait for a request, to all servers together.
    var idleCount: Int { servers.reduce(0) { $0 + $1.idle.count } }
}
