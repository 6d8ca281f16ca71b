internal import Policy
internal import Transport
internal import Wire

/// What every worker keeps a copy of.
enum LedgerChange: Hashable, Sendable {
    case blocks(BlockDelta)
    /// Networks that no block holds back, until their deadlines.
    case allowances(BlockDelta)
    /// All lists of addresses.
    case feeds(FeedPlan)
    case revocations(RevocationDelta)
    case lockdown(LockdownDelta)
    case breakGlass(BreakGlassDelta)
    case rateLimits(RateOverrides)
}

/// Carries changes of blocks, feeds, revocations, lockdowns, rate limits and of what is open by break-glass to every
/// worker, and knows how far each worker has come: the answer that a block was set with is held until no worker would still
/// serve the address (docs/life-of-a-request.md, *judge*).
final class LedgerBroadcast {
    private struct Waiter {
        let sequence: Int
        let deadline: Instant
        let proceed: () -> Void
    }

    private let workers: [Mailbox<WorkerMessage>]
    private var applied: [Int]
    private var sequence = 0
    private var waiters: [Waiter] = []
    private var timer: LoopTimer?
    /// Hears of every change, too: the process that we take over from, whose connections must meet it.
    var follower: ((LedgerChange) -> Void)?

    init(_ workers: [Mailbox<WorkerMessage>], on loop: EventLoop) {
        self.workers = workers
        applied = Array(repeating: 0, count: workers.count)
        timer = LoopTimer(on: loop) { [unowned self] in release(at: Instant.now()) }
    }

    func send(_ change: LedgerChange) {
        sequence += 1
        follower?(change)
        for worker in workers { worker.send(.ledger(change, sequence: sequence)) }
    }

    func applied(by worker: Int, _ sequence: Int) {
        applied[worker] = max(applied[worker], sequence)
        release(at: Instant.now())
    }

    /// Calls `proceed` when every worker has applied all that was sent so far, or at the deadline: a worker that hangs
    /// must not keep an answer for ever.
    func whenApplied(within limit: Interval, now: Instant, _ proceed: @escaping () -> Void) {
        guard applied.contains(where: { $0 < sequence }) else { return proceed() }
        waiters.append(Waiter(sequence: sequence, deadline: now + limit, proceed: proceed))
        awaitDeadline(now)
    }

    /// Sets the timer for the nearest deadline: one that came later must not put off those before it.
    private func awaitDeadline(_ now: Instant) {
        if let next = waiters.map(\.deadline).min() { timer?.fire(after: next - now) }
    }

    private func release(at now: Instant) {
        guard !waiters.isEmpty, let reached = applied.min() else { return }
        let ready = waiters.filter { $0.sequence <= reached || $0.deadline <= now }
        waiters.removeAll { $0.sequence <= reached || $0.deadline <= now }
        for waiter in ready { waiter.proceed() }
        awaitDeadline(now)
    }
}
