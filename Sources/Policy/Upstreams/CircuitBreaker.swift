package import Settings
package import Wire

/// Spares an upstream of which nothing but failures comes back, and its clients the wait for them. One for all workers,
/// kept by the control thread.
///
/// It counts failures in a row and no rates: of an upstream that answers at all, the next answer ends the count, so a low
/// rate of errors never opens it, however many requests there are.
package struct CircuitBreaker: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// → `open`
        case closed
        /// Nothing is let through. → `halfOpen` when the time is over, or a server is known to be back
        case open(until: Instant)
        /// A few requests find out; so many have succeeded. When the time is over, others find out beside those that have not
        /// come back. → `closed`, `open`, `halfOpen`
        case halfOpen(successes: Int, until: Instant)
    }

    package enum Change: Hashable, Sendable {
        case opened(for: Interval)
        case halfOpened
        /// As many requests as are missing are let through once more.
        case probesOverdue
        case closed
    }

    /// How long those who are to find out may take before others are let through. Whoever comes first is one of them, and may
    /// have asked for what takes minutes, or send his body as slowly as he likes: nobody else must have to wait for him.
    package static let patience = Interval.seconds(3)

    package private(set) var state = State.closed

    package init() {}

    /// When time alone changes something.
    package var deadline: Instant {
        switch state {
        case .closed: .never
        case .open(let until), .halfOpen(_, let until): until
        }
    }

    /// So many requests failed in a row as the rule allows. What was under way when the circuit opened fails late, and
    /// says nothing about a circuit that is half open.
    package mutating func failing(at now: Instant, _ rule: Configuration.Upstream.CircuitBreaker) -> Change? {
        guard state == .closed else { return nil }
        return open(now, rule)
    }

    /// One of the requests that were let through to find out.
    package mutating func probed(
        _ succeeded: Bool, at now: Instant, _ rule: Configuration.Upstream.CircuitBreaker
    ) -> Change? {
        guard case .halfOpen(let successes, let until) = state else { return nil }
        guard succeeded else { return open(now, rule) }
        guard successes + 1 < rule.probes else {
            state = .closed
            return .closed
        }
        state = .halfOpen(successes: successes + 1, until: until)
        return nil
    }

    /// A check found a server that works.
    package mutating func serverReturned(at now: Instant) -> Change? {
        guard case .open = state else { return nil }
        state = .halfOpen(successes: 0, until: now + CircuitBreaker.patience)
        return .halfOpened
    }

    package mutating func advance(to now: Instant) -> Change? {
        guard now >= deadline else { return nil }
        switch state {
        case .closed: return nil
        case .open:
            state = .halfOpen(successes: 0, until: now + CircuitBreaker.patience)
            return .halfOpened
        case .halfOpen(let successes, _):
            state = .halfOpen(successes: successes, until: now + CircuitBreaker.patience)
            return .probesOverdue
        }
    }

    /// The rule was switched off.
    package mutating func reset() -> Change? {
        guard state != .closed else { return nil }
        state = .closed
        return .closed
    }

    private mutating func open(_ now: Instant, _ rule: Configuration.Upstream.CircuitBreaker) -> Change {
        state = .open(until: now + rule.openTime)
        return .opened(for: rule.openTime)
    }
}
