import Settings
import Testing
import Wire

@testable import Policy

@Suite struct `When a provider's keys are fetched` {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func schedule(refresh: Int = 600, maximumAge: Int = 3_600) -> KeySchedule {
        var provider = Configuration.Tokens.Provider(
            .jwks(WebAddress("https://issuer.example.org/keys")!), section: "tokens.keys[0]")
        provider.refresh = .seconds(refresh)
        provider.maximumAge = .seconds(maximumAge)
        return KeySchedule(provider, at: start)
    }

    @Test func `at once in the beginning, and one at a time`() {
        var schedule = schedule()
        #expect(schedule.deadline == start)
        let first = schedule.begins(at: start)
        let second = schedule.begins(at: start + .seconds(100))
        #expect(first)
        #expect(!second, "the first is under way")
        #expect(schedule.deadline == .never)
    }

    /// A fifth to a tenth of the time is left, so that a failure is no outage, and replicas do not keep step.
    @Test(arguments: [(0, 480), (255, 540)] as [(UInt8, Int)])
    func `again before the time is over`(chance: UInt8, after: Int) {
        var schedule = schedule()
        _ = schedule.begins(at: start)
        schedule.succeeded(at: start, lifetime: nil, chance: chance)
        let early = schedule.begins(at: start + .seconds(after - 1))
        let due = schedule.begins(at: start + .seconds(after + 1))
        #expect(!early)
        #expect(due)
    }

    @Test(arguments: [(0, 48), (5, 48), (120, 96), (86_400, 69_120), (1_000_000, 69_120)])
    func `as Cache-Control says, within bounds`(lifetime: Int, after: Int) {
        var schedule = schedule(maximumAge: 30 * 86_400)
        _ = schedule.begins(at: start)
        schedule.succeeded(at: start, lifetime: .seconds(lifetime), chance: 0)
        #expect((schedule.deadline - start).seconds == after)
    }

    @Test func `sooner after a failure, and less often the more there are`() {
        var schedule = schedule()
        var now = start
        var waits: [Int64] = []
        for _ in 0..<10 {
            _ = schedule.begins(at: now)
            schedule.failed(at: now, chance: 255)
            waits.append((schedule.deadline - now + .milliseconds(1)).seconds)
            now = schedule.deadline
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
        schedule.succeeded(at: now, lifetime: nil, chance: 0)
        #expect(schedule.failures == 0)
    }

    @Test func `keys hold until they are too old`() {
        var schedule = schedule(refresh: 600, maximumAge: 1_000)
        _ = schedule.begins(at: start)
        schedule.succeeded(at: start, lifetime: nil, chance: 0)
        let refresh = schedule.deadline
        _ = schedule.begins(at: refresh)
        #expect(schedule.deadline == start + .seconds(1_000), "what is left to wait for while a fetch is under way")
        let early = schedule.expires(at: start + .seconds(999))
        let now = start + .seconds(1_000)
        let due = schedule.expires(at: now)
        let again = schedule.expires(at: now)
        #expect(!early)
        #expect(due)
        #expect(!again)
        #expect(schedule.deadline == .never, "a time that has passed is nothing to wait for")
        schedule.failed(at: now, chance: 255)
        #expect(schedule.deadline > now)
    }

    /// A provider that is well must not let its own keys become too old.
    @Test func `before keys are too old, whatever Cache-Control allows`() {
        var schedule = schedule(refresh: 600, maximumAge: 3_600)
        _ = schedule.begins(at: start)
        schedule.succeeded(at: start, lifetime: .seconds(86_400), chance: 255)
        #expect(schedule.deadline < start + .seconds(3_600))
    }

    @Test func `keys of an earlier configuration hold as long as this one says`() {
        var last = schedule(maximumAge: 3_600)
        _ = last.begins(at: start)
        last.succeeded(at: start, lifetime: nil, chance: 0)
        let now = start + .seconds(100)
        var next = schedule(maximumAge: 600)
        next.continues(last)
        _ = next.begins(at: now)
        #expect(next.deadline == start + .seconds(600))
        _ = last.expires(at: start + .seconds(3_600))
        var later = schedule(maximumAge: 7_200)
        later.continues(last)
        _ = later.begins(at: start + .seconds(3_601))
        #expect(later.deadline == .never, "what had expired does not come back")
    }

    /// Whoever makes up kids causes one fetch in 30 seconds, whatever the rate.
    @Test func `at once for an unknown kid, but not for each`() {
        var schedule = schedule()
        _ = schedule.begins(at: start)
        schedule.succeeded(at: start, lifetime: nil, chance: 0)
        var begun: [Int64] = []
        for millisecond in stride(from: 1_000, to: 100_000, by: 100) {
            let now = start + .milliseconds(millisecond)
            _ = schedule.missed(at: now)
            guard schedule.begins(at: now) else { continue }
            begun.append((now - start).milliseconds)
            schedule.succeeded(at: now, lifetime: nil, chance: 0)
        }
        #expect(begun == [1_000, 31_000, 61_000, 91_000])
    }

    /// A provider in trouble is not asked more often because its keys are missed.
    @Test func `no sooner for an unknown kid while it fails`() {
        var schedule = schedule()
        var now = start
        for _ in 0..<5 {
            _ = schedule.begins(at: now)
            schedule.failed(at: now, chance: 0)
            let due = schedule.deadline
            let isSooner = schedule.missed(at: due + .milliseconds(-1))
            #expect(!isSooner)
            now = due
        }
    }
}
