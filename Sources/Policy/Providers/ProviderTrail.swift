package import Wire

/// What the log is told of a provider that is asked: at most one failure in a while, with the number that was left out,
/// and that it works again once that is so.
package struct ProviderTrail {
    private static let quiet = Interval.seconds(10)
    private var failures = 0
    private var isTold = false
    private var next = Instant(nanoseconds: .min)

    package init() {}

    /// Failures since the log was told, if it is to be told now.
    package mutating func failed(at now: Instant) -> Int? {
        failures += 1
        guard now >= next else { return nil }
        next = now + Self.quiet
        isTold = true
        defer { failures = 0 }
        return failures
    }

    /// The same of an answer that can be understood: failures that the log does not know of, if it knows of any.
    package mutating func worked() -> Int? {
        guard isTold else {
            failures = 0
            return nil
        }
        isTold = false
        defer { failures = 0 }
        return failures
    }
}
