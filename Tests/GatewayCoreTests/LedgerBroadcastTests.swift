import Policy
import Testing
import Transport
import Wire

@testable import GatewayCore

/// What happened, in order.
private final class Trail {
    var names: [String] = []
    func note(_ name: String) -> () -> Void { { self.names.append(name) } }
}

@Suite struct `The broadcast of blocks` {
    private let loop = EventLoop()
    private let mailboxes = [Mailbox<WorkerMessage>(), Mailbox<WorkerMessage>(), Mailbox<WorkerMessage>()]
    private let delta = BlockDelta.set([BlockEntry(network: IPNetwork("203.0.113.9/32")!, deadline: .never)])
    private let trail = Trail()

    private func turn(until condition: () -> Bool) -> Bool {
        let ticker = LoopTimer(on: loop) {}
        ticker.fire(every: .milliseconds(1))
        let end = Instant.now() + .seconds(30)
        while !condition() {
            if Instant.now() > end { return false }
            loop.turn()
        }
        return true
    }

    private func applied(_ sequence: Int, in broadcast: LedgerBroadcast) {
        for worker in 0..<3 { broadcast.applied(by: worker, sequence) }
    }

    @Test func `reaches every worker in the order in which it was sent`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        let received = Trail()
        let receivers = mailboxes.indices.map { index in
            MailboxReceiver(mailboxes[index], on: loop) { message in
                if case .ledger(_, let sequence) = message { received.names.append("\(index): \(sequence)") }
            }
        }
        broadcast.send(.blocks(delta))
        broadcast.send(.revocations(.lift([])))
        #expect(turn { received.names.count == 6 })
        for index in 0..<3 {
            #expect(received.names.filter { $0.hasPrefix("\(index)") } == ["\(index): 1", "\(index): 2"])
        }
        withExtendedLifetime(receivers) {}
    }

    @Test func `lets go at once when there is nothing to wait for`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("nothing sent"))
        #expect(trail.names == ["nothing sent"])
        broadcast.send(.blocks(delta))
        applied(1, in: broadcast)
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("all applied"))
        #expect(trail.names == ["nothing sent", "all applied"])
    }

    /// Decisions 8: no worker of the process would serve the address any more when the 401 leaves.
    @Test func `holds an answer until the last worker has applied the block`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("answer"))
        broadcast.applied(by: 0, 1)
        broadcast.applied(by: 2, 1)
        #expect(trail.names == [])
        broadcast.applied(by: 1, 1)
        #expect(trail.names == ["answer"])
        broadcast.applied(by: 1, 1)
        #expect(trail.names == ["answer"])
    }

    @Test func `does not take an earlier change for a later one`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("first"))
        broadcast.send(.blocks(delta))
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("second"))
        applied(1, in: broadcast)
        #expect(trail.names == ["first"])
        applied(2, in: broadcast)
        #expect(trail.names == ["first", "second"])
    }

    @Test func `takes a later change for all before it`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("first"))
        broadcast.send(.blocks(delta))
        applied(2, in: broadcast)
        applied(1, in: broadcast)
        #expect(trail.names == ["first"])
        broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("after"))
        #expect(trail.names == ["first", "after"])
    }

    /// A worker that hangs must not keep an answer for ever.
    @Test func `lets go at the deadline and not before`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        let begun = Instant.now()
        broadcast.whenApplied(within: .milliseconds(20), now: begun, trail.note("answer"))
        #expect(turn { trail.names == ["answer"] })
        #expect(Instant.now() - begun >= .milliseconds(20))
    }

    /// While one worker hangs, answers that come after must not put off those that wait already.
    @Test func `keeps each deadline when others come behind it`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        let begun = Instant.now()
        broadcast.whenApplied(within: .milliseconds(20), now: begun, trail.note("soon"))
        broadcast.whenApplied(within: .seconds(120), now: begun, trail.note("late"))
        #expect(turn { trail.names == ["soon"] })
        applied(1, in: broadcast)
        #expect(trail.names == ["soon", "late"])
    }

    @Test func `may be asked again by the answer that it lets go`() {
        let broadcast = LedgerBroadcast(mailboxes, on: loop)
        broadcast.send(.blocks(delta))
        broadcast.whenApplied(within: .seconds(60), now: .now()) { [trail] in
            trail.names.append("first")
            broadcast.send(.blocks(delta))
            broadcast.whenApplied(within: .seconds(60), now: .now(), trail.note("second"))
        }
        applied(1, in: broadcast)
        #expect(trail.names == ["first"])
        applied(2, in: broadcast)
        #expect(trail.names == ["first", "second"])
    }
}
