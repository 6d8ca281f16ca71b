internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Large bodies between two bare sockets go from one to the other inside the kernel, but for their end. What that needs
/// of both sides is what copying needs: it stops when the other side does not take more, and goes on when it does.
extension ClientConnection {
    /// Moves the next piece of the request's body to the server. Nil: it is read and copied like any other. `.bytes(0)`:
    /// something was done.
    func spliceBody() -> Transfer? {
        guard phase == .body, let server, !server.peerFinished, !bodyIsTooLarge else { return nil }
        let limit = record.requestBody.spliceable
        guard limit > 0 else { return nil }
        switch server.splice(from: channel, limit: limit) {
        // Splicing does not pass a byte that was sent as urgent (RFC 9293 §3.8.5), reading does.
        case .impossible, .source(.wouldBlock): return nil
        case .source(let transfer): return transfer
        // Of a server that is lost the answer is still looked for, and the client goes on sending until it is there.
        case .moved(let count), .sinkLost(let count):
            record.requestBody.splice(count)
            record.bytesIn = Int64(record.facts.headLength) + record.requestBody.transferred
            deadline = worker.clock.now + worker.generation.configuration.timeouts.body
            return .bytes(0)
        }
    }
}

extension ServerConnection {
    /// What `send` is for bytes: a server that is lost is asked for what it said before.
    func splice(from client: Channel, limit: Int) -> Outbox.Splice {
        guard phase != .closed else { return .impossible }
        let splice = outbox.splice(from: client, to: channel, limit: limit, pipes: worker.pipes)
        if case .sinkLost = splice {
            lookForAnswer()
            worker.loop.stillReady(self)
        }
        return splice
    }

    /// Moves the next piece of the answer's body to the client. Nil: it is read and copied like any other. `.bytes(0)`:
    /// something was done.
    func spliceBody(_ stashed: Int, to client: ClientConnection) -> Transfer? {
        guard phase == .body, stashed == 0 else { return nil }
        let limit = responseBody.spliceable
        guard limit > 0 else { return nil }
        switch client.outbox.splice(from: channel, to: client.channel, limit: limit, pipes: worker.pipes) {
        // Splicing does not pass a byte that was sent as urgent (RFC 9293 §3.8.5), reading does.
        case .impossible, .source(.wouldBlock): return nil
        case .source(let transfer): return transfer
        case .sinkLost(let count):
            client.record.bytesOut += Int64(count)
            client.connectionLost()
            return .bytes(0)
        case .moved(let count):
            responseBody.splice(count)
            client.record.bytesOut += Int64(count)
            client.relayed()
            return .bytes(0)
        }
    }
}
