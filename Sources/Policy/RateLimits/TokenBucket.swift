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

    /// `room` and any moment of a process fit in 64 bits together: a token a day, a hundred thousand of them.
    package init(_ limit: RateLimit) {
        spacing = limit.rate.spacing.nanoseconds
        room = spacing * Int64(limit.burst)
    }

    package enum Outcome: Hashable, Sendable {
        /// `fullAt` in place of what it was.
        case taken(fullAt: Int, BucketLevel)
        case refused(BucketLevel)
    }

    /// - Parameter fullAt: nanoseconds of `Instant`; a moment that is over, 0 too: the bucket is full.
    package func take(from fullAt: Int, at now: Instant) -> Outcome {
        // Never more than empty: it may have been used under a limit that was slower.
        let debt = min(room, max(Int64(fullAt), now.nanoseconds) - now.nanoseconds)
        let next = debt + spacing
        guard next <= room else { return .refused(BucketLevel(left: 0, more: Interval(nanoseconds: next - room))) }
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
