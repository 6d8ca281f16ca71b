internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What workers tell the control thread.
extension Gateway {
    func receive(_ message: ControlMessage) {
        switch message {
        case .loginFailed(let report): desk.failed(report)
        case .reserve(let request): desk.reserve(request)
        case .guessEnded(let guess, let isReturned): desk.guesses.ended(guess, isReturned: isReturned)
        case .guessWithdrawn(let guess): desk.guesses.withdraw(guess)
        case .loginSucceeded(let request, let attempt): desk.succeeded(request, attempt)
        case .loginRedirected(let request, let attempt): desk.sawSuccess(request, attempt)
        case .applied(let worker, let sequence): broadcast.applied(by: worker, sequence)
        case .handshake(let upstream, let server, let problem):
            upstreamTLS.note(upstream: upstream, server: server, problem: problem)
        case .headerRefused(let sender, let reason, let untold):
            log.log(
                .warning, "proxy_protocol.refused", "A connection without a sound PROXY header was closed",
                [
                    ("address", .text(sender.description)), ("reason", .text(reason)), ("untold", .number(untold)),
                ])
        case .callerProblem(let caller, let problem, let untold): tell(caller, problem, untold: untold)
        case .upstream(let report): upstreams?.received(report)
        case .tokenUnknown(let token): introspection.ask(about: token)
        case .keyMissed(let isIncomplete): keys.missed(isIncomplete: isIncomplete)
        case .keysInspected(let answer, let ticket): keyDesk.received(answer, ticket)
        case .clocksAhead(let leads): keys.noteClocks(leads)
        case .oneAddress(let finding): trafficComesFrom(finding)
        case .unwatchedLogins(let route, let number): unwatchedLogins(at: route, number)
        case .taken(let batch):
            if configuration.rateLimits.isShared { rateSharing.received(batch, at: .now()) }
        case .drained(let connections):
            cut += connections
            if workers.ended() { finishIfNotBetween() }
        }
    }

    /// Each worker finds it out; it is told once in each generation.
    private func unwatchedLogins(at route: String, _ number: Int) {
        guard number == generation.number, toldUnwatched.insert(route).inserted else { return }
        log.log(
            .warning, "traffic.unwatched_login",
            "The backend answers 401 to requests that no rule counts: if they are logins, login.endpoints must name them",
            [("route", .text(route)), ("setting", .text("login.endpoints"))])
    }

    func trafficComesFrom(_ finding: TrafficShare.Finding) {
        desk.sharedAddresses.found(finding, under: configuration, at: .now())
        guard finding.kind != .listed, trafficAlarm.take(finding, at: .now(), wall: .now()) else { return }
        let mending = finding.setting(under: configuration) ?? "X-Forwarded-For"
        log.log(
            .warning, "traffic.one_address", finding.message,
            [
                ("address", .text(finding.address.description)), ("kind", .text(finding.kind.rawValue)),
                ("setting", .text(mending)),
            ])
    }
}
