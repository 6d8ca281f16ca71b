internal import Policy
internal import Wire

/// What the reports for operators say of one provider of keys: plain values, taken at one moment.
struct KeySourceState {
    enum State: String {
        /// Fetched, and the last fetch succeeded.
        case good
        /// In force, but the last fetch failed.
        case stale
        /// There are none: tokens that fit no other key get 503.
        case missing
    }

    var id: String
    var state: State
    /// Their names in logs.
    var keys: [String]
    var fetchedAt: WallTime?
    /// Of fetching, in a row.
    var failures: Int
    /// Of the last fetch; nil: it succeeded, or there was none.
    var problem: String?
    /// How far the provider's clock seems to be ahead of ours.
    var clockAhead = Interval.zero
}

extension KeyStore {
    var states: [KeySourceState] {
        let (now, wall) = (Instant.now(), WallTime.now())
        return providers.map { provider in
            let isFailing = provider.schedule.failures > 0
            return KeySourceState(
                id: provider.id, state: provider.keys == nil ? .missing : isFailing ? .stale : .good,
                keys: keys.labels(of: provider.id),
                fetchedAt: provider.schedule.fetchedAt.map {
                    WallTime(milliseconds: wall.milliseconds - (now - $0).milliseconds)
                },
                failures: provider.schedule.failures, problem: provider.problem,
                clockAhead: clocks.lead(of: provider.id, at: now))
        }
    }
}
