internal import Policy
internal import Telemetry
internal import Transport

/// How a connection to a server comes about: TCP or a Unix socket, then TLS where the upstream has it.
extension ServerConnection {
    /// Goes on connecting. True: requests can be sent from now on. False: not yet, or it failed and the client was told.
    func connect(_ readiness: Readiness) -> Bool {
        if phase == .connecting {
            guard readiness.contains(.writable), !waitsForPlace else { return false }
            guard channel.socket.pendingError == 0, channel.socket.sendWhole(preface) else {
                pool.connectFailed()
                blame(.refused)
                act(on: .connectFailed)
                return false
            }
            phase = channel.session == nil ? .head : .handshake
        }
        guard phase != .handshake || shakeHands() else { return false }
        pool.connected()
        // Connected, and lost at once: part of the request may be out, so it is not a failed connect.
        if !outbox.flush(to: channel) { lookForAnswer() }
        client?.serverConnected()
        return true
    }

    /// The queue of its Unix socket was full, which to the system is no reason to wait.
    private var waitsForPlace: Bool {
        if case .unix = server.address.socket { !channel.socket.isConnected } else { false }
    }

    /// Called by the worker's sweep, so that a server has as long to accept as with TCP.
    func connectAgain() {
        guard phase == .connecting, waitsForPlace else { return }
        guard let failure = channel.socket.connect(to: server.address.socket) else {
            // Of a connection that is there at once no event comes.
            return ready(.writable)
        }
        guard !failure.isFullQueue else { return }
        pool.connectFailed()
        if failure.isOwnShortage { worker.descriptorsRanOut() } else { blame(.refused) }
        act(on: .connectFailed)
    }

    private func shakeHands() -> Bool {
        guard let session = channel.session else { return true }
        switch session.handshake() {
        case .wouldBlock: return false
        case .failed(let failure):
            pool.handshaken(UpstreamHandshake(failure), with: server, problem: session.problem)
            pool.connectFailed()
            blame(.handshake)
            act(on: .handshakeFailed(failure.refusal))
            return false
        case .done:
            pool.handshaken(session.isResumed ? .resumed : .full, with: server, problem: nil)
            phase = .head
            // Something may have come with the end of the handshake.
            canRead = true
            return true
        }
    }

    /// The refusal for a connection that broke under its first request, when the server's reason was its distrust: in TLS
    /// 1.3 the client's certificate is looked at when the client is done with the handshake (RFC 8446 §4.4.2.4).
    var lateRefusal: Refusal? {
        guard phase == .head, let session = channel.session, session.failure == .alert else { return nil }
        pool.handshaken(.alert, with: server, problem: session.problem)
        return TLSFailure.alert.refusal
    }

    /// Whether nothing is left on an idle connection. Of TLS more than requests and answers is sent: tickets and new keys
    /// (RFC 8446 §4.6) are taken here, anything else was not asked for.
    func isSilent() -> Bool {
        guard canRead else { return true }
        guard channel.mayHoldMore, !peerFinished else { return false }
        var byte: UInt8 = 0
        guard case .wouldBlock = withUnsafeMutableBytes(of: &byte, { channel.receive(into: $0) }) else { return false }
        canRead = false
        return true
    }
}

extension TLSFailure {
    /// What the client is told when no server is left to try.
    var refusal: Refusal {
        switch self {
        case .certificateRefused: .upstreamUntrusted
        case .alert: .upstreamDistrusts
        default: .upstreamHandshakeFailed
        }
    }
}

extension UpstreamHandshake {
    init(_ failure: TLSFailure) {
        self =
            switch failure {
            case .certificateRefused: .certificateRefused
            case .alert: .alert
            default: .failed
            }
    }
}
