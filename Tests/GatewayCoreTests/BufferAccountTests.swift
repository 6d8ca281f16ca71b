import Testing
import Wire

@testable import GatewayCore

@Suite struct `An account of buffers` {
    private let shared = SharedCounters()
    private let account: BufferAccount

    init() { account = BufferAccount(shared) }

    private func bytes(_ count: Int) -> [UInt8] { Array(repeating: 1, count: count) }

    @Test func `tells the process of steps, and of the rest when asked`() {
        account.take(65_535)
        #expect(shared.bufferedBytes == 0)
        account.take(1)
        #expect(shared.bufferedBytes == 65_536)
        account.giveBack(65_535)
        #expect(shared.bufferedBytes == 65_536)
        account.tell()
        #expect(shared.bufferedBytes == 1)
        account.giveBack(1)
        account.tell()
        #expect(shared.bufferedBytes == 0 && account.held == 0)
    }

    @Test func `says when more is held than may be, by all workers together`() {
        let other = BufferAccount(shared)
        other.take(1_000_000)
        var calls = 0
        account.limit = 1_100_000
        account.whenFull = { calls += 1 }
        account.take(100_000)
        #expect(calls == 0)
        account.take(65_536)
        #expect(calls == 1)
    }

    @Test func `has what a stash keeps, and nothing when it is empty`() {
        var stash = Stash(account)
        stash.keep(bytes(1_000).span)
        stash.keep(bytes(300).span)
        #expect(account.held == 300 && stash.count == 300)
        let scratch = Scratch()
        let loaded = scratch.load(&stash)
        #expect(loaded == 300 && stash.isEmpty && account.held == 0)
    }

    @Test func `has what is put behind it, piece by piece`() {
        var stash = Stash(account)
        stash.keep(bytes(300).span)
        for _ in 0..<700 { stash.append(bytes(1).span) }
        #expect(account.held == 1_000 && stash.count == 1_000)
        stash.removeAll()
        #expect(account.held == 0)
    }

    @Test func `has the memory of an outbox until it is given back`() {
        var outbox = Outbox(account)
        outbox.append(bytes(5_000).span)
        outbox.append(bytes(5_000).span)
        #expect(account.held == outbox.held && account.held >= 10_000)
        let all = outbox.takeAll()
        #expect(all.count == 10_000 && account.held == 0)
    }

    @Test func `has the buffers of exchanges that are kept for the next ones`() {
        let pool = RecordBufferPool(account)
        let first = pool.take()
        #expect(account.held == RecordBuffer.size)
        pool.give(first)
        _ = pool.take()
        #expect(account.held == RecordBuffer.size)
    }
}
