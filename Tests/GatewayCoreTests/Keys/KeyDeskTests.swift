import Policy
import Testing
import Transport
import Wire

@testable import GatewayCore

/// What was asked and what came of it.
private final class Notes {
    var tickets: [Int] = []
    var answers: [Int] = []
}

@Suite struct `Whoever asks the workers about keys` {
    private let loop = EventLoop()
    private let notes = Notes()

    private func desk(_ workers: Int, patience: Interval = .seconds(60)) -> KeyDesk {
        KeyDesk(running: { workers }, on: loop, patience: patience) { [notes] _, ticket in notes.tickets.append(ticket)
        }
    }

    @Test func `hears of all of them together, each round by itself`() {
        let desk = desk(2)
        desk.ask(.usage) { [notes] in notes.answers.append($0.count) }
        desk.ask(.judge([])) { [notes] in notes.answers.append(10 + $0.count) }
        #expect(notes.tickets == [1, 2])
        desk.received(.usage([]), 1)
        desk.received(.verdicts([]), 2)
        #expect(notes.answers == [])
        desk.received(.verdicts([]), 2)
        #expect(notes.answers == [12])
        desk.received(.usage([]), 1)
        #expect(notes.answers == [12, 2])
        // Late, or of nobody.
        desk.received(.usage([]), 1)
        desk.received(.usage([]), 7)
        #expect(notes.answers == [12, 2])
    }

    @Test func `does not wait for ever for one that hangs`() {
        let desk = desk(2, patience: .milliseconds(20))
        desk.ask(.usage) { [notes] in notes.answers.append($0.count) }
        desk.received(.usage([]), 1)
        desk.ask(.usage) { [notes] in notes.answers.append(10 + $0.count) }
        let ticker = LoopTimer(on: loop) {}
        ticker.fire(every: .milliseconds(1))
        let end = Instant.now() + .seconds(30)
        while notes.answers.count < 2, Instant.now() < end { loop.turn() }
        #expect(notes.answers == [1, 10])
    }

    @Test func `hears at once that there is nobody`() {
        desk(0).ask(.usage) { [notes] in notes.answers.append($0.count) }
        #expect(notes.answers == [0])
        #expect(notes.tickets == [])
    }
}
