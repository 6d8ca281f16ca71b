import Glibc
import Policy
import Settings
import Synchronization
import Testing
import Wire

@testable import GatewayCore

private let now = Instant(nanoseconds: 7_000_000_000_000)

private func bucket(_ count: Int, per unit: Rate.Unit = .min, burst: Int) -> TokenBucket {
    TokenBucket(RateLimit(Rate(count: count, per: unit), burst: burst))
}

@Suite struct `The table of rate limits` {
    @Test func `has a bucket for each key`() {
        let table = RateTable(sets: 16)
        for key in [0, -1, 1, Int.min, 17] {
            for _ in 0..<3 { #expect(table.take(key: key, bucket(60, burst: 3), at: now).isAllowed) }
            #expect(!table.take(key: key, bucket(60, burst: 3), at: now).isAllowed)
            #expect(table.take(key: key, bucket(60, burst: 3), at: now + .seconds(1)).isAllowed)
        }
    }

    @Test func `is looked at without being touched`() {
        let table = RateTable(sets: 1)
        let limit = bucket(60, burst: 2)
        for left in [1, 0] {
            for _ in 0..<3 {
                #expect(
                    table.look(key: 7, limit, at: now)
                        == RateAnswer(isAllowed: true, level: .init(left: left, more: .seconds(1))))
            }
            #expect(table.take(key: 7, limit, at: now).level.left == left)
        }
        #expect(!table.look(key: 7, limit, at: now).isAllowed && table.look(key: 8, limit, at: now).isAllowed)
        #expect(table.look(key: 7, limit, at: now + .seconds(1)).isAllowed)
    }

