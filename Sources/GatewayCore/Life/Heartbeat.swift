internal import Synchronization
internal import Wire

/// When a worker's loop turned last. Written by the worker a few times a second, read by the control thread.
final class Heartbeat: Sendable {
    /// Nanoseconds of `Instant`; the largest: the worker has ended and is not waited for.
    private let last: Atomic<Int64>

    init(at now: Instant) { last = Atomic(now.nanoseconds) }

    func beat(_ now: Instant) { last.store(now.nanoseconds, ordering: .relaxed) }

    func end() { last.store(.max, ordering: .relaxed) }

    func isAlive(at now: Instant, within limit: Interval) -> Bool {
        Heartbeat.isAlive(last: Instant(nanoseconds: last.load(ordering: .relaxed)), at: now, within: limit)
    }

    static func isAlive(last: Instant, at now: Instant, within limit: Interval) -> Bool {
        last == .never || now - last <= limit
    }
}
