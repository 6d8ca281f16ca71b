import Glibc
import Testing
import Transport
import Wire

@testable import GatewayCore

/// Two connected sockets: ours does not block and has a small buffer; the peer is read when a test says so.
private final class Pair {
    let socket: StreamSocket
    private var peer: Int32

    init() {
        var descriptors: [Int32] = [0, 0]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        precondition(socketpair(AF_UNIX, kind, 0, &descriptors) == 0)
        socket = StreamSocket(descriptor: descriptors[0])
        peer = descriptors[1]
        var size: Int32 = 8_192
        setsockopt(descriptors[0], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit {
        socket.close()
        hangUp()
    }

    func hangUp() {
        if peer >= 0 { close(peer) }
        peer = -1
    }

    /// As much as fits; the count.
    func write(_ bytes: [UInt8]) -> Int { max(0, send(peer, bytes, bytes.count, 0)) }

    /// Everything that is there.
    func read() -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(peer, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count <= 0 { return all }
            all += buffer[..<count]
        }
    }
}

@Suite struct `An outbox` {
    private let pair = Pair()
    private let account = BufferAccount(SharedCounters())
    /// More than the socket takes at once, and recognisable at every place.
    private let long = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    private func send(_ outbox: inout Outbox, _ first: [UInt8], _ second: [UInt8] = []) -> Bool {
        outbox.send(first.span, second.span, to: .plain(pair.socket))
    }
    private func send(_ outbox: inout Outbox, _ first: String, _ second: String = "") -> Bool {
        send(&outbox, Array(first.utf8), Array(second.utf8))
    }
    /// What the peer gets when it reads until nothing waits any more.
    private func drain(_ outbox: inout Outbox) -> [UInt8] {
        var received: [UInt8] = []
        for _ in 0..<10_000 where !outbox.isEmpty {
            received += pair.read()
            let isWhole = outbox.flush(to: .plain(pair.socket))
            #expect(isWhole)
        }
        return received + pair.read()
    }
    private func read() -> String { String(decoding: pair.read(), as: UTF8.self) }

    @Test func `sends both pieces at once and holds nothing`() {
        var outbox = Outbox(account)
        let isWhole = send(&outbox, "head ", "body")
        #expect(isWhole && outbox.isEmpty)
        #expect(read() == "head body")
        let first = send(&outbox, "first")
        let second = send(&outbox, "", " second")
        #expect(first && second && outbox.isEmpty)
        #expect(read() == "first second")
    }

    /// A partial write may end in the first piece or in the second.
    @Test(arguments: [0, 1, 4_000, 200_000, 399_999, 400_000])
    func `keeps what the socket did not take, in order`(split: Int) {
        var outbox = Outbox(account)
        let begun = send(&outbox, Array(long[..<split]), Array(long[split...]))
        #expect(begun && !outbox.isEmpty)
        let more = send(&outbox, "more", " yet")
        #expect(more)
        let received = drain(&outbox)
        #expect(outbox.isEmpty && outbox.count == 0)
        #expect(received == long + Array("more yet".utf8))
    }

    @Test func `sends nothing past what is waiting`() {
        var outbox = Outbox(account)
        outbox.append(Array("first ".utf8).span)
        let isWhole = send(&outbox, "second")
        #expect(isWhole)
        #expect(read() == "")
        #expect(outbox.count == 12)
        let isFlushed = outbox.flush(to: .plain(pair.socket))
        #expect(isFlushed && outbox.isEmpty)
        #expect(read() == "first second")
    }

    /// For a connection that could not be made: the request goes out on another.
    @Test func `gives back what it holds`() {
        var outbox = Outbox(account)
        outbox.append(Array("request".utf8).span)
        outbox.append(Array(" body".utf8).span)
        let waiting = outbox.takeAll()
        #expect(waiting == Array("request body".utf8))
        let nothing = outbox.takeAll()
        #expect(nothing.isEmpty && outbox.isEmpty)
    }

