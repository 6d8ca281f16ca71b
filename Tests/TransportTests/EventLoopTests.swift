import Glibc
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

/// One end of a pair of sockets: notes in what order those were called who are ready.
private final class End: ReadinessHandler {
    private(set) var watcher: Watcher?
    private var pair: [Int32] = [0, 0]
    private let called: () -> Void

    init(_ loop: EventLoop, called: @escaping () -> Void) {
        self.called = called
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        watcher = Watcher(pair[0], on: loop, trigger: .level, handler: self)
    }

    deinit {
        watcher?.cancel()
        for descriptor in pair { close(descriptor) }
    }

    func arrive() {
        var byte: UInt8 = 1
        precondition(write(pair[1], &byte, 1) == 1)
    }

    func ready(_ readiness: Readiness) {
        var byte: UInt8 = 0
        precondition(read(pair[0], &byte, 1) == 1)
        called()
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

    /// What ends an idle connection must be seen before a request that came with it takes the connection.
    @Test func `calls those first whose events come first, whatever arrived first`() {
        let loop = EventLoop()
        var order = ""
        let ends = ["a", "b", "c"].map { name in End(loop) { order += name } }
        #expect(ends[2].watcher?.comesFirst(true) == true)
        for end in ends { end.arrive() }
        loop.turn()
        #expect(order == "cab")
        #expect(ends[2].watcher?.comesFirst(false) == true)
        for end in ends { end.arrive() }
        withExtendedLifetime(ends) { loop.turn() }
        #expect(order == "cababc")
    }
}
