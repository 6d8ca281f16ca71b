import Settings
import Testing

@testable import GatewayCore
@testable import Transport
@testable import Wire

@Suite struct `The public listeners` {
    private let now = Instant.now()

    private func address(_ host: String, _ port: UInt16) -> Configuration.SocketAddressText {
        Configuration.SocketAddressText(host: host, port: port)
    }

    private func wanted(_ host: String, _ port: UInt16, secure: Bool = false) -> Listeners.Wanted {
        Listeners.Wanted(text: address(host, port), door: secure ? .secure : .plain)
    }

    @Test func `of addresses that stay are found again wherever they stand`() {
        let open = [address("127.0.0.1", 80), address("::1", 80), address("127.0.0.1", 81)]
        let next = [address("127.0.0.1", 81), address("127.0.0.1", 82), address("127.0.0.1", 80)]
        #expect(Listeners.match(next, open) == [2, nil, 0])
    }

    @Test func `of port 0 are one for each time that it stands there`() {
        let zero = address("127.0.0.1", 0)
        #expect(Listeners.match([zero, zero, zero], [zero, zero]) == [0, 1, nil])
    }

    @Test func `keep their very sockets over a reload, and only they do`() throws {
        let first = try Listeners().next(for: [wanted("127.0.0.1", 0), wanted("127.0.0.2", 0)], workers: 2, now: now)
        let second = try first.next(for: [wanted("127.0.0.3", 0), wanted("127.0.0.1", 0)], workers: 2, now: now)
        for worker in 0..<2 {
            #expect(second.of(worker: worker)[1].socket === first.of(worker: worker)[0].socket)
            #expect(second.of(worker: worker)[0].socket !== first.of(worker: worker)[1].socket)
        }
        #expect(second.addresses(of: .plain).count == 2)
    }

    @Test func `share one port among the workers where the system chose it`() throws {
        let opened = try Listeners().next(for: [wanted("127.0.0.1", 0)], workers: 3, now: now)
        let ports = Set((0..<3).map { opened.of(worker: $0)[0].socket.address?.port })
        #expect(ports.count == 1 && ports.first != .some(0))
    }

    @Test func `keep their sockets when only what is spoken there changes`() throws {
        let first = try Listeners().next(for: [wanted("127.0.0.1", 0)], workers: 1, now: now)
        let second = try first.next(for: [wanted("127.0.0.1", 0, secure: true)], workers: 1, now: now)
        #expect(second.of(worker: 0)[0].socket === first.of(worker: 0)[0].socket)
        #expect(second.of(worker: 0)[0].door == .secure && first.of(worker: 0)[0].door == .plain)
    }

    @Test func `for proxies never become those for clients`() throws {
        let asked = Listeners.Wanted(text: address("127.0.0.1", 0), door: .checks)
        let first = try Listeners().next(for: [wanted("127.0.0.1", 0), asked], workers: 1, now: now)
        let second = try first.next(
            for: [wanted("127.0.0.1", 0), wanted("127.0.0.1", 0), asked], workers: 1, now: now)
        #expect(second.of(worker: 0)[0].socket === first.of(worker: 0)[0].socket)
        #expect(second.of(worker: 0)[1].socket !== first.of(worker: 0)[1].socket)
        #expect(second.of(worker: 0)[2].socket === first.of(worker: 0)[1].socket)
        #expect(second.addresses(of: .checks) == first.addresses(of: .checks))
    }

    @Test func `that a service manager holds as well rest until they are named again`() throws {
        let both = [wanted("127.0.0.1", 0), wanted("127.0.0.2", 0)]
        let first = try Listeners().next(for: both, workers: 2, now: now)
        for socket in first.entries[0].sockets.joined() { socket.isHeldElsewhere = true }
        let second = try first.next(for: [both[1]], workers: 2, now: now)
        #expect(second.of(worker: 0).count == 1 && second.resting.count == 1)
        let third = try second.next(for: [both[1], wanted("127.0.0.1", 0, secure: true)], workers: 2, now: now)
        #expect(third.of(worker: 1)[1].socket === first.of(worker: 1)[0].socket)
        #expect(third.of(worker: 1)[1].door == .secure && third.resting.isEmpty)
        // The other one was ours alone.
        #expect(try third.next(for: [], workers: 2, now: now).resting.count == 1)
    }

    @Test func `are refused with the setting and the reason when an address is taken`() throws {
        let other = try ListeningSocket(bind: .ip(#require(IPAddress("127.0.0.1")), port: 0), shared: false)
        let port = try #require(other.address?.port)
        let open = try Listeners().next(for: [wanted("127.0.0.2", 0)], workers: 1, now: now)
        let failure = #expect(throws: Listeners.Failure.self) {
            try open.next(for: [wanted("127.0.0.2", 0), wanted("127.0.0.1", port)], workers: 1, now: now)
        }
        withExtendedLifetime(other) {}
        #expect(failure?.setting == "listen")
        #expect(
            failure?.description
                == "cannot listen on 127.0.0.1:\(port): bind: Address already in use (is another gateway running?)")
    }

    @Test func `go from all addresses of a port to one of them`() throws {
        let one = try Listeners().next(for: [wanted("0.0.0.0", 0)], workers: 2, now: now)
        let port = try #require(one.entries[0].address?.port)
        let narrower = try one.next(for: [wanted("127.0.0.1", port)], workers: 2, now: now)
        #expect(narrower.addresses(of: .plain) == ["127.0.0.1:\(port)"])
    }

    @Test func `come back although the last handshakes at their address are still being finished`() throws {
        let first = try Listeners().next(for: [wanted("127.0.0.1", 0), wanted("127.0.0.2", 0)], workers: 1, now: now)
        let port = try #require(first.entries[0].address?.port)
        let second = try first.next(for: [wanted("127.0.0.2", 0)], workers: 1, now: now)
        let third = try second.next(for: [wanted("127.0.0.1", port)], workers: 1, now: now + .milliseconds(100))
        #expect(third.addresses(of: .plain) == ["127.0.0.1:\(port)"])
        // Later on, whoever holds the port is a stranger.
        #expect(throws: Listeners.Failure.self) {
            try second.next(for: [wanted("127.0.0.1", port)], workers: 1, now: now + .seconds(3))
        }
        withExtendedLifetime(third) {}
    }
}
