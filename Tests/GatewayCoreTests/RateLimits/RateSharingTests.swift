import Ledger
import Policy
import Settings
import Telemetry
import TestSupport
import Testing
import Transport
import Wire

@testable import GatewayCore

private let start = Instant(nanoseconds: 50_000_000_000)
private let limit = RateLimit(Rate(count: 60, per: .min), burst: 5)
private let rule = RateRule(.perAddress, limit, isShared: true)

private func taking(
    _ key: Int, _ requests: Int = 1, of owner: RateTakings.Owner? = nil, since: Instant = start
) -> RateTakings.Taking {
    RateTakings.Taking(
        key: key, rule: rule, owner: owner ?? .address(IPAddress(v4: 0x0a00_0000 + UInt32(key))), requests: requests,
        since: since)
}

/// A ledger that answers when it is told to.
private final class Store {
    var told: [[BucketTaking]] = []
    var answers: [(BucketLevels) -> Void] = []
    var raised: [Int: Instant] = [:]

    func answer(_ debts: [Interval?]? = nil, problem: String? = nil) {
        let count = told[told.count - answers.count].count
        answers.removeFirst()(
            BucketLevels(debts: debts ?? Array(repeating: .seconds(1), count: count), problem: problem))
    }
}

@Suite struct `The sharing of rate limits` {
    private let store = Store()
    private let metrics = ControlMetrics(ledger: .connected)
    private let sharing: RateSharing
    private let loop = EventLoop()

    init() throws {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        sharing = RateSharing(
            on: loop, metrics: metrics, log: OperationalLog(logs, level: .error),
            tell: { [store] in
                store.told.append($0)
                store.answers.append($1)
            },
            raise: { [store] _, key, fullAt in store.raised[key] = fullAt })
    }

    private func receive(_ takings: [RateTakings.Taking], untold: Int = 0, at now: Instant = start) {
        sharing.received(RateTakings.Batch(takings: takings, untold: untold), at: now)
    }

