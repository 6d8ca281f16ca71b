import Synchronization
import Testing
import Wire

@testable import Transport

@Suite struct `A mailbox` {
    @Test func `delivers what two threads sent, each in its order`() async throws {
        let mailbox = Mailbox<(Int, Int)>()
        let perSender = 2_000
        async let first: Void = Task.detached { for n in 0..<perSender { mailbox.send((0, n)) } }.value
        async let second: Void = Task.detached { for n in 0..<perSender { mailbox.send((1, n)) } }.value
        _ = await (first, second)

        let loop = EventLoop()
        var received = [[Int](), [Int]()]
        let receiver = MailboxReceiver(mailbox, on: loop) { message in
            received[message.0].append(message.1)
            if received[0].count + received[1].count == 2 * perSender { loop.stop() }
        }
        withExtendedLifetime(receiver) { loop.run() }
        #expect(received[0] == Array(0..<perSender))
        #expect(received[1] == Array(0..<perSender))
    }

    @Test func `wakes a loop that is waiting`() {
        let mailbox = Mailbox<String>()
        let loop = EventLoop()
        var received: [String] = []
        let receiver = MailboxReceiver(mailbox, on: loop) {
            received.append($0)
            loop.stop()
        }
        let timer = LoopTimer(on: loop) { mailbox.send("from a timer") }
        timer.fire(after: .milliseconds(1))
        withExtendedLifetime((receiver, timer)) { loop.run() }
        #expect(received == ["from a timer"])
    }
}
