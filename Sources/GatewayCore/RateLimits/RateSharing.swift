internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Tells the ledger what the workers have taken from buckets that replicas share, on the control thread, and raises the buckets of
/// this process to what all have taken. The ledger has one slice at a time; what comes meanwhile is summed up.
///
/// All of it is bounded: what finds no place, or no ledger, stays untold. Then this process counts for itself.
final class RateSharing {
    private struct Slice {
        let number: Int
        let takings: [RateTakings.Taking]
        let askedAt: Instant
    }

    private enum State {
        /// Nothing is to be told. → `asking`
        case idle
        /// The ledger has a slice. → `resting`, with its answer or when that does not come
        case asking(Slice)
        /// → `asking`, `idle`
        case resting
    }

    /// Buckets in a slice. With the pause no more than 5,120 in a second, however many clients an attack has: logins ask the same
    /// store, on the same connection.
    static let sliceLength = 256
    private static let pause = Interval.milliseconds(50)
    /// An answer that takes longer is given up.
    static let patience = Interval.seconds(1)
    /// Buckets that wait.
    static let limit = 16_384
    /// Keys that the store keeps for this process: of a slow limit each lives for hours, so a crowd of addresses with a request
    /// each could else fill it, and with it the place of blocks. As many as there are buckets for addresses here.
    static let mostKept = 65_536
    private static let betweenPurges = Interval.seconds(1)
    /// A problem that is over must stay so for a while before that is told.
    private static let calm = Interval.seconds(10)

    private let metrics: ControlMetrics
    private let log: OperationalLog
    private let tell: ([BucketTaking], @escaping (BucketLevels) -> Void) -> Void
    private let raise: (RateRule.Kind, _ key: Int, _ fullAt: Instant) -> Void
    private var timer: LoopTimer?
    private var state = State.idle
    private var lastNumber = 0
    /// By their keys, and those in the order in which they came: each has its turn.
    private var waiting: [Int: RateTakings.Taking] = [:]
    private var queue: [Int] = []
    private var nextInQueue = 0
    /// By their keys: when each bucket that was told is full, and its key in the store over.
    private var kept: [Int: Instant] = [:]
    private var nextPurge = Instant(nanoseconds: .min)
    /// When a problem that was told was seen last.
    private var problemSeenAt: Instant?

    /// - Parameter tell: `Ledger.tell`, of the ledger that there is then.
    init(
        on loop: EventLoop, metrics: ControlMetrics, log: OperationalLog,
        tell: @escaping ([BucketTaking], @escaping (BucketLevels) -> Void) -> Void,
        raise: @escaping (RateRule.Kind, _ key: Int, _ fullAt: Instant) -> Void
    ) {
        self.metrics = metrics
        self.log = log
        self.tell = tell
        self.raise = raise
        timer = LoopTimer(on: loop) { [unowned self] in timePassed(at: .now()) }
    }

    func received(_ batch: RateTakings.Batch, at now: Instant) {
        metrics.rateUntold += batch.untold
        for taking in batch.takings { add(taking, at: now) }
        if case .idle = state { tellNext(at: now) }
    }

    /// Nothing is shared any more.
    func forget() {
        waiting = [:]
        queue = []
        nextInQueue = 0
        kept = [:]
        // An answer that is still to come finds nobody.
        state = .idle
        problemSeenAt = nil
        timer?.cancel()
    }

    func timePassed(at now: Instant) {
        switch state {
        case .idle: break
        case .asking(let slice):
            let left = RateSharing.patience - (now - slice.askedAt)
            guard left <= .zero else {
                timer?.fire(after: left)
                return
            }
            for taking in slice.takings { metrics.rateUntold += taking.requests }
            tellNext(at: now)
        case .resting: tellNext(at: now)
        }
    }

    private func add(_ taking: RateTakings.Taking, at now: Instant) {
        if var known = waiting[taking.key] {
            known.rule = taking.rule
            known.requests += taking.requests
            waiting[taking.key] = known
        } else if taking.owner == .everybody || waiting.count < RateSharing.limit && mayKeep(taking.key, at: now) {
            // Routes are few, and no crowd shall push them out.
            waiting[taking.key] = taking
            queue.append(taking.key)
        } else {
            metrics.rateUntold += taking.requests
        }
    }

    private func mayKeep(_ key: Int, at now: Instant) -> Bool {
        var isFull: Bool { kept.count + waiting.count >= RateSharing.mostKept }
        if !isFull || kept[key] != nil { return true }
        guard now >= nextPurge else { return false }
        nextPurge = now + RateSharing.betweenPurges
        kept = kept.filter { $0.value > now }
        return !isFull
    }

    private func tellNext(at now: Instant) {
        guard nextInQueue < queue.count else {
            state = .idle
            return
        }
        let end = min(queue.count, nextInQueue + RateSharing.sliceLength)
        let takings = queue[nextInQueue..<end].compactMap { waiting.removeValue(forKey: $0) }
        nextInQueue = end
        if 2 * nextInQueue >= queue.count {
            queue.removeFirst(nextInQueue)
            nextInQueue = 0
        }
        lastNumber += 1
        let number = lastNumber
        state = .asking(Slice(number: number, takings: takings, askedAt: now))
        timer?.fire(after: RateSharing.patience)
        let told = takings.map { taking in
            BucketTaking(
                name: SharedBucketName.of(taking.rule, taking.owner),
                worth: taking.rule.bucket.worth(of: taking.requests), furthest: taking.rule.bucket.furthest,
                age: now - taking.since)
        }
        tell(told) { [weak self] in self?.answered(number, $0, at: .now()) }
    }

    func answered(_ number: Int, _ levels: BucketLevels, at now: Instant) {
        guard case .asking(let slice) = state, slice.number == number else { return }
        for (taking, debt) in zip(slice.takings, levels.debts) {
            guard let debt else {
                metrics.rateUntold += taking.requests
                continue
            }
            metrics.rateTold += taking.requests
            // As of the question: whoever alone uses a bucket finds it no emptier than he has left it.
            let fullAt = slice.askedAt + debt
            kept[taking.key] = debt > .zero ? fullAt : nil
            raise(taking.rule.kind, taking.key, fullAt)
        }
        note(levels.problem, at: now)
        state = .resting
        timer?.fire(after: RateSharing.pause)
    }

    /// What the state of the ledger does not tell.
    private func note(_ problem: String?, at now: Instant) {
        if let problem {
            if problemSeenAt == nil {
                log.log(
                    .warning, "limits.sharing_failed",
                    "Redis does not take what rate limits are shared by; each replica counts for itself",
                    [("reason", .text(problem))])
            }
            problemSeenAt = now
        } else if let seenAt = problemSeenAt, now - seenAt >= RateSharing.calm {
            problemSeenAt = nil
            log.log(.info, "limits.sharing_works", "Rate limits are shared again")
        }
    }
}

extension Gateway {
    func makeRateSharing() -> RateSharing {
        RateSharing(
            on: loop, metrics: metrics, log: log, tell: { [unowned self] in ledger.tell($0, completion: $1) },
            raise: { [unowned self] in rateLimits.tables?.raise($0, key: $1, to: $2) })
    }
}
