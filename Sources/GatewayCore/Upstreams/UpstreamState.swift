internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What the reports for operators say of one upstream: plain values, taken at one moment.
struct UpstreamState {
    struct Server {
        var address: String
        /// `up`, `ejected` or `down`.
        var state: String
        /// Why it is away.
        var reason: String?
        /// Seconds until it is tried again; nil: not known, or it is up.
        var backIn: Int?
        /// What the last health check found: `ok`, or what was wrong. Nil: there was none.
        var check: String?
    }

    var name: String
    /// `closed`, `open` or `half_open`.
    var circuit: String
    /// Seconds until an open circuit is tried.
    var retryAfter: Int?
    var servers: [Server]
}

extension UpstreamState {
    init(_ upstream: WatchedUpstream, at now: Instant) {
        self.init(
            name: upstream.configuration.name, circuit: upstream.breaker.condition.rawValue, retryAfter: nil,
            servers: upstream.servers.map { Server($0, at: now) })
        if case .open(let until) = upstream.breaker.state { retryAfter = UpstreamState.seconds(to: until, from: now) }
    }

    /// Rounded up: as long as it is ahead there is time left.
    fileprivate static func seconds(to instant: Instant, from now: Instant) -> Int {
        max(0, (instant - now).secondsRoundedUp)
    }
}

extension UpstreamState.Server {
    init(_ server: WatchedServer, at now: Instant) {
        self.init(
            address: server.address.description, state: server.health.condition.rawValue, check: server.lastCheck.word)
        switch server.health.state {
        case .up: break
        case .ejected(let until):
            reason = server.lastFailure?.rawValue
            backIn = UpstreamState.seconds(to: until, from: now)
        case .down: reason = check
        }
    }
}
