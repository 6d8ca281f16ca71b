internal import Wire

/// A worker's time: read once per event, since everything that one event leads to happens at one time, and a clock costs
/// as much as a small parser.
final class WorkerClock {
    private(set) var now = Instant.now()
    private(set) var wall = WallTime.now()

    /// When both clocks were read; in between the second is counted on from there by the first.
    private var read = Instant(nanoseconds: 0)
    private var wallThen = WallTime(milliseconds: 0)
    /// How late a step of the system's clock may be noticed.
    private static let countedOn = Interval.milliseconds(50)

    /// To be called where the loop calls into the worker.
    func tick() {
        now = Instant.now()
        if now - read > WorkerClock.countedOn {
            wallThen = WallTime.now()
            read = now
        }
        wall = wallThen + (now - read)
    }

    private var second = Int64.min
    /// Owned; freed in `deinit`.
    private let text = UnsafeMutablePointer<UInt8>.allocate(capacity: WorkerClock.length)
    private static let length = 29

    deinit { text.deallocate() }

    /// IMF-fixdate of RFC 9110 §5.6.7: `Sat, 21 Nov 2026 07:09:16 GMT`. Holds until the next call.
    @_lifetime(immortal)
    func date() -> Span<UInt8> {
        if wall.seconds != second {
            second = wall.seconds
            for (index, byte) in wall.httpDate.utf8.prefix(WorkerClock.length).enumerated() { text[index] = byte }
        }
        return unsafe _overrideLifetime(Span(_unsafeStart: text, count: WorkerClock.length), copying: ())
    }
}
