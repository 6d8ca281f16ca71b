package import Settings
package import Wire

/// When a provider's keys are fetched, and how long they hold. One per provider, on the control thread; it knows no socket.
///
/// Fetched ahead of need: in regular operation no request ever waits for a key. A kid that nobody knows brings the next fetch
/// forward, at most once per `missInterval`, so that who makes up kids causes no more than that.
package struct KeySchedule: Sendable {
    /// Between two fetches that unknown kids cause.
    package static let missInterval = Interval.seconds(30)
    /// Cache-Control may ask for a fetch as early, and allow one as late.
    private static let bounds = Interval.seconds(60)...Interval.seconds(86_400)
    /// After a failure; doubled with each that follows.
    private static let firstRetry = Interval.seconds(1)
    private static let longestRetry = Interval.seconds(60)

    private let refresh: Interval
    private let maximumAge: Interval
    package private(set) var fetchedAt: Instant?
    /// When the keys become too old; nil: there are none.
    private var holdsUntil: Instant?
    /// In a row.
    package private(set) var failures = 0
    private var next: Instant
    private var nextMiss: Instant
    private(set) var isFetching = false

    /// The first fetch is due at once.
    package init(_ provider: Configuration.Tokens.Provider, at now: Instant) {
        refresh = provider.refresh
        maximumAge = provider.maximumAge
        next = now
        nextMiss = now
    }

    /// The keys that another one fetched hold here as well; the next fetch is due at once all the same.
    package mutating func continues(_ other: KeySchedule) {
        fetchedAt = other.fetchedAt
        holdsUntil = other.holdsUntil == nil ? nil : fetchedAt.map { $0 + maximumAge }
    }

    /// The first fetch has not ended yet.
    package var isUntried: Bool { fetchedAt == nil && failures == 0 }

    /// True, once: the keys have become too old.
    package mutating func expires(at now: Instant) -> Bool {
        guard let end = holdsUntil, now >= end else { return false }
        holdsUntil = nil
        return true
    }

    /// When time alone changes something: a fetch is due, or the keys become too old.
    package var deadline: Instant {
        min(isFetching ? .never : next, holdsUntil ?? .never)
    }

    /// True: a fetch is due and begins now.
    package mutating func begins(at now: Instant) -> Bool {
        guard !isFetching, now >= next else { return false }
        isFetching = true
        return true
    }

    /// - Parameters:
    ///   - lifetime: `max-age` of the answer; nil: it did not say.
    ///   - chance: any number, drawn anew each time, so that many replicas do not keep step.
    package mutating func succeeded(at now: Instant, lifetime: Interval?, chance: UInt8) {
        isFetching = false
        fetchedAt = now
        holdsUntil = now + maximumAge
        failures = 0
        let asked = lifetime.map { min(max($0, Self.bounds.lowerBound), Self.bounds.upperBound) } ?? refresh
        // Whatever the provider allows, keys must not become too old while it is well.
        let interval = min(asked, maximumAge)
        // Ahead of the end: a tenth to a fifth of the time is left for trying again.
        let tenth = interval.nanoseconds / 10
        next = now + Interval(nanoseconds: tenth * 8 + tenth / 255 * Int64(chance))
    }

    package mutating func failed(at now: Instant, chance: UInt8) {
        isFetching = false
        failures += 1
        var wait = Self.firstRetry
        for _ in 1..<min(failures, 8) { wait = wait + wait }
        wait = min(wait, Self.longestRetry)
        next = now + Interval(nanoseconds: wait.nanoseconds / 510 * (255 + Int64(chance)))
        nextMiss = max(nextMiss, next)
    }

    /// A token named a key that is not here. True: that is fetched for now, or soon.
    package mutating func missed(at now: Instant) -> Bool {
        guard !isFetching, now >= nextMiss else { return false }
        next = now
        nextMiss = now + Self.missInterval
        return true
    }
}
