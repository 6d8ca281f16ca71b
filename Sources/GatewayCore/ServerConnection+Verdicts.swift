internal import Policy
internal import Transport
internal import Wire

/// The answer to a login whose body says whether it failed: nothing of it goes out before that is known.
extension ServerConnection {
    var isReading: Bool {
        switch phase {
        case .head, .verdict, .judged, .body, .tunnel: true
        case .connecting, .handshake, .idle, .held, .closed: false
        }
    }

    /// The Ledger has spoken of the failed login.
    func judged() {
        guard phase == .held else { return }
        phase = .judged
        worker.loop.stillReady(self)
    }

    /// The rules by which it is the answer to a failed login. Nil: that is not known yet, or the answer is of no use.
    func verdict(
        on response: Response, _ bytes: Span<UInt8>, ended: Bool, for client: ClientConnection
    ) -> LoginRows? {
        switch worker.responses.rows(ofBody: response, bytes, ended: ended) {
        case .failedRows(let rows): return rows
        case .more:
            // What is missing of it does not come any more.
            guard !ended else {
                lost()
                return nil
            }
            // Interim answers that came before are passed on now.
            if worker.out.count > 0 { client.relay(worker.composed, Span()) }
            phase = .verdict
            stash.keep(bytes)
        case .malformed(let rows):
            client.record.failedRows = rows
            phase = .held
            malformed(.failedLoginMalformed)
        }
        return nil
    }

    /// The server's connection has ended behind the `count` bytes that are there of the answer: of one without a length that
    /// is its end.
    func verdictAtClose(_ count: Int) {
        // Whoever reads on meets the end again.
        canRead = true
        guard let client else { return }
        process(count, for: client, ended: true)
    }
}
