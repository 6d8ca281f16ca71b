internal import Policy
internal import Transport
internal import Wire

/// The answer to a login whose body says whether it failed: nothing of it goes out before that is known.
extension ServerConnection {
    struct PendingVerdict {
        /// By which it may be the answer to a failure, or is.
        var rows = LoginRows()
        /// Whose rules these are.
        var generation: Generation?
        /// How many bytes must be there before it is looked at again.
        var nextLook = 0
    }

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
        pendingVerdict = PendingVerdict()
        switch worker.responses.rows(ofBody: response, bytes, ended: ended) {
        case .failedRows(let rows): return rows
        case .more:
            phase = .verdict
            pendingVerdict = PendingVerdict(
                rows: response.failedRows.union(response.undecidedRows), generation: worker.generation,
                nextLook: ResponseReader.nextLook(at: response, after: bytes.count))
            // What is missing of it does not come any more.
            guard !ended else {
                _ = brokeOff(.lost)
                return nil
            }
            // Interim answers that came before are passed on now.
            if worker.out.count > 0 { client.relay(worker.composed, Span()) }
            // The client may be gone with them, and this connection with it.
            if phase != .closed { stash.keep(bytes) }
        case .malformed(let rows):
            client.record.failedRows = rows
            phase = .held
            malformed(.failedLoginMalformed)
        }
        return nil
    }

    /// More of it has come, but not enough to read it all again.
    func isTooLittle(_ bytes: Span<UInt8>) -> Bool {
        phase == .verdict && bytes.count < pendingVerdict.nextLook && !ResponseReader.mayEnd(bytes)
    }

    /// The answer does not come to its end. Whatever could have stood in it, did, and what its head said it has said: else whoever
    /// can have it break off has guesses that do not count. False: nothing waits for it.
    func brokeOff(_ failure: UpstreamFailure) -> Bool {
        guard phase == .verdict, let client else { return false }
        // They may be others by now.
        client.record.failedRows =
            pendingVerdict.generation?.rows(pendingVerdict.rows, under: worker.generation) ?? pendingVerdict.rows
        // It holds rules that a reload may have replaced.
        pendingVerdict = PendingVerdict()
        phase = .held
        pool.failed()
        blame(failure)
        act(on: .failedLoginMalformed)
        return true
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
