internal import Ledger
internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// What the control thread tells a worker. Applied in the order in which it was sent.
enum WorkerMessage: Sendable {
    /// The worker answers with `ControlMessage.applied` when the change is in force on all its connections.
    case blocks(BlockDelta, sequence: Int)
    case generation(Generation, MetricShard)
    /// For connections that are accepted from now on.
    case certificates(TLSServerContext)
    /// All sockets to listen on from now on: those that it has already go on, others are closed.
    case listeners([PublicListener])
    /// The servers of an upstream, and which of them may have requests.
    case standing(UpstreamStanding)
    /// The failure behind this ticket is counted; its answer may go.
    case judged(ticket: Int)
    case health(HealthState)
    /// No new connections; answers say `Connection: close`. A connection that waits for a request is closed when it has
    /// waited for `quiet`. The worker answers `drained` when the last one is gone, or at the deadline.
    case drain(deadline: Instant, quiet: Interval)
}

/// What a worker tells the control thread.
enum ControlMessage: Sendable {
    case loginFailed(LoginReport)
    case applied(worker: Int, sequence: Int)
    case loginSucceeded(AuditRequest)
    /// TLS with a server failed, for another reason than the last time, or succeeds again (nil).
    case handshake(upstream: String, server: String, problem: String?)
    /// A connection of a peer that announces clients did not begin with a sound PROXY header.
    case headerRefused(IPAddress, reason: String, untold: Int)
    /// Nearly all requests of a worker come from one private address that is not a trusted proxy.
    case oneAddress(IPAddress)
    case upstream(UpstreamReport)
    /// The worker's thread ends; so many connections were cut off.
    case drained(cut: Int)
}

/// A failed login whose answer a worker is holding.
struct LoginReport: Sendable {
    let worker: Int
    /// The worker's number for the held answer.
    let ticket: Int
    let failure: LoginFailure
    let request: AuditRequest
}

/// What /health says of the parts behind the gateway.
struct HealthState: Hashable, Sendable {
    /// `LedgerState.word`.
    var ledger: String
    var isReady: Bool
    var isHealthy: Bool { isReady && ledger != "degraded" }
}
