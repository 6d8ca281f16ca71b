internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The server for operators, on the control thread's loop: a Unix socket that the kernel guards, and a TCP listener for
/// Prometheus, probes and whoever has the token. The public listeners know none of its paths.
final class AdminServer {
    /// Connections of either listener. Apart, so that the network cannot keep the operator of this machine out.
    private static let limit = 64
    /// Refused tokens are told at most this often.
    private static let refusalInterval = Interval.seconds(10)

    private unowned let gateway: Gateway
    private let desk: AdminDesk
    private let socket: AdminSocket
    private var network: ListeningSocket?
    private var listeners: [AdminListener] = []
    private var connections: [ObjectIdentifier: AdminConnection] = [:]
    private var sweep: LoopTimer?
    /// Filled anew for each head.
    private var fields = FieldTable(capacity: AdminRequestReader.fieldLimit)
    private var refusals = (untold: 0, toldAt: Instant?.none)

    /// Binds both, where the process was not started with their sockets; nobody is answered before `start()`.
    init(_ gateway: Gateway, _ inheritance: Inheritance) throws(Gateway.StartFailure) {
        self.gateway = gateway
        desk = AdminDesk(gateway)
        let settings = gateway.configuration.admin
        do throws(AdminSocket.Failure) {
            socket = try AdminSocket(
                path: settings.socketPath, given: inheritance.claim(path: settings.socketPath))
        } catch {
            throw Gateway.StartFailure(description: error.description)
        }
        guard let listen = settings.listen else { return }
        guard let ip = IPAddress(listen.host) else {
            socket.close()
            throw Gateway.StartFailure(description: "admin.listen: \(listen.host) is not an address of this host")
        }
        if let given = inheritance.claim(listen, of: AdminServer.listenName).first {
            network = given
            return
        }
        let address = SocketAddress.ip(ip, port: listen.port)
        do throws(SystemError) {
            network = try ListeningSocket(bind: address, shared: false)
        } catch {
            socket.close()
            let hint = error.isAddressInUse ? " (is another gateway running?)" : ""
            throw Gateway.StartFailure(
                description: "cannot listen on \(address), which is admin.listen: \(error)\(hint)")
        }
    }

    /// The bound TCP address as `ip:port`; nil without one.
    var address: String? { network?.address?.description }

    func start() {
        if let listener = socket.listener {
            listeners.append(AdminListener(listener, isLocal: true, server: self, on: gateway.loop))
        }
        if let network { listeners.append(AdminListener(network, isLocal: false, server: self, on: gateway.loop)) }
        sweep = LoopTimer(on: gateway.loop) { [unowned self] in
            let now = Instant.now()
            for connection in connections.values where connection.deadline <= now { connection.close() }
        }
        sweep?.fire(every: .seconds(1))
    }

    /// Accepts nobody for now and ends the connections on which nothing is asked: their owners connect anew and reach
    /// whoever accepts then.
    func pause() {
        for listener in listeners { listener.close() }
        for connection in connections.values where connection.isIdle { connection.close() }
    }

    /// Accepts again.
    func resume() {
        for listener in listeners { listener.watch() }
    }

    /// The listening sockets, by the names of their settings.
    var sockets: [Upgrade.Gift] {
        [(AdminServer.socketName, socket.listener), (AdminServer.listenName, network)].compactMap { name, socket in
            socket.map { Upgrade.Gift(name: name, socket: $0) }
        }
    }

    static let socketName = "admin.socket"
    static let listenName = "admin.listen"

    /// Ends every connection and removes the socket's file, unless another process serves there.
    func stop() {
        sweep = nil
        for listener in listeners { listener.close() }
        listeners = []
        for connection in connections.values { connection.close() }
        network = nil
        socket.close()
    }

    // MARK: Connections

    fileprivate func accepted(_ connection: StreamSocket, isLocal: Bool) {
        let peer: AdminPeer
        if isLocal {
            // Without the kernel's word on who it is there is nobody to write into the audit record.
            guard let user = connection.peerUser else { return connection.close() }
            peer = .local(user: user)
        } else {
            connection.sendWithoutDelay()
            peer = .network
        }
        guard connections.values.count(where: { ($0.peer == .network) != isLocal }) < AdminServer.limit else {
            return connection.close()
        }
        let made = AdminConnection(connection, peer: peer, server: self, on: gateway.loop, now: .now())
        connections[ObjectIdentifier(made)] = made
    }

    func ended(_ connection: AdminConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    // MARK: Requests

    func read(_ bytes: Span<UInt8>) -> AdminRequestReader.Outcome {
        AdminRequestReader.read(bytes, into: &fields)
    }

    /// - Returns: How long the answer may take.
    func handle(
        _ request: AdminRequest, from peer: AdminPeer, completion: @escaping (AdminResponse) -> Void
    ) -> Interval {
        // Asked for each time: a reload may have brought a new token.
        let router = AdminRouter(token: gateway.configuration.admin.token)
        do throws(AdminProblem) {
            let order = try router.decide(request, from: peer)
            desk.carryOut(order, completion: completion)
            if order.command == .upgrade { return gateway.configuration.timeouts.upgrade + AdminConnection.patience }
        } catch {
            if error.status == 401 { refused(at: .now()) }
            completion(error.response)
        }
        return AdminConnection.patience
    }

    private func refused(at now: Instant) {
        refusals.untold += 1
        if let told = refusals.toldAt, now - told < AdminServer.refusalInterval { return }
        gateway.audit.record(
            AuditOperation(
                "admin_refused", "requests without a valid admin token: \(refusals.untold)", by: "anonymous"))
        refusals = (0, now)
    }
}

/// One of the two listening sockets.
private final class AdminListener: ReadinessHandler {
    private static let batch = 16

    private let socket: ListeningSocket
    private let isLocal: Bool
    private unowned let server: AdminServer
    private let loop: EventLoop
    private var watcher: Watcher?
    private var retry: LoopTimer?

    init(_ socket: ListeningSocket, isLocal: Bool, server: AdminServer, on loop: EventLoop) {
        self.socket = socket
        self.isLocal = isLocal
        self.server = server
        self.loop = loop
        watch()
        retry = LoopTimer(on: loop) { [unowned self] in watch() }
    }

    func watch() {
        watcher = Watcher(socket.descriptor, on: loop, trigger: .level, handler: self)
    }

    func ready(_ readiness: Readiness) {
        for _ in 0..<AdminListener.batch {
            switch socket.accept() {
            case .connection(let connection, _): server.accepted(connection, isLocal: isLocal)
            case .none: return
            case .exhausted:
                // A level-triggered listener would spin while no descriptor is free: look away for a moment.
                watcher?.cancel()
                retry?.fire(after: .milliseconds(100))
                return
            }
        }
    }

    func close() {
        watcher?.cancel()
        retry?.cancel()
    }
}
