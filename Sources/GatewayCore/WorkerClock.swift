internal import Wire

/// The time in the form that answers need, made once a second.
final class WorkerClock {
    private var second = Int64.min
    /// Owned; freed in `deinit`.
    private let text = UnsafeMutablePointer<UInt8>.allocate(capacity: WorkerClock.length)
    private static let length = 29

    deinit { text.deallocate() }

    /// IMF-fixdate of RFC 9110 §5.6.7: `Sat, 21 Nov 2026 07:09:16 GMT`. Holds until the next call.
    @_lifetime(immortal)
    func date(_ now: WallTime) -> Span<UInt8> {
        if now.seconds != second {
            second = now.seconds
            for (index, byte) in now.httpDate.utf8.prefix(WorkerClock.length).enumerated() { text[index] = byte }
        }
        return unsafe _overrideLifetime(Span(_unsafeStart: text, count: WorkerClock.length), copying: ())
    }
}
