import Settings
import Testing
import Wire

@testable import Policy

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

@Suite struct `A server whose requests fail` {
    private let rule = Configuration.Upstream.Ejection()
    private let checks = Configuration.Upstream.HealthCheck()

    @Test func `is ejected for a while, and then comes back`() {
        var health = ServerHealth()
        #expect(health.failing(at: at(100), rule) == .ejected(for: .seconds(10)))
        #expect(health.state == .ejected(until: at(110)))
        #expect(health.deadline == at(110))
        #expect(health.advance(to: at(109.9)) == nil)
        #expect(health.advance(to: at(110)) == .returned)
        #expect(health.state == .up(since: at(110)))
        #expect(health.deadline == .never)
    }

    @Test func `is ejected for twice as long when it fails again soon, up to the longest time`() {
        var health = ServerHealth()
        var now = at(0)
        var times: [Int64] = []
        for _ in 0..<7 {
            guard case .ejected(let time)? = health.failing(at: now, rule) else { return }
            times.append(time.seconds)
            now = now + time
            #expect(health.advance(to: now) == .returned)
            now = now + .seconds(1)
        }
        #expect(times == [10, 20, 40, 80, 160, 300, 300])
    }

    @Test func `begins anew when it has served for as long as it was away`() {
        var health = ServerHealth()
        _ = health.failing(at: at(0), rule)
        _ = health.advance(to: at(10))
        #expect(health.failing(at: at(19), rule) == .ejected(for: .seconds(20)))
        _ = health.advance(to: at(39))
        #expect(health.failing(at: at(59), rule) == .ejected(for: .seconds(10)))
    }

    /// Requests that were under way when it was ejected fail late.
    @Test func `is not ejected twice`() {
        var health = ServerHealth()
        _ = health.failing(at: at(0), rule)
        #expect(health.failing(at: at(1), rule) == nil)
        #expect(health.state == .ejected(until: at(10)))
    }

    @Test func `comes back sooner when a check shows that it has mended`() {
        var health = ServerHealth()
        _ = health.failing(at: at(0), rule)
        #expect(health.checked(false, mends: true, at: at(1), checks) == nil)
        #expect(health.checked(true, mends: true, at: at(2), checks) == .returned)
        #expect(health.state == .up(since: at(2)))
    }

    /// A server that answers wrongly may answer checks well all the time.
    @Test func `stays away when checks say nothing about what it did`() {
        var health = ServerHealth()
        _ = health.failing(at: at(0), rule)
        for second in 1..<9 { #expect(health.checked(true, mends: false, at: at(Double(second)), checks) == nil) }
        #expect(health.state == .ejected(until: at(10)))
    }

    @Test(arguments: [
        (1, 0, 0, false), (2, 0, 0, true), (2, 1, 0, false), (3, 1, 0, false), (4, 1, 0, true), (4, 2, 0, false),
    ])
    func `is ejected only while others can take its load`(total: Int, ejected: Int, down: Int, expected: Bool) {
        #expect(rule.allowsAnother(of: total, ejected: ejected, down: down) == expected)
    }

    @Test func `is never ejected when it is the last one that is up`() {
        #expect(!rule.allowsAnother(of: 5, ejected: 0, down: 4))
        #expect(rule.allowsAnother(of: 5, ejected: 1, down: 2))
        #expect(!rule.allowsAnother(of: 5, ejected: 1, down: 3))
    }

    @Test func `is never ejected when no share may be`() {
        var none = rule
        none.maximumShare = 0
        #expect(!none.allowsAnother(of: 10, ejected: 0, down: 0))
    }
}

@Suite struct `A server that is checked` {
    private var rule: Configuration.Upstream.HealthCheck {
        var rule = Configuration.Upstream.HealthCheck()
        rule.path = "/healthz"
        rule.healthyAfter = 2
        return rule
    }

    private func changes(_ results: [Bool]) -> [ServerHealth.Change?] {
        var health = ServerHealth()
        return results.enumerated().map { health.checked($1, mends: true, at: at(Double($0)), rule) }
    }

    @Test func `goes down after checks in a row that fail, and comes up after checks in a row that succeed`() {
        #expect(
            changes([false, false, false, false, true, true, true])
                == [nil, nil, .wentDown, nil, nil, .returned, nil])
    }

    @Test func `begins to count anew with every check of the other kind`() {
        #expect(changes([false, false, true, false, false]) == [nil, nil, nil, nil, nil])
        #expect(changes([false, false, false, true, false, true, true]).suffix(4) == [nil, nil, nil, .returned])
    }

    @Test func `goes down while it is ejected, and then stays away until checks succeed`() {
        var health = ServerHealth()
        _ = health.failing(at: at(0), Configuration.Upstream.Ejection())
        for second in 1...2 { #expect(health.checked(false, mends: true, at: at(Double(second)), rule) == nil) }
        #expect(health.checked(false, mends: true, at: at(3), rule) == .wentDown)
        #expect(health.advance(to: at(60)) == nil)
        #expect(health.state == .down)
    }

    @Test func `is up again when nobody checks it any more`() {
        var health = ServerHealth()
        for second in 0..<3 { _ = health.checked(false, mends: true, at: at(Double(second)), rule) }
        #expect(health.uncheck(at: at(5)) == .returned)
        #expect(health.state == .up(since: at(5)))
        #expect(health.uncheck(at: at(6)) == nil)
    }
}
