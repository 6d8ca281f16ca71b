import Glibc
import Testing
import Wire

@testable import Transport

/// Remembers what a stream told.
private final class Listener: ByteStreamHandler {
    var isConnected = false
    var received: [UInt8] = []
    var end: StreamEnd?
    var onConnect: () -> Void = {}
    var onReceive: (ByteStream) -> Void = { _ in }

    func streamConnected(_ stream: ByteStream) {
        isConnected = true
        onConnect()
    }
    func stream(_ stream: ByteStream, received bytes: Span<UInt8>) {
        for index in bytes.indices { received.append(bytes[index]) }
        onReceive(stream)
    }
    func stream(_ stream: ByteStream, ended reason: StreamEnd) { end = reason }
}

/// The other side: a listening Unix socket of the test's own, used with blocking calls.
private final class Peer {
    let path: String
    private let listening: Int32
    private(set) var accepted: Int32 = -1

    init() {
        path = "/tmp/gateway-stream-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        listening = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { for index in name.indices { $0[index] = name[index] } }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(result == 0 && listen(listening, 16) == 0)
    }

    deinit {
        if accepted >= 0 { close(accepted) }
        close(listening)
        unlink(path)
    }

    func accept() { accepted = Glibc.accept(listening, nil, nil) }
    func hangUp() {
        close(accepted)
        accepted = -1
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(write(accepted, bytes, bytes.count) == bytes.count)
    }

    /// What is there now, without waiting.
    func take() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let count = recv(accepted, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count > 0 ? Array(buffer[..<count]) : []
    }
}

@Suite struct `A byte stream` {
    let loop = EventLoop()
    private let listener = Listener()

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

    /// What was put off to the end of a turn holds the stream until then.
    private func finish(_ stream: ByteStream) {
        stream.close()
        loop.atEndOfTurn {}
        loop.turn()
    }

    private func stream(to address: SocketAddress, outputLimit: Int = 1 << 26) -> ByteStream {
        ByteStream(to: address, on: loop, connectTimeout: .seconds(5), outputLimit: outputLimit, handler: listener)
    }

    @Test func `connects, sends what was queued before, and hands over what comes`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path))
        stream.send(Array("hello".utf8))
        #expect(turn { listener.isConnected })
        peer.accept()
        var got: [UInt8] = []
        #expect(
            turn {
                got += peer.take()
                return got == Array("hello".utf8)
            })
        peer.send("good day")
        #expect(turn { listener.received == Array("good day".utf8) })
        finish(stream)
    }

    @Test func `says that nobody is there`() {
        let missing = stream(to: .unix(path: "/tmp/gateway-no-such-socket"))
        #expect(turn { listener.end == .connectFailed(errno: ENOENT) })
        finish(missing)
        // Port 1 of loopback: nobody listens there.
        listener.end = nil
        let refused = stream(to: .ip(IPAddress("127.0.0.1")!, port: 1))
        #expect(turn { listener.end == .connectFailed(errno: ECONNREFUSED) })
        finish(refused)
        #expect(!listener.isConnected)
    }

    @Test func `says that the path is too long for a socket`() {
        let stream = stream(to: .unix(path: "/tmp/" + String(repeating: "x", count: 200)))
        #expect(turn { listener.end == .connectFailed(errno: ENAMETOOLONG) })
        finish(stream)
    }

    @Test func `knows what is no fault of the peer`() {
        let ours = [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL]
        #expect(ours.allSatisfy { StreamEnd.connectFailed(errno: $0).isOwnShortage })
        let theirs = [ECONNREFUSED, ENOENT, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT]
        #expect(!theirs.contains { StreamEnd.connectFailed(errno: $0).isOwnShortage })
        #expect(!StreamEnd.failed(errno: ENOBUFS).isOwnShortage && !StreamEnd.connectTimedOut.isOwnShortage)
    }

    @Test func `delivers everything that came before the peer hung up`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path))
        #expect(turn { listener.isConnected })
        peer.accept()
        let text = String(repeating: "0123456789", count: 10_000)
        peer.send(text)
        peer.hangUp()
        #expect(turn { listener.end == .ended })
        #expect(listener.received == Array(text.utf8))
        finish(stream)
    }

    @Test func `delivers what the peer said before it stopped to listen`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path))
        stream.send(Array("a request that nobody reads".utf8))
        listener.onConnect = {
            peer.accept()
            peer.send("no, because")
            peer.hangUp()
        }
        #expect(turn { listener.end != nil })
        #expect(listener.received == Array("no, because".utf8))
        finish(stream)
    }

    @Test func `sends megabytes to a slow reader, in order`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path))
        #expect(turn { listener.isConnected })
        peer.accept()
        let all = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        for start in stride(from: 0, to: all.count, by: 100_000) { stream.send(Array(all[start..<start + 100_000])) }
        var got: [UInt8] = []
        #expect(
            turn {
                got += peer.take()
                return got.count >= all.count
            })
        #expect(got == all)
        finish(stream)
    }

    @Test func `ends when more waits to be sent than is allowed`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path), outputLimit: 1_000)
        stream.send([UInt8](repeating: 0, count: 1_000))
        stream.send([0])
        #expect(turn { listener.end == .outputOverflow })
        #expect(!stream.isOpen)
    }

    @Test func `tells nothing after it was closed, even from within a callback`() {
        let peer = Peer()
        let stream = stream(to: .unix(path: peer.path))
        #expect(turn { listener.isConnected })
        peer.accept()
        listener.onReceive = { $0.close() }
        peer.send("one")
        #expect(turn { listener.received == Array("one".utf8) })
        var buffer: UInt8 = 0
        #expect(turn { recv(peer.accepted, &buffer, 1, Int32(MSG_DONTWAIT)) == 0 })
        #expect(listener.end == nil)
        finish(stream)
    }
}

@Suite struct `The resolver` {
    @Test func `gives the addresses of a name on the loop that asked`() {
        let loop = EventLoop()
        let resolver = Resolver()
        let port = ResolverPort(resolver, on: loop)
        var results: [String: Result<[IPAddress], ResolveError>] = [:]
        for host in ["localhost", "192.0.2.1", "2001:db8::1", "no-such-host.invalid"] {
            port.resolve(host) {
                results[host] = $0
                if results.count == 4 { loop.stop() }
            }
        }
        #expect(results.isEmpty, "never from within the call")
        loop.run()
        #expect(try! results["localhost"]!.get().allSatisfy { $0.isLoopback })
        #expect(try! results["192.0.2.1"]!.get() == [IPAddress("192.0.2.1")!])
        #expect(try! results["2001:db8::1"]!.get() == [IPAddress("2001:db8::1")!])
        #expect(throws: ResolveError.self) { try results["no-such-host.invalid"]!.get() }
        resolver.stop()
    }
}
