internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The control thread's judgement of the upstreams: takes the workers' reports and its own checks, decides which servers
/// may have requests and which circuits are open, and tells all workers. A reload keeps what is known of servers that stay.
final class UpstreamHealth {
    let loop: EventLoop
    let log: OperationalLog
    let metrics: UpstreamMetrics
    private let publish: (UpstreamStanding) -> Void
    /// In the order of the configuration.
    private(set) var upstreams: [WatchedUpstream] = []
    private var timer: LoopTimer?
    /// Until a configuration is adopted as a whole, nothing is published of it.
    private var isAdopting = false

    init(
        on loop: EventLoop, log: OperationalLog, metrics: UpstreamMetrics,
        publish: @escaping (UpstreamStanding) -> Void
    ) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
        self.publish = publish
        timer = LoopTimer(on: loop) { [unowned self] in timePassed(at: .now()) }
    }

    /// What the workers are to be told when `change` has brought a configuration and the addresses of all its upstreams. It must
    /// reach them together with the rules: by the former ones nothing may go to servers of these.
    func adopting(_ change: () -> Void) -> [UpstreamStanding] {
        isAdopting = true
        change()
        isAdopting = false
        return upstreams.map(\.standing)
    }

    /// Takes over a configuration. Its addresses follow, for every upstream, by `resolved`.
    /// - Parameter tls: in the order of the upstreams; nil: plain text.
    func adopt(_ configurations: [Configuration.Upstream], tls: [TLSClientContext?]) {
        let known = Dictionary(uniqueKeysWithValues: upstreams.map { ($0.configuration.name, $0) })
        let kept = Set(configurations.map(\.name))
        for upstream in upstreams where !kept.contains(upstream.configuration.name) { upstream.stopChecks() }
        upstreams = zip(configurations, tls).map { configuration, tls in
            guard let upstream = known[configuration.name] else { return WatchedUpstream(configuration, tls: tls) }
            upstream.configuration = configuration
            upstream.tls = tls
            return upstream
        }
    }

    /// The addresses of an upstream's servers, as resolved last.
    func resolved(_ name: String, _ addresses: [ServerAddress], at now: Instant = .now()) {
        guard let upstream = upstream(name) else { return }
        upstream.setServers(addresses)
        let configuration = upstream.configuration
        // More requests may be needed to close it than were let through.
        upstream.grantProbes()
        if configuration.circuitBreaker.failures == 0, let change = upstream.breaker.reset() { tell(change, upstream) }
        for server in upstream.servers {
            if configuration.healthCheck.path == nil, let change = server.health.uncheck(at: now) {
                tell(change, server, of: upstream)
            }
        }
        changed(upstream, at: now)
    }

    func received(_ report: UpstreamReport, at now: Instant = .now()) {
        guard let upstream = upstream(report.upstream) else { return }
        switch report.news {
        case .serverFailing(let address, let failure):
            guard let server = upstream.servers.first(where: { $0.address == address }) else { return }
            let rule = upstream.configuration.ejection
            guard rule.failures > 0, server.tally.failures.isAtLeast(rule.failures), upstream.mayEjectAnother,
                let change = server.health.failing(at: now, rule)
            else { return }
            server.lastFailure = failure
            tell(change, server, of: upstream)
        case .upstreamFailing(let failure):
            let rule = upstream.configuration.circuitBreaker
            guard rule.failures > 0, upstream.gate.failures.isAtLeast(rule.failures),
                let change = upstream.breaker.failing(at: now, rule)
            else { return }
            upstream.lastFailure = failure
            tell(change, upstream)
        case .probed(let failure):
            if let failure { upstream.lastFailure = failure }
            guard
                let change = upstream.breaker.probed(failure == nil, at: now, upstream.configuration.circuitBreaker)
            else { return }
            tell(change, upstream)
        }
        changed(upstream, at: now)
    }

    /// A check of a server is done. Nil: it succeeded.
    func checked(_ server: WatchedServer, of upstream: WatchedUpstream, _ problem: String?, at now: Instant = .now()) {
        metrics.countCheck(upstream.configuration.name, succeeded: problem == nil)
        server.lastCheck = problem.map { .bad($0) } ?? .good
        let rule = upstream.configuration.healthCheck
        // That a server does not accept is no news of one that is away for it.
        if problem != nil, rule.path == nil { return }
        let change = server.health.checked(
            problem == nil, mends: rule.mends(server.lastFailure), at: now, rule)
        if let change { tell(change, server, of: upstream) }
        var hasChanged = change != nil
        if change == .returned || problem == nil && rule.mends(upstream.lastFailure),
            let change = upstream.breaker.serverReturned(at: now)
        {
            tell(change, upstream)
            hasChanged = true
        }
        if hasChanged { changed(upstream, at: now) }
    }

    func timePassed(at now: Instant) {
        for upstream in upstreams {
            var hasChanged = false
            for server in upstream.servers {
                guard let change = server.health.advance(to: now) else { continue }
                tell(change, server, of: upstream)
                hasChanged = true
            }
            if let change = upstream.breaker.advance(to: now) {
                tell(change, upstream)
                hasChanged = true
            }
            guard hasChanged else { continue }
            publish(upstream.standing)
            watchServers(of: upstream)
        }
        awaitDeadline(now)
    }

    private func upstream(_ name: String) -> WatchedUpstream? { upstreams.first { $0.configuration.name == name } }

    private func changed(_ upstream: WatchedUpstream, at now: Instant) {
        if !isAdopting { publish(upstream.standing) }
        watchServers(of: upstream)
        awaitDeadline(now)
    }

    private func awaitDeadline(_ now: Instant) {
        metrics.states = upstreams.map(\.states)
        let next = upstreams.map(\.deadline).min() ?? .never
        if next == .never { timer?.cancel() } else { timer?.fire(after: next - now) }
    }
}

extension Configuration.Upstream.HealthCheck {
    /// Whether a check that succeeds shows that a failure of requests is over.
    fileprivate func mends(_ failure: UpstreamFailure?) -> Bool {
        guard let failure else { return false }
        return path == nil ? failure.isAboutConnecting : failure.isAboutAnswering
    }
}
