internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What is said and done about each change of a server's or circuit's state.
extension UpstreamHealth {
    func tell(_ change: ServerHealth.Change, _ server: WatchedServer, of upstream: WatchedUpstream) {
        let name = upstream.configuration.name
        let fields: [(String, LogValue)] = [("upstream", .text(name)), ("server", .text(server.address.description))]
        // What it did before the change must not count towards the next one.
        server.tally.failures.ended()
        switch change {
        case .ejected(let time):
            metrics.countEjection(name)
            log.log(
                .warning, "upstream.server_ejected",
                "Requests to a server failed one after another; it gets none for a while",
                fields + [("reason", .text(server.lastFailure?.rawValue ?? "")), ("ejected_ms", .length(time))])
        case .wentDown:
            log.log(
                .warning, "upstream.server_down", "A server fails its health checks and gets no requests",
                fields + [("reason", .text(server.lastCheck.word ?? ""))])
        case .returned:
            server.lastFailure = nil
            log.log(.info, "upstream.server_up", "A server gets requests again", fields)
        }
    }

    func tell(_ change: CircuitBreaker.Change, _ upstream: WatchedUpstream) {
        let name = upstream.configuration.name
        let field: (String, LogValue) = ("upstream", .text(name))
        if change != .probesOverdue { upstream.gate.failures.ended() }
        switch change {
        case .opened(let time):
            metrics.countOpening(name)
            log.log(
                .error, "upstream.circuit_opened",
                "Requests to all servers failed one after another; none is let through",
                [field, ("reason", .text(upstream.lastFailure?.rawValue ?? "")), ("open_ms", .length(time))])
        case .halfOpened:
            upstream.grantProbes()
            log.log(.info, "upstream.circuit_half_open", "A few requests are let through to find out", [field])
        case .probesOverdue: upstream.grantProbes()
        case .closed:
            log.log(.info, "upstream.circuit_closed", "Requests are let through again", [field])
        }
    }

    /// Begins and ends the checks of an upstream's servers as its state asks for them.
    func watchServers(of upstream: WatchedUpstream) {
        for server in upstream.servers {
            guard let plan = upstream.plan(for: server) else {
                // The probe may be the one that is calling.
                server.probe?.stop()
                if let probe = server.probe { loop.atEndOfTurn { withExtendedLifetime(probe) {} } }
                server.probe = nil
                continue
            }
            if let probe = server.probe {
                probe.plan = plan
                continue
            }
            server.probe = HealthProbe(of: server.address.socket, on: loop, plan) {
                [unowned self, unowned server, unowned upstream] in checked(server, of: upstream, $0)
            }
        }
    }
}