    @Test func `gives back only what the socket did not take`() {
        var outbox = Outbox(account)
        let begun = send(&outbox, long)
        let taken = pair.read()
        let flushed = outbox.flush(to: .plain(pair.socket))
        #expect(begun && flushed)
        let rest = outbox.takeAll()
        #expect(taken + pair.read() + rest == long)
    }

    @Test func `says that the connection is broken`() {
        var outbox = Outbox(account)
        pair.hangUp()
        let sent = send(&outbox, "a")
        #expect(!sent)
        outbox.append(Array("b".utf8).span)
        let flushed = outbox.flush(to: .plain(pair.socket))
        #expect(!flushed)
    }

    // MARK: Splicing

    private let source = Pair()
    private let pipes = PipePool(limit: 4)

    private func splice(_ outbox: inout Outbox, limit: Int = 1 << 20) -> Outbox.Splice {
        outbox.splice(from: .plain(source.socket), to: .plain(pair.socket), limit: limit, pipes: pipes)
    }

    @Test func `moves what came from one socket to another, and returns the pipe`() {
        var outbox = Outbox(account)
        _ = source.write(Array("a large body".utf8))
        let moved = splice(&outbox, limit: 7)
        #expect(moved == .moved(7))
        #expect(outbox.isEmpty && read() == "a large")
        #expect(pipes.count == 1 && pipes.closeIdle())
    }

    /// What a slow reader leaves waits in the pipe, and what is appended then goes behind it.
    @Test func `keeps what was spliced before what was written`() {
        var outbox = Outbox(account)
        var expected: [UInt8] = []
        for _ in 0..<100 where outbox.isEmpty {
            let written = source.write(Array(long[expected.count..<min(long.count, expected.count + 60_000)]))
            expected += long[expected.count..<expected.count + written]
            while outbox.isEmpty, case .moved = splice(&outbox) { continue }
        }
        #expect(!outbox.isEmpty && outbox.count > 0 && outbox.held == 0)
        let isQueued = send(&outbox, "behind", " it")
        #expect(isQueued)
        let received = drain(&outbox)
        // What the first splice left in the source is not part of it.
        #expect(received.suffix(9) == Array("behind it".utf8))
        #expect(received.dropLast(9) == expected.prefix(received.count - 9))
        #expect(pipes.closeIdle())
    }

    @Test func `tells why nothing came`() {
        var outbox = Outbox(account)
        let empty = splice(&outbox)
        source.hangUp()
        let ended = splice(&outbox)
        #expect(empty == .source(.wouldBlock) && ended == .source(.ended))
        #expect(outbox.isEmpty && pipes.count == 1)
    }

    @Test func `says that the reader is lost, and keeps no pipe with its bytes`() {
        signal(SIGPIPE, SIG_IGN)
        var outbox = Outbox(account)
        _ = source.write([1, 2, 3])
        pair.hangUp()
        let lost = splice(&outbox)
        #expect(lost == .sinkLost(3))
        outbox.removeAll()
        #expect(outbox.isEmpty && pipes.count == 0)
    }

    @Test func `splices nothing when there is no pipe, or when something is waiting`() {
        var outbox = Outbox(account)
        _ = source.write([1, 2, 3])
        let all = (0..<4).compactMap { _ in pipes.lend() }
        let withoutPipe = splice(&outbox)
        for pipe in all { pipe.giveBack() }
        outbox.append([4].span)
        let behindSomething = splice(&outbox)
        #expect(withoutPipe == .impossible && behindSomething == .impossible)
    }

    @Test func `waits at a full socket without an error`() {
        var outbox = Outbox(account)
        let begun = send(&outbox, long)
        let waiting = outbox.count
        let flushed = outbox.flush(to: .plain(pair.socket))
        #expect(begun && flushed)
        #expect(outbox.count == waiting)
        outbox.removeAll()
        #expect(outbox.isEmpty)
    }
}