    @Test func `tells what was taken, how long ago, and raises buckets by the answer`() {
        let now = start + .milliseconds(100)
        receive([taking(1, 3), taking(2, since: now)], at: now)
        #expect(
            store.told == [
                [
                    BucketTaking(
                        name: "rate:per_address@10.0.0.1", worth: .seconds(3), furthest: .seconds(96),
                        age: .milliseconds(100)),
                    BucketTaking(
                        name: "rate:per_address@10.0.0.2", worth: .seconds(1), furthest: .seconds(96), age: .zero),
                ]
            ])
        store.answer([.seconds(7), nil])
        #expect(store.raised == [1: now + .seconds(7)])
        #expect(metrics.rateTold == 3 && metrics.rateUntold == 1)
    }

    @Test func `has one slice on its way, and sums up what comes meanwhile`() {
        receive([taking(1)])
        receive([taking(1, 2), taking(2)], at: start + .milliseconds(10))
        receive([taking(1, 4)], at: start + .milliseconds(20))
        #expect(store.told.count == 1)
        store.answer()
        #expect(store.told.count == 1, "after a pause")
        sharing.timePassed(at: start + .milliseconds(70))
        #expect(store.told.last?.map(\.worth) == [.seconds(6), .seconds(1)])
        store.answer()
        sharing.timePassed(at: start + .milliseconds(120))
        #expect(store.told.count == 2)
        receive([taking(3)], at: start + .milliseconds(130))
        #expect(store.told.count == 3, "nobody waits for nothing")
    }

    @Test func `gives every bucket its turn`() {
        let all = 3 * RateSharing.sliceLength - 1
        receive((0..<all).map { taking($0) })
        var now = start
        for _ in 0..<3 {
            store.answer()
            now = now + .milliseconds(50)
            // The first one goes on, and waits behind the others.
            receive([taking(0)], at: now)
            sharing.timePassed(at: now)
        }
        #expect(store.told.map(\.count) == [256, 256, 256, 1])
        #expect(Set(store.told.joined().map(\.name)).count == all)
    }

    @Test func `gives up an answer that does not come, and takes none that comes too late`() {
        receive([taking(1)])
        receive([taking(2)])
        sharing.timePassed(at: start + .milliseconds(999))
        #expect(store.told.count == 1)
        sharing.timePassed(at: start + RateSharing.patience)
        #expect(store.told.count == 2 && metrics.rateUntold == 1)
        store.answer()
        #expect(store.raised.isEmpty)
        store.answer()
        #expect(store.raised.keys.sorted() == [2])
    }

    @Test func `forgets what waits when nothing is shared any more`() {
        receive([taking(1)])
        receive([taking(2)])
        sharing.forget()
        store.answer()
        #expect(store.raised.isEmpty)
        receive([taking(3)], at: start + .seconds(1))
        #expect(store.told.last?.map(\.name) == ["rate:per_address@10.0.0.3"])
    }

    @Test func `is bounded, and routes have their place in any crowd`() {
        receive([taking(0)], untold: 2)
        receive((1...RateSharing.limit + 10).map { taking($0) })
        #expect(metrics.rateUntold == 12)
        receive([taking(-1, of: .everybody)])
        receive([taking(5)])
        #expect(metrics.rateUntold == 12)
    }

    @Test func `tells of routes first, and of clients with a token and without by halves`() {
        func user(_ key: Int) -> RateTakings.Taking { taking(key, of: .subject(Array("\(key)".utf8))) }
        receive([taking(0)])
        receive((1...1_000).map { taking($0) } + (1_001...2_000).map { user($0) } + [taking(9_999, of: .everybody)])
        store.answer()
        sharing.timePassed(at: start + .milliseconds(50))
        let names = store.told[1].map(\.name)
        #expect(names.first == "rate:per_address@all" && names.count == RateSharing.sliceLength)
        #expect(names.filter { $0.hasPrefix("rate:per_address@10.") }.count == 127)
        // A crowd of one kind takes no place of the other, nor of a route.
        receive((3_000...3_000 + RateSharing.limit).map { taking($0) })
        let untold = metrics.rateUntold
        #expect(untold > 0)
        receive([user(5_000), taking(10_000, of: .everybody)])
        #expect(metrics.rateUntold == untold)
    }

    @Test func `prices a request by the limit of its time`() {
        receive([taking(0)])
        let slow = RateRule(.perAddress, RateLimit(Rate(count: 1, per: .min), burst: 5), isShared: true)
        receive([taking(1, 30)])
        receive([RateTakings.Taking(key: 1, rule: slow, owner: .address(IPAddress(v4: 0x0a00_0001)), since: start)])
        store.answer()
        sharing.timePassed(at: start + .milliseconds(50))
        #expect(store.told[1].map(\.worth) == [.seconds(90)], "thirty of a second, and one of a minute")
    }

    @Test func `asks a store that refuses about one bucket at a time`() {
        receive((0..<600).map { taking($0) })
        var now = start
        func goOn(_ debts: [Interval?]? = nil, problem: String? = nil) {
            store.answer(debts, problem: problem)
            now = now + .seconds(1)
            sharing.timePassed(at: now)
        }
        goOn(Array(repeating: nil, count: 256), problem: "NOPERM")
        #expect(store.told.last?.count == 1)
        goOn([nil], problem: "NOPERM")
        #expect(store.told.last?.count == 1)
        // The ledger's state tells of an outage: nothing is asked then, and nothing waits for it.
        goOn([nil])
        #expect(store.told.last?.count == 256)
    }

    @Test func `rests for four times as long as the store has taken`() {
        #expect(RateSharing.rest(behind: .milliseconds(2)) == .milliseconds(50))
        #expect(RateSharing.rest(behind: .milliseconds(250)) == .seconds(1))
    }

    /// Its answer was lost, but the keys are there.
    @Test func `counts what may be in the store as kept, and goes on to when nothing is shared for a while`() {
        var now = start
        for _ in 0..<RateSharing.mostKept / RateSharing.sliceLength {
            let first = store.told.count * RateSharing.sliceLength
            receive((first..<first + RateSharing.sliceLength).map { taking($0, since: now) }, at: now)
            now = now + RateSharing.patience
            sharing.timePassed(at: now)
        }
        sharing.forget()
        let untold = metrics.rateUntold
        // Each is full by now that was told more than 96 seconds ago: only the others have their place.
        receive([taking(999_999)], at: now)
        #expect(metrics.rateUntold == untold)
        #expect(store.told.count == RateSharing.mostKept / RateSharing.sliceLength + 1)
    }

    /// Of a limit by the day each key lives for a day; there may be more addresses than Redis has memory.
    @Test func `makes the store keep no more keys than there are buckets here, until they are full`() {
        var key = 0
        var now = start
        func crowd(_ count: Int) {
            receive((key..<key + count).map { taking($0, since: now) }, at: now)
            key += count
            while !store.answers.isEmpty {
                store.answer(Array(repeating: .seconds(3_600), count: store.told.last!.count))
                sharing.timePassed(at: now)
            }
        }
        for _ in 0..<8 { crowd(RateSharing.mostKept / 8) }
        #expect(metrics.rateUntold == 0)
        crowd(100)
        #expect(metrics.rateUntold == 100)
        receive([taking(7)], at: now)
        #expect(metrics.rateUntold == 100, "one that is there already")
        store.answer([.zero])
        sharing.timePassed(at: now)
        crowd(2)
        #expect(metrics.rateUntold == 101, "it is full again, and one has its place")
        now = now + .seconds(3_600)
        crowd(1_000)
        #expect(metrics.rateUntold == 101)
    }
}

