import Testing

@testable import GatewayCore
@testable import Transport

@Suite struct `A storm of reloads` {
    private final class Bench {
        let loop = EventLoop()
        var begun = 0
        var told = 0
        var finish: ((ReloadOutcome) -> Void)?
        var queue: ReloadQueue!

        init() {
            queue = ReloadQueue(on: loop) { [unowned self] done in
                begun += 1
                finish = done
            }
        }

        func ask() { queue.request { [unowned self] _ in told += 1 } }

        func end() {
            let done = finish
            finish = nil
            done?(.applied([]))
        }
    }

    @Test func `has the first reload at once`() {
        let bench = Bench()
        bench.ask()
        #expect(bench.begun == 1 && bench.told == 0)
        bench.end()
        #expect(bench.told == 1)
    }

    @Test func `has one more reload for all who asked while one was under way`() {
        let bench = Bench()
        for _ in 0..<1_000 { bench.ask() }
        #expect(bench.begun == 1)
        bench.end()
        #expect(bench.begun == 1, "it rests first")
        #expect(bench.told == 1, "the others were not served by a reload that began before they asked")
        // Nothing else is on this loop, so its next event is the end of the rest.
        bench.loop.turn()
        #expect(bench.begun == 2)
        bench.end()
        #expect(bench.told == 1_000)
    }

    @Test func `leaves nothing behind when nobody asked meanwhile`() {
        let bench = Bench()
        bench.ask()
        bench.end()
        bench.loop.turn()
        #expect(bench.begun == 1)
        bench.ask()
        #expect(bench.begun == 2)
    }

    @Test func `waits for what must have no reload in its middle`() {
        let bench = Bench()
        var over: (() -> Void)?
        bench.ask()
        bench.queue.alone { over = $0 }
        #expect(over == nil, "the reload goes to its end first")
        bench.end()
        bench.loop.turn()
        #expect(over != nil)
        bench.ask()
        #expect(bench.begun == 1)
        over?()
        bench.loop.turn()
        #expect(bench.begun == 2)
    }

    @Test func `is told when there will be no reload here`() {
        let bench = Bench()
        bench.queue.alone { _ in }
        #expect(!bench.queue.giveUp())
        bench.ask()
        #expect(bench.queue.giveUp())
        #expect(bench.told == 1 && bench.begun == 0)
    }
}
