import Policy
import Testing
import Wire

@Suite struct `Who goes when there is no room` {
    private let now = Instant(nanoseconds: 1_000_000_000_000)

    private func before(_ seconds: Int) -> Instant {
        Instant(nanoseconds: now.nanoseconds - Int64(seconds) * 1_000_000_000)
    }

    /// The slots in the order in which they go.
    private func order(_ standings: [Standing]) -> [Int] {
        var victims = VictimList()
        for (slot, standing) in standings.enumerated() {
            if let precedence = Precedence(forPlaceOf: standing, at: now) { victims.offer(precedence, slot: slot) }
        }
        return all(&victims)
    }

    private func all(_ victims: inout VictimList) -> [Int] {
        var slots: [Int] = []
        while let (_, slot) = victims.next() { slots.append(slot) }
        return slots
    }

    @Test func `blocked addresses, then the longest idle, then the least progress`() {
        let order = order([
            .waiting(rate: 5, since: before(9)), .idle(since: before(10)), .busy, .blocked,
            .waiting(rate: 0, since: before(3)), .idle(since: before(58)), .waiting(rate: 0, since: before(8)),
        ])
        #expect(order == [3, 5, 1, 6, 4, 0])
    }

    @Test func `whoever is at work stays, and whoever is judged`() {
        #expect(order([.busy, .bound]) == [])
    }

    /// The one that has just come among slow ones would else go before it has asked.
    @Test func `a connection that has been idle for less than a second goes last`() {
        let order = order([
            .idle(since: now), .waiting(rate: 900, since: before(9)),
            .idle(since: Instant(nanoseconds: now.nanoseconds - 999_999_999)),
            .idle(since: before(1)),
        ])
        #expect(order == [3, 1, 2, 0])
    }

    @Test func `a client that is not slow stays`() {
        #expect(order([.waiting(rate: 1_024, since: before(60)), .waiting(rate: 1_023, since: before(60))]) == [1])
    }

    @Test func `of many the first 64 are found, in order`() {
        var victims = VictimList()
        // 7 and 1,000 have no common divisor, so each number comes once.
        for index in 0..<1_000 {
            let seconds = index * 7 % 1_000
            let precedence = Precedence(forPlaceOf: .idle(since: before(2_000 - seconds)), at: now)!
            victims.offer(precedence, slot: seconds)
        }
        #expect(all(&victims) == Array(0..<64))
        #expect(victims.isEmpty)
    }

    /// A list of victims is used for a while; whoever has come to something since is no victim any more.
    @Test func `what was offered can be compared with what is`() throws {
        let then = try #require(Precedence(forPlaceOf: .idle(since: before(6)), at: now))
        let same = try #require(Precedence(forPlaceOf: .idle(since: before(6)), at: now))
        let later = try #require(Precedence(forPlaceOf: .idle(since: before(5)), at: now))
        let blocked = try #require(Precedence(forPlaceOf: .blocked, at: now))
        #expect(same <= then)
        #expect(!(later <= then))
        #expect(blocked <= then)
    }

    private func holders(_ held: [(Standing, Int)]) -> [Int] {
        var victims = VictimList()
        for (slot, (standing, bytes)) in held.enumerated() {
            guard let precedence = Precedence(forMemoryOf: standing, held: bytes, at: now) else { continue }
            victims.offer(precedence, slot: slot)
        }
        return all(&victims)
    }

    @Test func `for memory the most that was held for the longest time`() {
        let order = holders([
            (.waiting(rate: 9_999, since: before(1)), 100_000), (.waiting(rate: 0, since: before(10)), 20_000),
            (.waiting(rate: 0, since: now), 250_000), (.busy, 250_000), (.idle(since: now), 24_576), (.blocked, 5_000),
            (.bound, 60_000),
        ])
        #expect(order == [5, 1, 0, 2, 4, 3, 6])
    }

    @Test func `for memory nobody who holds next to nothing`() {
        #expect(holders([(.blocked, 4_095), (.waiting(rate: 0, since: before(60)), 0), (.busy, 1)]) == [])
    }

    @Test func `held bytes and a wait beyond all measure do not overflow`() {
        #expect(holders([(.waiting(rate: 0, since: Instant(nanoseconds: 0)), .max)]) == [0])
    }
}
