internal import Policy
internal import Transport
internal import Wire

/// Tells the control thread what a worker has taken from buckets that replicas share: a moment after the first request, with all
/// that came since. As long as nothing is shared, nothing is noted.
final class RateReports {
    private unowned let worker: Worker
    private var timer: LoopTimer?

    /// Others know of a request so much later, and as much as its way to Redis takes.
    private static let pause = Interval.milliseconds(100)

    init(_ worker: Worker) { self.worker = worker }

    /// Where nothing is shared any more, what was noted is nobody's business.
    func adopt(isShared: Bool) {
        let gatekeeper = worker.gatekeeper
        guard isShared != (gatekeeper.rateTakings != nil) else { return }
        guard isShared else {
            timer?.cancel()
            gatekeeper.rateTakings = nil
            timer = nil
            return
        }
        let timer = LoopTimer(on: worker.loop) { [unowned self] in send() }
        self.timer = timer
        gatekeeper.rateTakings = RateTakings { [unowned timer] in timer.fire(after: RateReports.pause) }
    }

    /// Also before the worker ends.
    func send() {
        timer?.cancel()
        guard let batch = worker.gatekeeper.rateTakings?.takeAll(), !batch.takings.isEmpty else { return }
        worker.control.send(.taken(batch))
    }
}
