package import Wire

/// Bounds what is sent again: while an upstream is in trouble, retries must not double its load. At most a fifth of the
/// requests of the last ten seconds, and a few more so that a quiet upstream has some at all. One per worker and upstream.
package struct RetryBudget: Sendable {
    package static let percent = 20
    /// Retries per second that are allowed whatever the number of requests.
    package static let minimumPerSecond = 5
    /// Seconds that are looked back.
    package static let window = 10

    /// By second, the present one among them; in a ring.
    private var requests = Array(repeating: 0, count: RetryBudget.window)
    private var retries = Array(repeating: 0, count: RetryBudget.window)
    private var place = 0
    private var secondEnd: Instant
    /// Requests since `advance`: one addition for each is all that this costs.
    private var fresh = 0

    package init(at now: Instant) { secondEnd = now + .seconds(1) }

    package mutating func noteRequest() { fresh += 1 }

    /// To be called about once a second or oftener; a longer pause counts for one second.
    package mutating func advance(to now: Instant) {
        requests[place] += fresh
        fresh = 0
        guard now >= secondEnd else { return }
        let passed = min(Int((now - secondEnd).seconds) + 1, RetryBudget.window)
        for _ in 0..<passed {
            place = place + 1 < RetryBudget.window ? place + 1 : 0
            requests[place] = 0
            retries[place] = 0
        }
        secondEnd = now + .seconds(1)
    }

    /// Takes one, if there is one left.
    package mutating func takeRetry(at now: Instant) -> Bool {
        advance(to: now)
        let allowed =
            RetryBudget.minimumPerSecond * RetryBudget.window + requests.reduce(0, +) * RetryBudget.percent / 100
        guard retries.reduce(0, +) < allowed else { return false }
        retries[place] += 1
        return true
    }
}
