internal import Policy
internal import Telemetry
internal import Wire

/// What is written down of who a request that goes on comes from.
extension ClientConnection {
    /// The request may go on, and whose it is may be known.
    func noteIdentity(_ bytes: Span<UInt8>, _ record: ExchangeRecord) {
        let worker = worker
        guard let identity = worker.gatekeeper.identity else {
            if let pass = worker.gatekeeper.brokenGlass { noteBreakGlass(pass, bytes) }
            return
        }
        record.identity = identity
        worker.telemetry.metrics.countAuthSuccess(.token)
        if let grace = record.plan?.grace, grace > .zero {
            worker.telemetry.record(inGrace: identity, at: worker.clock.wall, auditRequest(bytes))
        } else if worker.gatekeeper.isNewToken || record.guess?.bringsNewToken == true {
            worker.telemetry.record(identity, auditRequest(bytes))
        }
    }

    /// Each one: nobody will know better who it was.
    private func noteBreakGlass(_ pass: BreakGlassPass, _ bytes: Span<UInt8>) {
        let claimed = worker.gatekeeper.tokenRefusal
        worker.telemetry.record(pass, token: auditToken(bytes), claimed: claimed, auditRequest(bytes))
        if worker.gatekeeper.missesKey { worker.reportMissingKey() }
    }
}
