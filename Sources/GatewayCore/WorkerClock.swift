internal import Wire

/// The time in the forms that answers need, made once a second.
struct WorkerClock: ~Copyable {
    private var second: Int64 = .min
    private var text = [UInt8](repeating: 0, count: 29)

    /// IMF-fixdate of RFC 9110 §5.6.7: `Sat, 21 Nov 2026 07:09:16 GMT`.
    mutating func date(_ now: WallTime) -> [UInt8] {
        if now.seconds != second {
            second = now.seconds
            text = Array(now.httpDate.utf8)
        }
        return text
    }
}
