import Testing

@testable import Policy

@Suite struct `Servers that take turns` {
    @Test func `get one request each`() {
        var rotation = Rotation(count: 3)
        #expect((0..<7).map { _ in rotation.next() } == [1, 2, 0, 1, 2, 0, 1])
    }

    @Test func `keep their turn when a request of another is tried again`() {
        var rotation = Rotation(count: 3)
        #expect(rotation.next() == 1)
        #expect(rotation.another(than: 1) == 2)
        #expect(rotation.another(than: 2) == 0)
        #expect(rotation.next() == 2)
        #expect(Rotation(count: 1).another(than: 0) == 0)
    }

    /// Slow start: one of three has a fifth of its share.
    @Test func `are passed over in proportion to their share`() {
        var rotation = Rotation(count: 3)
        var counts = [0, 0, 0]
        for _ in 0..<220 { counts[rotation.next(shares: [100, 20, 100])] += 1 }
        #expect(counts == [100, 20, 100])
    }

    @Test func `go on when all of them have only just come`() {
        var rotation = Rotation(count: 2)
        var counts = [0, 0]
        for _ in 0..<100 { counts[rotation.next(shares: [1, 1])] += 1 }
        #expect(counts == [50, 50])
    }
}

@Suite struct `The freest server` {
    private func chosen(_ loads: [Int], shares: [Int]? = nil, avoiding: Int? = nil) -> Int {
        var rotation = Rotation(count: loads.count)
        return rotation.leastLoaded(shares ?? loads.map { _ in 100 }, avoiding: avoiding) { loads[$0] }
    }

    @Test func `has the fewest requests`() {
        #expect(chosen([4, 1, 2]) == 1)
        #expect(chosen([0, 1, 2]) == 0)
    }

    @Test func `is not the one to be avoided, unless there is no other`() {
        #expect(chosen([4, 1, 2], avoiding: 1) == 2)
        #expect(chosen([4], avoiding: 0) == 0)
    }

    @Test func `is by turns one of equals`() {
        var rotation = Rotation(count: 3)
        #expect((0..<6).map { _ in rotation.leastLoaded([100, 100, 100]) { _ in 0 } } == [1, 2, 0, 1, 2, 0])
    }

    /// With a tenth of its share one request is as much as ten.
    @Test func `is measured by its share`() {
        #expect(chosen([5, 0], shares: [100, 10]) == 0)
        #expect(chosen([10, 0], shares: [100, 10]) == 1)
    }
}

@Suite struct `A slow start` {
    @Test(arguments: [(0, 10), (50, 10), (100, 10), (500, 50), (990, 99), (1_000, 100), (5_000, 100)])
    func `grows from a tenth to the whole share`(_ passed: Int64, _ share: Int) {
        #expect(SlowStart.share(after: passed, of: 1_000) == share)
    }

    @Test func `of no length is none`() {
        #expect(SlowStart.share(after: 0, of: 0) == 100)
    }
}
