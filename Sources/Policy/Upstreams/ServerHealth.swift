package import Settings
package import Wire

/// Whether one server of an upstream is given requests: by what became of the last ones (passive) and by what it says when
/// it is asked (active). Kept by the control thread for all workers.
package struct ServerHealth: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Since when, for its slow start; nil: it was never away. → `ejected`, `down`
        case up(since: Instant?)
        /// Its requests failed one after another. → `up` when the time is over or a check shows that it has mended, `down`
        case ejected(until: Instant)
        /// Its checks fail. → `up`
        case down
    }

    package enum Change: Hashable, Sendable {
        case ejected(for: Interval)
        case wentDown
        case returned
    }

    package private(set) var state = State.up(since: nil)
    /// Of the last ejection; zero when it has served well since.
    private var lastEjection = Interval.zero
    /// Checks in a row: above zero they succeeded, below they failed.
    private var streak = 0

    package init() {}

    package var isUp: Bool { if case .up = state { true } else { false } }

    /// When time alone changes something.
    package var deadline: Instant { if case .ejected(let until) = state { until } else { .never } }

    /// So many of its requests failed in a row as the rule allows.
    package mutating func failing(at now: Instant, _ rule: Configuration.Upstream.Ejection) -> Change? {
        guard case .up(let since) = state else { return nil }
        // Who has served for as long as it was away begins anew.
        let isRelapse = lastEjection > .zero && (since.map { now - $0 < lastEjection } ?? false)
        lastEjection = isRelapse ? min(lastEjection + lastEjection, rule.maximumTime) : rule.time
        state = .ejected(until: now + lastEjection)
        streak = 0
        return .ejected(for: lastEjection)
    }

    /// An active check is done.
    /// - Parameter mends: a check that succeeds shows that what the server was ejected for is over.
    package mutating func checked(
        _ succeeded: Bool, mends: Bool, at now: Instant, _ rule: Configuration.Upstream.HealthCheck
    ) -> Change? {
        streak = succeeded ? max(0, streak) + 1 : min(0, streak) - 1
        switch state {
        case .ejected where mends && streak >= rule.healthyAfter, .down where streak >= rule.healthyAfter:
            state = .up(since: now)
            return .returned
        case .ejected where -streak >= rule.unhealthyAfter, .up where -streak >= rule.unhealthyAfter:
            state = .down
            return .wentDown
        case .up, .ejected, .down: return nil
        }
    }

    /// Nobody asks it any more: what checks said of it is forgotten.
    package mutating func uncheck(at now: Instant) -> Change? {
        streak = 0
        guard state == .down else { return nil }
        state = .up(since: now)
        return .returned
    }

    package mutating func advance(to now: Instant) -> Change? {
        guard case .ejected(let until) = state, now >= until else { return nil }
        state = .up(since: now)
        return .returned
    }
}

extension Configuration.Upstream.Ejection {
    /// Whether one more server may be ejected: passive signs can be wrong, and the others must carry its load. A server
    /// that is the only one left is never ejected; what spares it is the circuit breaker.
    package func allowsAnother(of total: Int, ejected: Int, down: Int) -> Bool {
        maximumShare > 0 && ejected < max(1, total * maximumShare / 100) && total - ejected - down > 1
    }
}
