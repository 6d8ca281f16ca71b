import Settings
import TestSupport
import Testing
import Wire

@testable import Policy

private let start = Instant(nanoseconds: 5_000_000_000_000)

/// The bucket of the textbook: so many tokens, one more every so often. Time is counted in whole nanoseconds, so that there
/// is nothing to round.
private struct PlainBucket {
    let spacing: Int64
    let burst: Int64
    /// In nanoseconds: a token is one spacing.
    private var credit: Int64
    private var last = start

    init(_ limit: RateLimit) {
        spacing = limit.rate.spacing.nanoseconds
        burst = Int64(limit.burst)
        credit = spacing * burst
    }

    mutating func take(at now: Instant) -> Bool {
        credit = min(spacing * burst, credit + (now - last).nanoseconds)
        last = now
        guard credit >= spacing else { return false }
        credit -= spacing
        return true
    }

    var left: Int { Int(credit / spacing) }
    /// Until there is one more than now.
    var more: Interval { Interval(nanoseconds: spacing - credit % spacing) }
}

@Suite struct `A token bucket` {
    @Test func `lets a burst pass, then one for each spacing`() {
        let bucket = TokenBucket(RateLimit(Rate(count: 100, per: .min), burst: 10))
        var fullAt = 0
        func take(at now: Instant) -> BucketLevel? {
            guard case .taken(let next, let level) = bucket.take(from: fullAt, at: now) else { return nil }
            fullAt = next
            return level
        }
        for left in (0..<10).reversed() { #expect(take(at: start)?.left == left) }
        #expect(take(at: start) == nil)
        #expect(take(at: start + .milliseconds(599)) == nil)
        #expect(take(at: start + .milliseconds(600)) == BucketLevel(left: 0, more: .milliseconds(600)))
        #expect(
            bucket.take(from: fullAt, at: start + .milliseconds(700))
                == .refused(BucketLevel(left: 0, more: .milliseconds(500))))
        #expect(take(at: start + .seconds(3_600))?.left == 9, "it holds no more than the burst")
    }

    @Test func `never gives more than its rate where that does not divide the time`() {
        let rate = Rate(count: 7, per: .s)
        #expect(rate.spacing == Interval(nanoseconds: 142_857_143))
        #expect(rate.spacing.nanoseconds * 7 >= 1_000_000_000)
    }

    @Test func `that was used up under a slower limit is empty under a faster one, and no more than that`() {
        let slow = TokenBucket(RateLimit(Rate(count: 1, per: .h), burst: 10))
        var fullAt = 0
        for _ in 0..<10 {
            if case .taken(let next, _) = slow.take(from: fullAt, at: start) { fullAt = next }
        }
        let fast = TokenBucket(RateLimit(Rate(count: 60, per: .min), burst: 10))
        // What is kept is brought down, too, or it would be refused for ten hours.
        let empty = Int((start + .seconds(10)).nanoseconds)
        #expect(
            fast.take(from: fullAt, at: start)
                == .lowered(fullAt: empty, BucketLevel(left: 0, more: .seconds(1))))
        #expect(
            fast.take(from: empty, at: start + .seconds(1))
                == .taken(fullAt: empty + 1_000_000_000, BucketLevel(left: 0, more: .seconds(1))))
    }

    @Test
    func
        `that is shared tells how long to wait until what others took is paid back, up to sixteen buckets and seconds`()
    {
        let bucket = TokenBucket(RateLimit(Rate(count: 60, per: .min), burst: 10), isShared: true)
        func more(after seconds: Int) -> TokenBucket.Outcome {
            bucket.take(from: Int((start + .seconds(seconds)).nanoseconds), at: start)
        }
        #expect(more(after: 10) == .refused(BucketLevel(left: 0, more: .seconds(1))))
        #expect(more(after: 45) == .refused(BucketLevel(left: 0, more: .seconds(36))))
        #expect(more(after: 176) == .refused(BucketLevel(left: 0, more: .seconds(167))))
        #expect(
            more(after: 177) == .refused(BucketLevel(left: 0, more: .seconds(168))), "seen with a clock that is behind")
        #expect(
            more(after: 178)
                == .lowered(
                    fullAt: Int((start + .seconds(176)).nanoseconds), BucketLevel(left: 0, more: .seconds(167))))
        #expect(bucket.furthest == .seconds(176))
    }

    @Test(arguments: [1, 1_000, RateLimit.bursts.upperBound])
    func `that is shared overflows nowhere`(burst: Int) {
        let bucket = TokenBucket(RateLimit(Rate(count: 1, per: .d), burst: burst), isShared: true)
        let late = Instant(nanoseconds: 10 * 366 * 86_400 * 1_000_000_000)
        #expect(bucket.furthest.nanoseconds >= bucket.room)
        guard case .lowered(let fullAt, let level) = bucket.take(from: .max, at: late) else {
            Issue.record("not lowered")
            return
        }
        #expect(fullAt == Int(late.nanoseconds + bucket.most))
        #expect(level.more.secondsRoundedUp > 0)
    }

    /// A token a day and the largest burst, on a machine that has been up for ten years: nothing may overflow.
    @Test func `holds what the settings allow at most`() {
        let bucket = TokenBucket(RateLimit(Rate(count: 1, per: .d), burst: RateLimit.bursts.upperBound))
        let late = Instant(nanoseconds: 10 * 366 * 86_400 * 1_000_000_000)
        guard case .taken(let fullAt, let level) = bucket.take(from: 0, at: late) else {
            Issue.record("refused")
            return
        }
        #expect(level.left == RateLimit.bursts.upperBound - 1)
        #expect(fullAt > Int(late.nanoseconds))
        let nearlyEmpty = Int(late.nanoseconds + bucket.room - bucket.spacing)
        #expect(
            bucket.take(from: nearlyEmpty, at: late)
                == .taken(
                    fullAt: Int(late.nanoseconds + bucket.room), BucketLevel(left: 0, more: .seconds(86_400))))
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `does what the plain model does`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let limit = RateLimit(
            Rate(
                count: Int.random(in: 1...500, using: &random), per: Rate.Unit.allCases.randomElement(using: &random)!),
            burst: Int.random(in: 1...20, using: &random))
        let bucket = TokenBucket(limit)
        var plain = PlainBucket(limit)
        var (now, fullAt) = (start, 0)
        for step in 0..<2_000 {
            let spacing = limit.rate.spacing.nanoseconds
            // Mostly close together; now and then exactly one spacing, or so long that the bucket is full.
            switch Int.random(in: 0..<10, using: &random) {
            case 0: now = now + limit.rate.spacing
            case 1: now = now + Interval(nanoseconds: spacing * Int64(limit.burst) * 2)
            case 2...6: now = now + Interval(nanoseconds: Int64.random(in: 0...spacing, using: &random))
            default: break
            }
            let isAllowed = plain.take(at: now)
            switch bucket.take(from: fullAt, at: now) {
            case .taken(let next, let level):
                #expect(isAllowed && level == BucketLevel(left: plain.left, more: plain.more), "\(limit), step \(step)")
                #expect(next > fullAt)
                fullAt = next
            case .refused(let level), .lowered(_, let level):
                #expect(!isAllowed && level == BucketLevel(left: 0, more: plain.more), "\(limit), step \(step)")
            }
        }
    }
}
