package import Wire

/// Spares a provider that is asked about what clients bring (tokens, solved CAPTCHAs) and does not answer, and clients
/// the wait for it. An answer of any kind is one: else whoever makes up tokens that it chokes on could keep it from being
/// asked about others.
package struct ProviderBreaker {
    package static let failures = 5
    package static let time = Interval.seconds(60)

    private enum State {
        /// So many failures in a row. → `open`
        case closed(failures: Int)
        /// Nothing is asked. → `trying`
        case open(until: Instant)
        /// One question finds out. → `closed`, `open`; after `time` another one does
        case trying(since: Instant)
    }

    private var state = State.closed(failures: 0)
    /// When the last failure was counted.
    private var counted = Instant(nanoseconds: .min)

    package init() {}

    /// Whether a question may be asked now; if it may, it must be.
    package mutating func allows(at now: Instant) -> Bool {
        switch state {
        case .closed: return true
        case .open(let until) where now >= until, .trying(let until) where now >= until + Self.time:
            state = .trying(since: now)
            return true
        case .open, .trying: return false
        }
    }

    /// Whether nobody would be asked now.
    package func spares(at now: Instant) -> Bool {
        switch state {
        case .closed: false
        case .open(let until): now < until
        case .trying(let since): now < since + Self.time
        }
    }

    package mutating func succeeded() { state = .closed(failures: 0) }

    /// The same of a question that was asked then. Those that were open together have met one silence, however many they are.
    package mutating func failed(at now: Instant, asked: Instant) -> Bool {
        guard asked >= counted else { return false }
        counted = now
        return failed(at: now)
    }

    /// True: from now on it is spared.
    package mutating func failed(at now: Instant) -> Bool {
        switch state {
        case .closed(let failures) where failures + 1 < Self.failures:
            state = .closed(failures: failures + 1)
            return false
        case .closed, .trying:
            state = .open(until: now + Self.time)
            return true
        // Asked before it opened.
        case .open: return false
        }
    }
}
