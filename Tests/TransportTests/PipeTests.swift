import Glibc
import Testing

@testable import Transport

/// A bare connection: one end as the gateway has it, the other for the test to write to and read from.
private final class Line {
    let near: StreamSocket
    private var far: Int32

    init() {
        signal(SIGPIPE, SIG_IGN)
        var ends: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        precondition(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        near = StreamSocket(descriptor: ends[0])
        far = ends[1]
    }

    deinit {
        near.close()
        hangUp()
    }

    func hangUp() {
        if far >= 0 { close(far) }
        far = -1
    }

    /// As much as fits; the count.
    func write(_ bytes: [UInt8]) -> Int { max(0, Glibc.send(far, bytes, bytes.count, 0)) }

    func read() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(far, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count <= 0 { return all }
            all += buffer[..<count]
        }
    }
}

@Suite struct `A pipe` {
    private let source = Line()
    private let sink = Line()
    private let pool = PipePool(limit: 16)
    private let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 37 >> 4) }

    @Test func `gives what it took, in order`() throws {
        let pipe = try #require(pool.lend())
        let written = source.write(bytes)
        var received: [UInt8] = []
        for _ in 0..<1_000 where received.count < written {
            guard case .bytes(let taken) = pipe.fill(from: source.near, limit: 30_000) else { continue }
            #expect(taken <= 30_000 && pipe.held == taken)
            while pipe.held > 0 {
                _ = pipe.drain(to: sink.near)
                received += sink.read()
            }
        }
        #expect(written > 0)
        #expect(received == Array(bytes[..<written]))
    }

    @Test func `takes no more than it is told to`() throws {
        let pipe = try #require(pool.lend())
        _ = source.write(Array(bytes[..<1_000]))
        #expect(pipe.fill(from: source.near, limit: 999) == .bytes(999))
        #expect(pipe.drain(to: sink.near) == .bytes(999))
        #expect(pipe.fill(from: source.near, limit: 999) == .bytes(1))
    }

    @Test func `tells an empty source from an ended one`() throws {
        let pipe = try #require(pool.lend())
        #expect(pipe.fill(from: source.near, limit: 10) == .wouldBlock)
        source.hangUp()
        #expect(pipe.fill(from: source.near, limit: 10) == .ended)
        #expect(pipe.held == 0)
    }

    @Test func `keeps what a full sink does not take`() throws {
        let pipe = try #require(pool.lend())
        var size: Int32 = 4_096
        setsockopt(sink.near.descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        let written = source.write(bytes)
        guard case .bytes(let taken) = pipe.fill(from: source.near, limit: written) else {
            Issue.record("nothing was taken")
            return
        }
        for _ in 0..<1_000 where pipe.drain(to: sink.near) != .wouldBlock { continue }
        #expect(pipe.held > 0)
        var received: [UInt8] = []
        for _ in 0..<1_000 where pipe.held > 0 {
            received += sink.read()
            _ = pipe.drain(to: sink.near)
        }
        received += sink.read()
        #expect(received == Array(bytes[..<taken]))
    }

    @Test func `says that the sink is gone`() throws {
        let pipe = try #require(pool.lend())
        _ = source.write(bytes)
        _ = pipe.fill(from: source.near, limit: 1_000)
        sink.hangUp()
        #expect(pipe.drain(to: sink.near) == .failed(EPIPE))
        #expect(pipe.held == 1_000)
    }
}

@Suite struct `A pool of pipes` {
    private let pool = PipePool(limit: 16)

    @Test func `lends the pipe again that came back`() throws {
        let first = try #require(pool.lend())
        first.giveBack()
        let second = pool.lend()
        #expect(second === first)
        #expect(pool.count == 1)
    }

    @Test func `lends no more than its limit`() {
        var lent = (0..<16).compactMap { _ in pool.lend() }
        #expect(lent.count == 16)
        #expect(pool.lend() == nil)
        lent.removeLast()
        #expect(pool.count == 16 - 1)
        #expect(pool.lend() != nil)
    }

    /// Somebody else's bytes would come out of it.
    @Test func `never lends a pipe that still holds something`() throws {
        let source = Line()
        _ = source.write([1, 2, 3])
        var pipe = pool.lend()
        _ = pipe?.fill(from: source.near, limit: 3)
        pipe?.giveBack()
        let other = try #require(pool.lend())
        #expect(other !== pipe && other.held == 0)
        pipe = nil
        #expect(pool.count == 1)
    }

    @Test func `closes the pipes that nobody has`() {
        let used = pool.lend()
        pool.lend()?.giveBack()
        #expect(pool.count == 2)
        #expect(pool.closeIdle())
        #expect(pool.count == 1)
        #expect(!pool.closeIdle())
        used?.giveBack()
        #expect(pool.count == 1)
    }

    @Test func `keeps none for those who have not come for long`() {
        pool.lend()?.giveBack()
        for _ in 0..<PipePool.patience { pool.sweep() }
        #expect(pool.count == 1)
        pool.lend()?.giveBack()
        for _ in 0..<PipePool.patience { pool.sweep() }
        #expect(pool.count == 1)
        pool.sweep()
        #expect(pool.count == 0)
    }

    @Test func `lends none once splicing was given up`() {
        pool.lend()?.giveBack()
        pool.giveUp()
        #expect(pool.lend() == nil && pool.count == 0)
    }

    @Test func `may be gone before its pipes`() {
        var pool: PipePool? = PipePool(limit: 16)
        let pipe = pool?.lend()
        pool = nil
        pipe?.giveBack()
    }
}
