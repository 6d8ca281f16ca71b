internal import Policy
internal import Telemetry
internal import Wire

extension ExchangeRecord {
    /// Counts an exchange of a client that stands on a list, and names the list in its line. Called while there are lists.
    func noteFeed(in line: inout AccessFacts, _ now: Instant, _ worker: Worker) {
        // Who sent nothing that could be read is nobody's client yet.
        guard status != 0, refusal?.stage != .read else { return }
        let isRefused = refusal?.code == .addressBlocked
        let name =
            isRefused
            ? worker.gatekeeper.feed(holding: facts.client)
            : worker.gatekeeper.feed(observing: facts.client, at: now)
        guard let name else { return }
        line.feed = name
        line.isObserved = !isRefused
        (metrics ?? worker.telemetry.metrics).countFeedRequest(name, isRefused ? .refused : .observed)
    }
}
