internal import Wire

/// When a store that was too slow is asked again: not as soon as it has answered anything, or one that answers just behind
/// the deadline would be away and back with every login. Pure, with time as a parameter.
struct Slowness {
    /// Quick answers in a row that are asked for; more of them each time that it was slow again soon.
    private var needed = 1
    private var left = 1
    private var recoveredAt: Instant?
    /// So long without being slow, and it is asked for one again.
    static let memory = Interval.seconds(60)
    static let most = 32
    /// Between two questions.
    static let pause = Interval.milliseconds(250)

    mutating func begins(at now: Instant) {
        if let recoveredAt, recoveredAt + Slowness.memory > now {
            needed = min(needed * 2, Slowness.most)
        } else {
            needed = 1
        }
        left = needed
    }

    /// A question was answered after so long. True: it is quick enough again.
    mutating func answered(after time: Interval, deadline: Interval, at now: Instant) -> Bool {
        guard time < deadline else {
            left = needed
            return false
        }
        left -= 1
        guard left <= 0 else { return false }
        recoveredAt = now
        return true
    }
}
