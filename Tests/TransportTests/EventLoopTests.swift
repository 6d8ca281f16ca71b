import Testing

@testable import Transport

/// Counts how often it was resumed, and asks for as much again as it was told to.
private final class Busy: ReadinessHandler {
    /// The loop holds who is still ready.
    unowned let loop: EventLoop
    var resumed = 0
    /// How often it says that it is still ready, each time it is resumed.
    var repeats = 0

    init(_ loop: EventLoop) { self.loop = loop }

    func ready(_ readiness: Readiness) {}

    func resume() {
        resumed += 1
        for _ in 0..<repeats { loop.stillReady(self) }
    }
}

@Suite struct `A turn of the loop` {
    @Test func `resumes who is still ready, and nobody twice`() {
        let loop = EventLoop()
        let first = Busy(loop)
        let second = Busy(loop)
        for _ in 0..<100 { loop.stillReady(first) }
        loop.stillReady(second)
        loop.turn()
        #expect((first.resumed, second.resumed) == (1, 1))
    }

    /// A client that sent many requests at once is answered a few of them in each turn, not more from turn to turn.
    @Test func `gives a handler that asks many times no more than one that asks once`() {
        let loop = EventLoop()
        let busy = Busy(loop)
        busy.repeats = 32
        loop.stillReady(busy)
        for _ in 0..<10 { loop.turn() }
        #expect(busy.resumed == 10)
    }

    @Test func `leaves those alone who have said nothing`() {
        let loop = EventLoop()
        let idle = Busy(loop)
        let busy = Busy(loop)
        loop.stillReady(busy)
        loop.turn()
        #expect((idle.resumed, busy.resumed) == (0, 1))
    }
}
