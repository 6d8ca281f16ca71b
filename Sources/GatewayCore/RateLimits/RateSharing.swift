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
    /// Behind each slice it rests for four times as long as that took, and at least so long: a fifth of the store's time at most.
    private static let pause = Interval.milliseconds(50)
    /// An answer that takes longer is given up.
    static let patience = Interval.seconds(1)
    /// A store that refuses is asked about one bucket, so often.
    private static let pauseOfRefused = Interval.seconds(1)
    /// Buckets of clients of a kind that wait, and those of which the store keeps keys.
    static let limit = 16_384
    static let mostKept = 32_768
    static let mostRoutes = 4_096
    /// A problem that is over must stay so for a while before that is told.
    private static let calm = Interval.seconds(10)

    private let metrics: ControlMetrics
    private let log: OperationalLog
    private let tell: ([BucketTaking], @escaping (BucketLevels) -> Void) -> Void
    private let raise: (RateRule.Kind, _ key: Int, _ fullAt: Instant) -> Void
    private var timer: LoopTimer?
    private var state = State.idle
    private var lastNumber = 0
    private var routes = RateLine(limit: RateSharing.mostRoutes, mostKept: RateSharing.mostRoutes)
    private var identities = RateLine(limit: RateSharing.limit, mostKept: RateSharing.mostKept)
    private var addresses = RateLine(limit: RateSharing.limit, mostKept: RateSharing.mostKept)
    /// The store has refused all of the last slice.
    private var isRefused = false
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
        routes.forget()
        identities.forget()
        addresses.forget()
        // An answer that is still to come finds nobody.
        state = .idle
        isRefused = false
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
        let hasPlace = self[keyPath: line(of: taking)].add(taking, at: now)
        if !hasPlace { metrics.rateUntold += taking.requests }
    }

    private func line(of taking: RateTakings.Taking) -> ReferenceWritableKeyPath<RateSharing, RateLine> {
        switch taking.owner {
        case .everybody: \.routes
        case .subject: \.identities
        case .address: \.addresses
        }
    }

    /// Routes first, which are few; then clients with a token and without, by halves where there are many of both.
    private func nextSlice(at now: Instant) -> [RateTakings.Taking] {
        let length = isRefused ? 1 : RateSharing.sliceLength
        var takings = routes.take(length, at: now)
        let left = length - takings.count
        takings += identities.take(max(left - left / 2, left - addresses.count), at: now)
        takings += addresses.take(length - takings.count, at: now)
        return takings
    }

    private func tellNext(at now: Instant) {
        let takings = nextSlice(at: now)
        guard !takings.isEmpty else {
            state = .idle
            return
        }
        lastNumber += 1
        let number = lastNumber
        state = .asking(Slice(number: number, takings: takings, askedAt: now))
        timer?.fire(after: RateSharing.patience)
        let told = takings.map { taking in
            BucketTaking(
                name: SharedBucketName.of(taking.rule, taking.owner),
                worth: min(Interval(nanoseconds: taking.worth), taking.rule.bucket.furthest),
                furthest: taking.rule.bucket.furthest,
                age: now - taking.since)
        }
        tell(told) { [weak self] in self?.answered(number, $0, at: .now()) }
    }

    func answered(_ number: Int, _ levels: BucketLevels, at now: Instant) {
        guard case .asking(let slice) = state, slice.number == number else { return }
        for (taking, debt) in zip(slice.takings, levels.debts) {
            guard let debt else {
                metrics.rateUntold += taking.requests
                self[keyPath: line(of: taking)].answered(taking.key, fullAt: nil)
                continue
            }
            metrics.rateTold += taking.requests
            // As of the question: whoever alone uses a bucket finds it no emptier than he has left it.
            let fullAt = slice.askedAt + debt
            self[keyPath: line(of: taking)].answered(taking.key, fullAt: debt > .zero ? fullAt : nil)
            raise(taking.rule.kind, taking.key, fullAt)
        }
        let hasWorked = levels.debts.contains { $0 != nil }
        isRefused = !hasWorked && levels.problem != nil
        note(levels.problem, hasWorked: hasWorked, at: now)
        state = .resting
        let took = min(RateSharing.patience, max(.zero, now - slice.askedAt))
        timer?.fire(after: isRefused ? RateSharing.pauseOfRefused : RateSharing.rest(behind: took))
    }

    static func rest(behind took: Interval) -> Interval { max(pause, Interval(nanoseconds: 4 * took.nanoseconds)) }

    /// What the state of the ledger does not tell.
    private func note(_ problem: String?, hasWorked: Bool, at now: Instant) {
        if let problem {
            if problemSeenAt == nil {
                log.log(
                    .warning, "limits.sharing_failed",
                    "Redis does not take what rate limits are shared by, or not all; each replica counts for itself",
                    [("reason", .text(problem))])
            }
            problemSeenAt = now
        } else if hasWorked, let seenAt = problemSeenAt, now - seenAt >= RateSharing.calm {
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
