internal import Policy
internal import Telemetry
internal import Wire

extension ExchangeRecord {
    /// Counts an exchange of a client that stands on a list, and says which. Called while there are lists.
    func noteFeed(_ now: Instant, _ worker: Worker) -> (name: String, isObserved: Bool)? {
        // Who sent nothing that could be read is nobody's client yet.
        if status == 0 { return nil }
        if case .read = refusal?.stage { return nil }
        let isRefused = if case .addressBlocked = refusal?.code { true } else { false }
        let name =
            isRefused
            ? worker.gatekeeper.feed(holding: facts.client)
            : worker.gatekeeper.feed(observing: facts.client, at: now)
        guard let name else { return nil }
        (metrics ?? worker.telemetry.metrics).countFeedRequest(name, isRefused ? .refused : .observed)
        return (name, !isRefused)
    }
}
