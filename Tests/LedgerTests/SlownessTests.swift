import Testing
import Wire

@testable import Ledger

private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

/// A store that was too slow.
@Suite struct `A slow store` {
    private let deadline = Interval.milliseconds(250)

    @Test func `is asked again as soon as it answers in time`() {
        var slowness = Slowness()
        slowness.begins(at: at(0))
        let answers = [
            slowness.answered(after: .milliseconds(900), deadline: deadline, at: at(1)),
            slowness.answered(after: .milliseconds(3), deadline: deadline, at: at(2)),
        ]
        #expect(answers == [false, true])
    }

    @Test func `that answers just behind the deadline stays away`() {
        var slowness = Slowness()
        slowness.begins(at: at(0))
        for second in 0..<1_000 {
            let answer = slowness.answered(after: .milliseconds(250), deadline: deadline, at: at(second))
            #expect(!answer)
        }
    }

    @Test func `that was slow again soon must answer more often, in a row, up to a bound`() {
        var slowness = Slowness()
        var asked: [Int] = []
        for _ in 0..<7 {
            slowness.begins(at: at(0))
            var count = 1
            while !slowness.answered(after: .zero, deadline: deadline, at: at(0)) { count += 1 }
            asked.append(count)
        }
        #expect(asked == [1, 2, 4, 8, 16, 32, 32])
        slowness.begins(at: at(1))
        for _ in 0..<31 { _ = slowness.answered(after: .zero, deadline: deadline, at: at(1)) }
        let late = slowness.answered(after: .seconds(1), deadline: deadline, at: at(1))
        let next = slowness.answered(after: .zero, deadline: deadline, at: at(1))
        #expect(!late && !next, "it begins anew")
        // After a quiet minute nothing of it is left.
        slowness.begins(at: at(61))
        let first = slowness.answered(after: .zero, deadline: deadline, at: at(61))
        #expect(first)
    }
}
