package import Wire

/// How far ahead of ours the clock of an issuer seems to be: the most that its tokens came from the future in the last
/// minutes. That it is behind cannot be told from a token that was long on its way.
package struct ClockLead: Sendable {
    /// For so long at least, and twice as long at most, a token counts.
    static let window = Interval.seconds(300)
    /// Between two warnings.
    static let silence = Interval.seconds(600)
    /// A token that is from further ahead was made for later; no clock is so wrong.
    static let mostMilliseconds: Int64 = 86_400_000

    private var beganAt: Instant?
    /// Of this window and of the one before it.
    private var present = Interval.zero
    private var past = Interval.zero
    private var warnedAt: Instant?

    package init() {}

    /// A token was so many milliseconds ahead.
    package mutating func note(_ milliseconds: Int64, at now: Instant) {
        advance(to: now)
        let lead = Interval.milliseconds(Int(min(milliseconds, ClockLead.mostMilliseconds)))
        present = max(present, lead)
    }

    /// The estimate; 0: no token was ahead.
    package func value(at now: Instant) -> Interval {
        var later = self
        later.advance(to: now)
        return max(later.present, later.past)
    }

    /// Whether somebody is to be told now: the estimate is beyond the bound, and it was not said for a while.
    package mutating func isNews(beyond bound: Interval, at now: Instant) -> Bool {
        guard value(at: now) > bound else { return false }
        if let warnedAt, now - warnedAt < ClockLead.silence { return false }
        warnedAt = now
        return true
    }

    private mutating func advance(to now: Instant) {
        guard let beganAt else { return beganAt = now }
        guard now - beganAt >= ClockLead.window else { return }
        past = now - beganAt - ClockLead.window < ClockLead.window ? present : .zero
        present = .zero
        self.beganAt = now
    }
}
