import Policy
import Testing
import Wire

@Suite struct `Guesses under way` {
    private let one = IPNetwork("198.51.100.7")!
    private let other = IPNetwork("198.51.100.8")!
    private func id(_ number: UInt64) -> FailureID { FailureID(high: 0, low: number) }
    private func second(_ number: Int64) -> Instant { Instant(nanoseconds: number * 1_000_000_000) }

    @Test func `are counted by address, each once`() {
        var held = HeldGuesses()
        held.hold(id(1), of: one, until: second(10))
        held.hold(id(1), of: one, until: second(10))
        held.hold(id(2), of: one, until: second(10))
        held.hold(id(3), of: other, until: second(10))
        #expect((held.count(of: one), held.count(of: other), held.count) == (2, 1, 3))
        #expect((held.subject(of: id(1)), held.subject(of: id(3)), held.subject(of: id(4))) == (one, other, nil))
    }

    @Test func `are given back once`() {
        var held = HeldGuesses()
        held.hold(id(1), of: one, until: second(10))
        let first = held.release(id(1))
        let second = held.release(id(1))
        #expect(first == one && second == nil)
        #expect((held.count, held.count(of: one)) == (0, 0))
    }

    @Test func `keep the place that they got first`() {
        var held = HeldGuesses()
        held.hold(id(1), of: one, until: second(10))
        held.hold(id(1), of: other, until: second(20))
        #expect((held.count(of: one), held.count(of: other)) == (1, 0))
        held.expire(at: second(10))
        #expect(held.count == 1)
        held.expire(at: second(20))
        #expect((held.count, held.count(of: one)) == (0, 0))
    }

    @Test func `end at their deadline, the later one when it was set twice`() {
        var held = HeldGuesses()
        held.hold(id(1), of: one, until: second(10))
        held.hold(id(2), of: one, until: second(10))
        held.hold(id(2), of: one, until: second(20))
        held.expire(at: second(9))
        #expect(held.count(of: one) == 2)
        held.expire(at: second(10))
        #expect(held.count(of: one) == 1)
        held.expire(at: second(20))
        #expect(held.count == 0)
    }

    @Test func `that were given back leave nothing behind`() {
        var held = HeldGuesses()
        for number in 0..<100_000 {
            held.hold(id(UInt64(number)), of: one, until: second(1_000))
            held.release(id(UInt64(number)))
        }
        held.hold(id(1), of: one, until: second(10))
        held.expire(at: second(10))
        #expect(held.count == 0)
    }
}
