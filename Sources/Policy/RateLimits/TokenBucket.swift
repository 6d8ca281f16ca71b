package import Settings
package import Wire

/// A token bucket as one number: the moment at which it will be full again (the "theoretical arrival time" of the generic
/// cell rate algorithm). A request takes a token by moving that moment on by one spacing, which it may while the moment
/// is not further away than the whole bucket. A bucket that is full says nothing, so it need not be kept.
package struct TokenBucket: Hashable, Sendable {
    /// In nanoseconds; at least 1.
    let spacing: Int64
    /// What a whole bucket is worth, in nanoseconds.
    let room: Int64
    /// How far away from full it may be, in nanoseconds: a whole bucket is empty, and a bucket of one process is never more than
    /// that. One that replicas share may be overdrawn, since each lets pass a bucket, and what comes in, before it hears of the
    /// others; what was too much must be waited for, or they would let more pass than the rate in the long run.
    let most: Int64

    /// How many replicas may overdraw it at once, and how long one of them may not hear of the others, in nanoseconds.
    private static let mostReplicas: Int64 = 16
    private static let silence: Int64 = 1_000_000_000
    /// The clocks of workers stand still for a turn of their loops, in nanoseconds at most: to one that is behind, a bucket that
    /// others use looks further away than it may be.
    private static let lag: Int64 = 1_000_000_000

    /// `most` and any moment of a process fit in 64 bits together: a token a day, a hundred thousand of them.
    package init(_ limit: RateLimit, isShared: Bool = false) {
        spacing = limit.rate.spacing.nanoseconds
        room = spacing * Int64(limit.burst)
        // 146 years, where that is more.
        let bound = max(room, 1 << 62)
        let (sum, _) = room.addingReportingOverflow(TokenBucket.silence)
        let (product, isTooMuch) = sum.multipliedReportingOverflow(by: TokenBucket.mostReplicas)
        most = !isShared ? room : isTooMuch || product < room ? bound : min(product, bound)
    }

    package var furthest: Interval { Interval(nanoseconds: most) }

    package enum Outcome: Hashable, Sendable {
        /// `fullAt` in place of what it was.
        case taken(fullAt: Int, BucketLevel)
        case refused(BucketLevel)
        /// Refused, and `fullAt` in place of what it was: it is further away than it may be, since it was used under a limit
        /// that was slower, or shared. Or whoever is refused would wait as long as that limit says.
        case lowered(fullAt: Int, BucketLevel)
    }

    /// - Parameter fullAt: nanoseconds of `Instant`; a moment that is over, 0 too: the bucket is full.
    package func take(from fullAt: Int, at now: Instant) -> Outcome {
        let found = max(Int64(fullAt), now.nanoseconds) - now.nanoseconds
        let isTooFar = found > most + TokenBucket.lag
        let next = (isTooFar ? most : found) + spacing
        guard next <= room else {
            let level = BucketLevel(left: 0, more: Interval(nanoseconds: next - room))
            return isTooFar ? .lowered(fullAt: Int(now.nanoseconds + most), level) : .refused(level)
        }
        let credit = room - next
        return .taken(
            fullAt: Int(now.nanoseconds + next),
            BucketLevel(left: Int(credit / spacing), more: Interval(nanoseconds: spacing - credit % spacing)))
    }
}

/// How a bucket stands after a request.
package struct BucketLevel: Hashable, Sendable {
    /// Tokens that are left.
    package var left: Int
    /// Until there is one more.
    package var more: Interval

    package init(left: Int, more: Interval) {
        self.left = left
        self.more = more
    }
}
