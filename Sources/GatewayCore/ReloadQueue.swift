internal import Settings
internal import Transport
internal import Wire

/// What became of a request to reload.
enum ReloadOutcome {
    /// The workers have been sent the new configuration. Warnings may be among the diagnostics.
    case applied([Diagnostic])
    /// Nothing has changed.
    case refused([Diagnostic])
    /// The gateway is starting or ending.
    case notServing
}

/// Lets one reload happen at a time, with a rest behind it. Whoever asks meanwhile gets the next one, together with all
/// others who do: a storm of signals costs no more than twenty reloads a second, and the last file is always read.
final class ReloadQueue {
    private enum Phase {
        /// → `underWay`
        case idle
        /// → `resting`
        case underWay
        /// → `underWay` when somebody has asked, else `idle`
        case resting
    }

    static let rest = Interval.milliseconds(50)

    private let perform: (@escaping (ReloadOutcome) -> Void) -> Void
    private var phase = Phase.idle
    private var waiting: [(ReloadOutcome) -> Void] = []
    /// What must have no reload in its middle; goes before the reloads.
    private var exclusive: [(@escaping () -> Void) -> Void] = []
    private var timer: LoopTimer?

    /// - Parameter perform: reloads, and calls its argument once, now or later.
    init(on loop: EventLoop, perform: @escaping (@escaping (ReloadOutcome) -> Void) -> Void) {
        self.perform = perform
        timer = LoopTimer(on: loop) { [unowned self] in
            phase = .idle
            if !waiting.isEmpty || !exclusive.isEmpty { begin() }
        }
    }

    /// `done` tells of a reload that began after this call, so that what was written before it is in force.
    func request(_ done: @escaping (ReloadOutcome) -> Void) {
        waiting.append(done)
        if phase == .idle { begin() }
    }

    /// Does `work` when no reload is under way; it calls its argument when it is over. Reloads that are asked for
    /// meanwhile wait.
    func alone(_ work: @escaping (@escaping () -> Void) -> Void) {
        exclusive.append(work)
        if phase == .idle { begin() }
    }

    /// Everybody who waits for a reload is told that there will be none here. True: there was somebody.
    func giveUp() -> Bool {
        let given = waiting
        waiting = []
        for done in given { done(.notServing) }
        return !given.isEmpty
    }

    private func begin() {
        phase = .underWay
        if !exclusive.isEmpty {
            let work = exclusive.removeFirst()
            return work { [unowned self] in
                phase = .resting
                timer?.fire(after: ReloadQueue.rest)
            }
        }
        let served = waiting
        waiting = []
        perform { [unowned self] outcome in
            phase = .resting
            timer?.fire(after: ReloadQueue.rest)
            for done in served { done(outcome) }
        }
    }
}
