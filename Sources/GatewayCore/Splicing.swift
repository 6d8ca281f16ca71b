internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Large bodies between two bare sockets go from one to the other inside the kernel, but for their end. What that needs
/// of both sides is what copying needs: it stops when the other side does not take more, and goes on when it does.
extension ClientConnection {
    /// More came than is allowed, or than is allowed since a reload.
    var bodyIsTooLarge: Bool {
        let limit = worker.generation.configuration.limits.bodyBytes
        return limit > 0 && record.requestBody.transferred > Int64(limit)
    }

    /// Moves the next piece of the request's body to the server. False: it is to be read and copied like any other.
    func spliceBody() -> Bool {
        guard phase == .body, let server, !server.peerFinished, !bodyIsTooLarge else { return false }
        let limit = record.requestBody.spliceable
        guard limit > 0 else { return false }
        switch server.splice(from: channel, limit: limit) {
        // Reading says what is the matter, and passes a byte that was sent as urgent (RFC 9293 §3.8.5).
        case .impossible, .source: return false
        // Of a server that is lost the answer is still looked for, and the client goes on sending until it is there.
        case .moved(let count), .sinkLost(let count):
            record.requestBody.splice(count)
            record.bytesIn = Int64(record.facts.headLength) + record.requestBody.transferred
            deadline = worker.clock.now + worker.generation.configuration.timeouts.body
            return true
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

    /// Moves the next piece of the answer's body to the client. False: it is to be read and copied like any other.
    func spliceBody(to client: ClientConnection) -> Bool {
        guard phase == .body else { return false }
        let limit = responseBody.spliceable
        guard limit > 0 else { return false }
        switch client.outbox.splice(from: channel, to: client.channel, limit: limit, pipes: worker.pipes) {
        // Reading says what is the matter, and passes a byte that was sent as urgent (RFC 9293 §3.8.5).
        case .impossible, .source: return false
        case .sinkLost(let count):
            client.record.bytesOut += Int64(count)
            client.connectionLost()
            return true
        case .moved(let count):
            responseBody.splice(count)
            client.record.bytesOut += Int64(count)
            client.relayed()
            return true
        }
    }
}
