internal import Policy

/// What goes wrong on the way to a server, and whether the server is to blame.
extension ServerConnection {
    /// The connection is of no use.
    func lost() {
        if brokeOff(.lost) { return }
        pool.failed()
        if let refusal = lateRefusal {
            blame(.handshake)
            return act(on: .handshakeFailed(refusal))
        }
        // Closed between two requests, or tired of waiting for what the client does not send: neither is a failure.
        if phase != .head || !isReused && !isOwedBody { blame(.lost) }
        act(on: phase == .head && isAnswering ? .answerLost : .upstreamLost)
    }

    /// The server has taken all there was of a request whose rest its client owes.
    private var isOwedBody: Bool { client?.phase == .body && outbox.isEmpty && departure != .brokenOff }

    /// The connection was kept, and has ended before anything of the request left: whatever it is, it may be sent on another one
    /// (RFC 9110 §9.2.2).
    func neverLeft() {
        pool.failed()
        act(on: .connectFailed)
    }

    /// Neither is the answer on it.
    func malformed(_ event: Exchange.Event = .responseMalformed) {
        pool.failed()
        blame(.malformed)
        act(on: event)
    }

    /// The client has waited for long enough: for the connection, for the answer, or for more of it.
    func timedOut() {
        switch phase {
        case .connecting, .handshake:
            pool.connectFailed()
            blame(.connectTimeout)
        case .verdict: _ = brokeOff(.timeout)
        case .head, .body:
            pool.failed()
            blame(.timeout)
        case .idle, .held, .judged, .tunnel, .closed: break
        }
    }
}
