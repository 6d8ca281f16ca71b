internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What becomes of requests, as far as it says something of the server: counted with the other workers' (`FailureRun`), and
/// told to the control thread when there were too many failures in a row.
extension UpstreamPool {
    /// The answer was relayed to its end.
    func answered(by server: Server, status: Int) {
        if settings.failureStatuses.isEmpty || !settings.failureStatuses.contains(status) {
            server.tally.failures.ended()
            gate.failures.ended()
        } else {
            blame(server, for: .status, .request)
        }
    }

    /// The head of an answer to a request that a half-open circuit let through. Its end is not waited for: that of a stream
    /// may be hours away.
    func probed(status: Int) {
        worker.report(.probed(settings.failureStatuses.contains(status) ? .status : nil), of: name)
    }

    /// The server did not do its part.
    func blame(_ server: Server, for failure: UpstreamFailure, _ errand: ServerConnection.Errand) {
        let ejection = settings.ejection.failures
        if ejection > 0, server.tally.failures.failed(reporting: ejection) {
            worker.report(.serverFailing(server.address, failure), of: name)
        }
        if errand == .probe {
            worker.report(.probed(failure), of: name)
        } else if settings.circuitBreaker.failures > 0,
            gate.failures.failed(reporting: settings.circuitBreaker.failures)
        {
            worker.report(.upstreamFailing(failure), of: name)
        }
    }

    /// Seconds until a refused client may try again, at least 1: for an open circuit, when it will be half open.
    func retryAfter() -> Int {
        guard case .open(let until) = circuit else { return 1 }
        return max(1, Int((until - worker.clock.now).nanoseconds / 1_000_000_000) + 1)
    }
}
