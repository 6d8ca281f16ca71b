internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// One server as the control thread knows it; kept over reloads, by its address.
final class WatchedServer {
    let address: ServerAddress
    let tally = ServerTally()
    var health = ServerHealth()
    /// Of its requests, the last time that it was ejected.
    var lastFailure: UpstreamFailure?
    var lastCheck = Check.none
    var probe: HealthProbe?

    /// What the last health check found.
    enum Check {
        case none
        case good
        case bad(String)

        /// For operators; nil: there was none.
        var word: String? {
            switch self {
            case .none: nil
            case .good: "ok"
            case .bad(let problem): problem
            }
        }
    }

    init(_ address: ServerAddress) { self.address = address }
}

/// One upstream as the control thread knows it; kept over reloads, by its name.
final class WatchedUpstream {
    var configuration: Configuration.Upstream
    /// Nil: plain text.
    var tls: TLSClientContext?
    private(set) var servers: [WatchedServer] = []
    var breaker = CircuitBreaker()
    let gate = CircuitGate()
    /// By which the circuit opened the last time.
    var lastFailure: UpstreamFailure?

    init(_ configuration: Configuration.Upstream, tls: TLSClientContext?) {
        self.configuration = configuration
        self.tls = tls
    }

    func setServers(_ addresses: [ServerAddress]) {
        let known = Dictionary(uniqueKeysWithValues: servers.map { ($0.address, $0) })
        let kept = Set(addresses)
        for server in servers where !kept.contains(server.address) { server.probe?.stop() }
        var seen = Set<ServerAddress>()
        servers = addresses.filter { seen.insert($0).inserted }.map { known[$0] ?? WatchedServer($0) }
    }

    func stopChecks() {
        for server in servers { server.probe?.stop() }
    }

    /// Lets as many requests through a half-open circuit as are missing to close it.
    func grantProbes() {
        guard case .halfOpen(let successes, _) = breaker.state else { return }
        gate.grant(max(1, configuration.circuitBreaker.probes - successes))
    }

    /// For the workers.
    var standing: UpstreamStanding {
        let up = servers.filter(\.health.isUp)
        return UpstreamStanding(
            name: configuration.name,
            servers: servers.map { .init(address: $0.address, state: $0.health.state, tally: $0.tally) },
            circuit: breaker.state, gate: gate,
            ring: configuration.balance == .consistentHash ? HashRing(up.map(\.address.description)) : nil)
    }

    /// When time alone changes something.
    var deadline: Instant { servers.map(\.health.deadline).min().map { min($0, breaker.deadline) } ?? breaker.deadline }

    var mayEjectAnother: Bool {
        var ejected = 0
        var down = 0
        for server in servers {
            switch server.health.state {
            case .up: continue
            case .ejected: ejected += 1
            case .down: down += 1
            }
        }
        return configuration.ejection.allowsAnother(of: servers.count, ejected: ejected, down: down)
    }

    /// How a server is to be checked now; nil: not at all.
    func plan(for server: WatchedServer) -> CheckPlan? {
        let check = configuration.healthCheck
        if check.path != nil {
            // A Unix socket has no name that could stand in Host (RFC 9110 §7.2).
            let host = server.address.socket.ip == nil ? "localhost" : server.address.description
            return CheckPlan(
                question: .request(check.request(to: host), check), interval: check.interval, timeout: check.timeout,
                preface: configuration.proxyProtocol.ownHeader,
                tls: tls.map { ($0, configuration.certificateName(of: server.address)) })
        }
        // Without checks of the operator's, a server that nobody could connect to is asked by connecting: that it accepts
        // again is known within a second, and no client's request is needed to find out.
        let isAway: Bool
        if case .open = breaker.state { isAway = lastFailure?.isAboutConnecting == true } else { isAway = false }
        guard isAway || !server.health.isUp && server.lastFailure?.isAboutConnecting == true else { return nil }
        return CheckPlan(question: .connection, interval: .seconds(1), timeout: .seconds(1))
    }

    /// For `/metrics`.
    var states: UpstreamMetrics.Upstream {
        UpstreamMetrics.Upstream(
            name: configuration.name, circuit: breaker.condition,
            servers: servers.map { ($0.address.description, $0.health.condition) })
    }
}

extension Configuration.Upstream.ProxyProtocol {
    /// The header of a connection that stands for no client, as a check's does.
    fileprivate var ownHeader: [UInt8] {
        switch self {
        case .none: []
        case .v1: ProxyHeader.ownLine
        case .v2: ProxyHeader.ownBlock
        }
    }
}

extension ServerHealth {
    var condition: ServerCondition {
        switch state {
        case .up: .up
        case .ejected: .ejected
        case .down: .down
        }
    }
}

extension CircuitBreaker {
    var condition: CircuitCondition {
        switch state {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }
}
