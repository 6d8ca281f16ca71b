internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What a worker tells the control thread without waiting for anything.
extension Worker {
    func report(_ news: UpstreamReport.News, of upstream: String) {
        control.send(.upstream(UpstreamReport(upstream: upstream, news: news)))
    }

    /// The backend accepted a login.
    func report(successOf request: AuditRequest, _ attempt: LoginAttempt?) {
        telemetry.metrics.countAuthSuccess(.login)
        control.send(.loginSucceeded(request, attempt))
    }

    /// The backend sent whoever logged in to another page.
    func report(redirectOf request: AuditRequest, _ attempt: LoginAttempt?) {
        control.send(.loginRedirected(request, attempt))
    }

    /// A backend answered 401 to a request that is no login as far as `login.endpoints` goes.
    func refusedUnwatched(at route: Int) {
        let configuration = generation.configuration
        guard !configuration.login.endpoints.isEmpty, unwatched.refused(at: route) else { return }
        control.send(.unwatchedLogins(route: configuration.routes[route].name, generation: generation.number))
    }

    /// Something is wrong with a proxy that asks, or with one that may not.
    func report(caller: IPAddress, problem: CallerProblem, untold: Int) {
        control.send(.callerProblem(caller, problem, untold: untold))
    }

    /// What a handshake with a server came to is news.
    func report(handshakeWith server: String, of upstream: String, problem: String?) {
        control.send(.handshake(upstream: upstream, server: server, problem: problem))
    }

    /// A peer that announces clients did not do so as it must.
    func report(headerOf sender: IPAddress, reason: String, untold: Int) {
        control.send(.headerRefused(sender, reason: reason, untold: untold))
    }
}
