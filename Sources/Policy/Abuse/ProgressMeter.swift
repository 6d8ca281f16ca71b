package import Wire

/// How fast a client must be while the gateway waits for it: at least so many bytes in every stretch of time.
package struct ProgressRule: Hashable, Sendable {
    /// Bytes per second; 0: as slow as it likes.
    package let rate: Int
    /// The stretch that it is measured over: whoever stood still for a moment can make up for it within.
    package let window: Interval

    package init(rate: Int, window: Interval) {
        self.rate = rate
        self.window = window
    }

    /// Bytes that must pass in one window. Divided first: the product of both settings at their largest is out of range.
    var bytesPerWindow: Int64 { window.milliseconds * Int64(rate) / 1_000 }
}

/// Measures one connection while its client is waited for: for the rest of a body that it sends, or to take an answer.
/// Time in which a backend is waited for does not count, so long polls and event streams may be as slow as they are.
///
/// Against whoever moves one byte whenever a timeout is about to pass (Slowloris, R-U-Dead-Yet, slow read): each such
/// connection would keep its place for ever.
package struct ProgressMeter: Sendable {
    /// What the client is waited for.
    package enum Matter: Sendable { case sending, reading }

    private var matter: Matter?
    private var since = Instant.never
    private var mark: Int64 = 0

    /// A rate says nothing before this much of a window has passed: a round trip to the other side of the world.
    private static let leastTime = Interval.milliseconds(500)

    package init() {}

    /// To be called again and again; how often says how exact the windows are.
    /// - Parameters:
    ///   - matter: nil: the client is not waited for now.
    ///   - bytes: that it has moved so far in this matter. Asked for when a window begins or ends.
    /// - Returns: false: it was too slow for a whole window.
    package mutating func look(
        _ matter: Matter?, at now: Instant, _ rule: ProgressRule, bytes: @autoclosure () -> Int64
    ) -> Bool {
        guard let matter else {
            self.matter = nil
            return true
        }
        guard matter == self.matter else {
            begin(matter, bytes(), now)
            return true
        }
        guard now - since >= rule.window else { return true }
        let moved = bytes()
        // Fewer than before: the next answer's bytes are counted from nothing, so the one before was taken.
        let isFast = moved < mark || moved - mark >= rule.bytesPerWindow
        begin(matter, moved, now)
        return isFast
    }

    /// Whether anything has moved since the window began. False where none has.
    package func hasMoved(to bytes: Int64) -> Bool { matter != nil && bytes > mark }

    /// Bytes per second since the window began, and when that was; nil: this is not waited for, or not for long enough.
    package func rate(
        _ matter: Matter, at now: Instant, bytes: @autoclosure () -> Int64
    ) -> (rate: Int64, since: Instant)? {
        guard matter == self.matter, now - since >= ProgressMeter.leastTime else { return nil }
        return (max(0, bytes() - mark) * 1_000 / (now - since).milliseconds, since)
    }

    private mutating func begin(_ matter: Matter, _ bytes: Int64, _ now: Instant) {
        self.matter = matter
        mark = bytes
        since = now
    }
}
