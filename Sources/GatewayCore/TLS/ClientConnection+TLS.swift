internal import Crypto
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What may become of a client's handshake, as the metric's label.
enum HandshakeResult {
    case full, resumed
    case failed(TLSFailure)

    static let labels = ["full", "resumed"] + TLSFailure.allCases.map(\.rawValue)

    var index: Int {
        switch self {
        case .full: 0
        case .resumed: 1
        case .failed(let failure): 2 + TLSFailure.allCases.firstIndex(of: failure)!
        }
    }
}

/// Stage *secure*: the TLS handshake of a client.
extension ClientConnection {
    /// False: it is not finished, or has failed.
    func shakeHands() -> Bool {
        guard let session = channel.session else { return true }
        let held = session.handshakeMemory
        let step = session.handshake()
        // What a client only announces costs it nothing: it is counted until the handshake is done, or `remove`.
        if session.handshakeMemory > held { worker.account.take(session.handshakeMemory - held) }
        if session.handshakeMemory < held { worker.account.giveBack(held - session.handshakeMemory) }
        switch step {
        case .wouldBlock: return false
        case .failed(let failure):
            handshakeFailed(failure)
            return false
        case .done:
            worker.telemetry.metrics.countHandshake((session.isResumed ? HandshakeResult.resumed : .full).index)
            link = ClientLink(session)
            phase = .head
            deadline = worker.clock.now + worker.generation.configuration.timeouts.first
            // The request may have come with the end of the handshake.
            canRead = true
            return true
        }
    }

    func handshakeFailed(_ failure: TLSFailure) {
        worker.telemetry.metrics.countHandshake(HandshakeResult.failed(failure).index)
        close()
    }
}

extension ClientLink {
    convenience init(_ session: TLSSession) {
        guard let certificate = session.peerCertificate else {
            self.init()
            return
        }
        // What is not a plain field value (line breaks, NUL) cannot be passed on; RFC 4514 escapes them, so none is left.
        let subject = certificate.subject.utf8.allSatisfy { (0x20...0x7e).contains($0) } ? certificate.subject : ""
        self.init(
            subject: subject, fingerprint: certificate.fingerprint,
            encoded: String(decoding: Base64.encode(certificate.der), as: UTF8.self))
    }
}