/// Replicas with a table each, and the one store; a client goes round them as it likes.
@Suite struct `Replicas that share a rate limit` {
    private final class Replica {
        let table = RateTable(sets: 1)
        private(set) var sharing: RateSharing!
        private var requests = 0
        private var since = start

        init(on loop: EventLoop, _ log: OperationalLog, _ store: SharedMoment) {
            sharing = RateSharing(
                on: loop, metrics: ControlMetrics(ledger: .connected), log: log,
                tell: { takings, completion in completion(BucketLevels(debts: takings.map { store.take($0) })) },
                raise: { [table] _, key, fullAt in table.raise(key: key, to: Int(fullAt.nanoseconds)) })
        }

        func ask(_ rule: RateRule, at now: Instant) -> Bool {
            guard table.take(key: 1, rule.bucket, at: now).isAllowed else { return false }
            if requests == 0 { since = now }
            requests += 1
            return true
        }

        func tell(_ rule: RateRule, at now: Instant) {
            sharing.timePassed(at: now)
            guard requests > 0 else { return }
            let taking = RateTakings.Taking(key: 1, rule: rule, owner: .everybody, requests: requests, since: since)
            requests = 0
            sharing.received(RateTakings.Batch(takings: [taking]), at: now)
        }
    }

    /// What the script does, with a clock of the test's.
    private final class SharedMoment {
        var now = start
        private var fullAt = Instant(nanoseconds: 0)

        func take(_ taking: BucketTaking) -> Interval {
            let began = Instant(nanoseconds: now.nanoseconds - taking.age.nanoseconds)
            fullAt = min(max(fullAt, began) + taking.worth, now + taking.furthest)
            return max(.zero, fullAt - now)
        }
    }

    private let loop = EventLoop()

    /// How many requests pass in the time.
    private func passes(
        _ replicas: Int, _ limit: RateLimit, seconds: Int, perStep: Int = 1, choose: (Int) -> Int?
    ) throws -> Int {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        let log = OperationalLog(logs, level: .error)
        let store = SharedMoment()
        let rule = RateRule(.perAddress, limit, isShared: true)
        let house = (0..<replicas).map { _ in Replica(on: loop, log, store) }
        var passed = 0
        for step in 0..<seconds * 1_000 {
            let now = start + .milliseconds(step)
            store.now = now
            for _ in 0..<perStep {
                if let replica = choose(step), house[replica].ask(rule, at: now) { passed += 1 }
            }
            // Each at a time of its own.
            for (index, replica) in house.enumerated() where step % 100 == 30 * index % 100 {
                replica.tell(rule, at: now)
            }
        }
        return passed
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `let pass the rate, and a burst for each of them`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let limit = RateLimit(
            Rate(count: .random(in: 1...50, using: &random), per: .s), burst: .random(in: 2...20, using: &random))
        let replicas = Int.random(in: 2...5, using: &random)
        let isPatient = Bool.random(using: &random)
        var present = 0
        let passed = try passes(replicas, limit, seconds: 60) { step in
            // At each request another one, or one for a while.
            if !isPatient || step % 500 == 0 { present = .random(in: 0..<replicas, using: &random) }
            return Bool.random(using: &random) ? present : nil
        }
        let most = limit.rate.count * 60 + (replicas + 1) * limit.burst
        // What each lets pass before it hears of the others.
        let untold = replicas * (limit.rate.count / 10 + 1)
        #expect((limit.rate.count * 60 - untold...most + untold).contains(passed), "\(limit), \(replicas) replicas")
    }

    /// Where much passes before anybody hears of it, in proportion to a bucket.
    @Test func `let pass the rate also when it is high, a bucket small, and replicas are many`() throws {
        var random = SeededGenerator(seed: 1)
        let limit = RateLimit(Rate(count: 1_000, per: .s), burst: 10)
        let passed = try passes(16, limit, seconds: 20, perStep: 8) { _ in .random(in: 0..<16, using: &random) }
        // Each lets pass a bucket, and what comes in until it is told, at most 0.2 seconds.
        let untold = 16 * (10 + 200)
        #expect((20_000 - untold...20_000 + untold).contains(passed))
    }

    /// The whole of it that one has for himself is the same as without sharing.
    @Test func `refuse nobody who stays with one of them and would pass there alone`() throws {
        let limit = RateLimit(Rate(count: 10, per: .s), burst: 1)
        let passed = try passes(3, limit, seconds: 60) { $0 % 100 == 0 ? 1 : nil }
        #expect(passed == 600)
    }

    @Test func `would let three times as much pass if they did not tell each other`() {
        let tables = (0..<3).map { _ in RateTable(sets: 1) }
        let rule = RateRule(.perAddress, RateLimit(Rate(count: 10, per: .s), burst: 5))
        let passed = (0..<60_000).filter {
            tables[$0 % 3].take(key: 1, rule.bucket, at: start + .milliseconds($0)).isAllowed
        }
        #expect(passed.count > 1_800)
    }
}
