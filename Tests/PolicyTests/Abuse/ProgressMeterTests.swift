import Policy
import Testing
import Wire

/// An expectation cannot change a value.
private final class Meter {
    private var meter = ProgressMeter()

    func look(_ matter: ProgressMeter.Matter?, at now: Instant, _ rule: ProgressRule, bytes: Int64) -> Bool {
        meter.look(matter, at: now, rule, bytes: bytes)
    }
    func rate(_ matter: ProgressMeter.Matter, at now: Instant, bytes: Int64) -> (rate: Int64, since: Instant)? {
        meter.rate(matter, at: now, bytes: bytes)
    }
    func hasMoved(to bytes: Int64) -> Bool { meter.hasMoved(to: bytes) }
}

@Suite struct `A meter of progress` {
    private let start = Instant(nanoseconds: 1_000_000_000_000)
    /// 240 bytes per second over 30 seconds: 7,200 bytes.
    private let rule = ProgressRule(rate: 240, window: .seconds(30))

    @Test func `finds whoever moves less in a window than the rule asks for`() {
        let meter = Meter()
        #expect(meter.look(.sending, at: start, rule, bytes: 100))
        #expect(meter.look(.sending, at: start + .seconds(29), rule, bytes: 100))
        #expect(!meter.look(.sending, at: start + .seconds(30), rule, bytes: 7_299))
    }

    @Test func `lets whoever moves enough have another window`() {
        let meter = Meter()
        #expect(meter.look(.sending, at: start, rule, bytes: 100))
        #expect(meter.look(.sending, at: start + .seconds(30), rule, bytes: 7_300))
        #expect(meter.look(.sending, at: start + .seconds(59), rule, bytes: 7_300))
        #expect(!meter.look(.sending, at: start + .seconds(60), rule, bytes: 14_499))
    }

    /// One byte whenever a timeout is about to pass.
    @Test func `is not put off by single bytes`() {
        let meter = Meter()
        var isFast = true
        for second in 0...30 where isFast {
            isFast = meter.look(.reading, at: start + .seconds(second), rule, bytes: Int64(second))
        }
        #expect(!isFast)
    }

    @Test func `begins anew when the client was not waited for`() {
        let meter = Meter()
        #expect(meter.look(.reading, at: start, rule, bytes: 0))
        #expect(meter.look(nil, at: start + .seconds(29), rule, bytes: 0))
        #expect(meter.look(.reading, at: start + .seconds(29), rule, bytes: 0))
        #expect(meter.look(.reading, at: start + .seconds(58), rule, bytes: 0))
        #expect(!meter.look(.reading, at: start + .seconds(59), rule, bytes: 0))
    }

    @Test func `begins anew with another matter`() {
        let meter = Meter()
        #expect(meter.look(.sending, at: start, rule, bytes: 50_000))
        #expect(meter.look(.reading, at: start + .seconds(29), rule, bytes: 0))
        #expect(meter.look(.reading, at: start + .seconds(58), rule, bytes: 0))
    }

    /// The next answer on the connection.
    @Test func `takes bytes counted from nothing for the next message`() {
        let meter = Meter()
        #expect(meter.look(.reading, at: start, rule, bytes: 1_000_000))
        #expect(meter.look(.reading, at: start + .seconds(30), rule, bytes: 10))
        #expect(!meter.look(.reading, at: start + .seconds(60), rule, bytes: 20))
    }

    @Test func `asks for no rate when the rule has none`() {
        let meter = Meter()
        let rule = ProgressRule(rate: 0, window: .seconds(30))
        #expect(meter.look(.sending, at: start, rule, bytes: 0))
        #expect(meter.look(.sending, at: start + .seconds(30), rule, bytes: 0))
    }

    @Test func `takes the largest settings there are`() {
        let meter = Meter()
        let rule = ProgressRule(rate: 1 << 20, window: .seconds(3_600))
        #expect(meter.look(.sending, at: start, rule, bytes: 0))
        #expect(!meter.look(.sending, at: start + .seconds(3_600), rule, bytes: 3_774_873_599))
        #expect(meter.look(.sending, at: start + .seconds(7_200), rule, bytes: 7_549_747_199))
    }

    @Test func `tells the rate of a window that is under way, after half a second`() throws {
        let meter = Meter()
        #expect(meter.rate(.reading, at: start, bytes: 0) == nil)
        _ = meter.look(.reading, at: start, rule, bytes: 1_000)
        #expect(meter.rate(.reading, at: start + .milliseconds(499), bytes: 9_000) == nil)
        let rate = try #require(meter.rate(.reading, at: start + .seconds(4), bytes: 9_000))
        #expect(rate.rate == 2_000)
        #expect(rate.since == start)
        #expect(meter.rate(.sending, at: start + .seconds(4), bytes: 9_000) == nil)
        #expect(meter.hasMoved(to: 1_001))
        #expect(!meter.hasMoved(to: 1_000))
    }
}
