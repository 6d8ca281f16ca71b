/// What a server did wrong, in the words of logs and the admin API. A client that goes away is no failure of a server, nor
/// is any answer that the operator has not named in `failure_statuses`.
package enum UpstreamFailure: String, CaseIterable, Sendable {
    /// Nobody accepts connections there.
    case refused = "connection_refused"
    /// No connection within `timeouts.connect`.
    case connectTimeout = "connect_timeout"
    /// No TLS connection came about.
    case handshake = "tls_failed"
    /// The connection ended where it may not.
    case lost = "connection_lost"
    case malformed = "malformed_answer"
    /// No answer, or no more of it, in time.
    case timeout = "response_timeout"
    /// One of `failure_statuses`.
    case status = "failure_status"

    /// Whether a mere connection shows that it is over.
    package var isAboutConnecting: Bool { self == .refused || self == .connectTimeout }

    /// Whether a good answer to a health check shows that it is over: a check connects, shakes hands and is answered as a
    /// request is. But of a server that answers wrongly the endpoint of the checks may well be right all the time.
    package var isAboutAnswering: Bool { self != .malformed && self != .status }
}
