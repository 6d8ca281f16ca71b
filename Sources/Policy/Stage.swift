/// The life of a request, in order. These words are the code's, the refusal's, the audit record's and the metric
/// label's, and the headings of docs/life-of-a-request.md (a test compares them).
package enum Stage: String, CaseIterable, Sendable {
    /// Is there room for the connection?
    case admit
    /// TLS handshake.
    case secure
    /// The head is complete and its framing is beyond doubt.
    case read
    /// Who is the client behind the trusted proxies?
    case identify
    /// Is the client's address blocked?
    case screen
    /// Which upstream serves host, path and method?
    case route
    /// Is the token, where one is asked for, valid?
    case authenticate
    /// Do its claims allow the route?
    case authorize
    /// Logins only: may this guess go through?
    case reserve
    /// Hop-by-hop and forged fields out, ours in.
    case prepare
    /// A connection to a server of the upstream.
    case lease
    /// The request goes out.
    case forward
    /// Was it a failed login? The Ledger is told before the answer is relayed.
    case judge
    /// The response goes back.
    case relay
    /// Metrics, audit, keep-alive or close.
    case settle
}