    @Test func `raises a bucket that is here, and enters none`() {
        let table = RateTable(sets: 1)
        let limit = TokenBucket(RateLimit(Rate(count: 60, per: .min), burst: 3), isShared: true)
        #expect(table.take(key: 7, limit, at: now).isAllowed)
        func raise(_ key: Int, to seconds: Int) {
            table.raise(key: key, to: Int((now + .seconds(seconds)).nanoseconds))
        }
        raise(7, to: 2)
        #expect(table.take(key: 7, limit, at: now).level.left == 0)
        raise(7, to: 2)
        #expect(table.look(key: 7, limit, at: now).level.more == .seconds(1), "never lowers it")
        raise(7, to: 10)
        #expect(
            table.take(key: 7, limit, at: now) == RateAnswer(isAllowed: false, level: .init(left: 0, more: .seconds(8)))
        )
        #expect(table.take(key: 7, limit, at: now + .seconds(8)).isAllowed)
        raise(8, to: 10)
        #expect(table.take(key: 8, limit, at: now).level.left == 2, "it was not here")
    }

    /// Or a reload to a faster limit, and one that is shared no more, would leave clients out for as long as the former said.
    @Test func `brings a bucket down that is further away than its limit allows`() {
        let table = RateTable(sets: 1)
        #expect(table.take(key: 7, bucket(1, per: .h, burst: 2), at: now).isAllowed)
        let fast = bucket(60, burst: 2)
        #expect(
            table.take(key: 7, fast, at: now) == RateAnswer(isAllowed: false, level: .init(left: 0, more: .seconds(1))))
        #expect(table.take(key: 7, fast, at: now + .seconds(1)).isAllowed)
        #expect(!table.take(key: 7, fast, at: now + .seconds(1)).isAllowed)
        let shared = TokenBucket(RateLimit(Rate(count: 60, per: .min), burst: 2), isShared: true)
        table.raise(key: 7, to: Int((now + .seconds(1_000)).nanoseconds))
        #expect(table.take(key: 7, shared, at: now).level.more == .seconds(47))
        #expect(table.take(key: 7, fast, at: now).level.more == .seconds(1))
    }

    @Test func `gives the places of full buckets to others`() {
        let table = RateTable(sets: 1)
        for key in 0..<1_000 {
            let later = now + .seconds(key)
            #expect(table.take(key: key, bucket(60, burst: 3), at: later).isAllowed)
        }
        #expect(table.evictions == 0)
    }

    /// Whoever makes too many requests is not freed by a crowd of others, and the crowd is not locked out.
    @Test func `keeps those who make too many, and refuses nobody else, when it is full`() {
        let table = RateTable(sets: 4)
        let limit = bucket(60, burst: 5)
        for _ in 0..<5 { #expect(table.take(key: 2, limit, at: now).isAllowed) }
        for key in 100..<10_100 { #expect(table.take(key: key, limit, at: now).isAllowed) }
        #expect(!table.take(key: 2, limit, at: now).isAllowed)
        #expect(table.evictions == 10_000 - (4 * 8 - 1))
    }

    /// Threads take from a few buckets while their clock goes on: what has passed in the end is the burst and what came since,
    /// neither more nor less.
    @Test(arguments: [(1_000, 10), (7_000, 100), (60, 1)])
    func `is exact for threads at the same time`(rate: Int, burst: Int) {
        let crowd = Crowd(bucket(rate, per: .s, burst: burst))
        var threads = [pthread_t](repeating: 0, count: 4)
        for index in threads.indices {
            pthread_create(
                &threads[index], nil,
                { context in
                    Unmanaged<Crowd>.fromOpaque(context!).takeUnretainedValue().run()
                    return nil
                }, Unmanaged.passUnretained(crowd).toOpaque())
        }
        // The crowd outlives its threads: they are joined here.
        for thread in threads { pthread_join(thread, nil) }
        let spacing = Rate(count: rate, per: .s).spacing.nanoseconds
        // Every token was asked for more often than it came, so all were taken but what came behind the last question.
        for key in 0..<Crowd.keys {
            let passed = crowd.passed(key)
            #expect(passed == burst + Int(crowd.elapsed / spacing), "key \(key)")
        }
    }

    /// A crowd of new keys on several threads: none is entered twice. A thread that is interrupted within a few instructions
    /// may cost one token for each that waits for it, and on a busy machine some are interrupted.
    @Test func `takes every key of a crowd that comes at once`() {
        let crowd = Newcomers()
        var threads = [pthread_t](repeating: 0, count: 4)
        for index in threads.indices {
            pthread_create(
                &threads[index], nil,
                { context in
                    Unmanaged<Newcomers>.fromOpaque(context!).takeUnretainedValue().run()
                    return nil
                }, Unmanaged.passUnretained(crowd).toOpaque())
        }
        for thread in threads { pthread_join(thread, nil) }
        let wanted = Newcomers.keys * Newcomers.burst
        #expect((wanted...wanted + wanted / 100).contains(crowd.passed.load(ordering: .relaxed)))
    }
}

private final class Crowd: Sendable {
    static let keys = 3
    private static let steps = 40_000
    private static let step: Int64 = 5_000
    private let table = RateTable(sets: 1)
    private let bucket: TokenBucket
    private let time = Atomic<Int>(0)
    private let counts = Mutex<[Int]>(Array(repeating: 0, count: Crowd.keys))

    /// The first token of each is taken when the clock begins.
    init(_ bucket: TokenBucket) {
        self.bucket = bucket
        for key in 0..<Crowd.keys { _ = table.take(key: key, bucket, at: now) }
    }

    /// How far the clock has come, in nanoseconds.
    var elapsed: Int64 { Int64(time.load(ordering: .relaxed)) * Crowd.step }

    func passed(_ key: Int) -> Int {
        // What the threads left over at the last moment.
        var rest = 1
        while table.take(key: key, bucket, at: now + Interval(nanoseconds: elapsed)).isAllowed { rest += 1 }
        return counts.withLock { $0[key] } + rest
    }

    func run() {
        var mine = Array(repeating: 0, count: Crowd.keys)
        for round in 0..<Crowd.steps {
            let moment =
                now + Interval(nanoseconds: Int64(time.wrappingAdd(1, ordering: .relaxed).newValue) * Crowd.step)
            let key = round % Crowd.keys
            if table.take(key: key, bucket, at: moment).isAllowed { mine[key] += 1 }
        }
        counts.withLock { for key in mine.indices { $0[key] += mine[key] } }
    }
}

private final class Newcomers: Sendable {
    static let keys = 4_000
    static let burst = 2
    private let table = RateTable(sets: 1 << 10)
    let passed = Atomic<Int>(0)

    func run() {
        let limit = bucket(1, per: .d, burst: Newcomers.burst)
        for key in 0..<Newcomers.keys {
            for _ in 0..<Newcomers.burst + 1 where table.take(key: key, limit, at: now).isAllowed {
                passed.wrappingAdd(1, ordering: .relaxed)
            }
        }
    }
}
