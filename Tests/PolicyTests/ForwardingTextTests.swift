import Settings
import Testing
import Wire

@testable import Policy

/// A connection's requests, each prepared with what was kept of those before, and by itself.
private final class Kept {
    private let gatekeeper = House.gatekeeper(House.configuration())
    private let way = ForwardingText()

    func forwarded(_ text: String, from peer: IPAddress, isSecure: Bool = false, keeps: Bool) throws -> String {
        let bytes = Array(text.utf8)
        var facts = RequestFacts(client: peer)
        let verdict = gatekeeper.decide(bytes.span, peer: peer, now: House.now, wall: Mint.now, facts: &facts)
        guard case .forward(let plan) = verdict else { throw Problem() }
        facts.isSecure = isSecure
        var out = ByteWriter(capacity: 65_536)
        gatekeeper.prepare(
            plan, facts, bytes.span, RequestTrace(), peer: peer, way: keeps ? way : nil, into: &out)
        return out.bytes.text
    }

    struct Problem: Error {}
}

@Suite struct `What a connection's requests tell of their way` {
    private static let request = "GET / HTTP/1.1\r\nHost: api.example.org\r\n\r\n"

    private static func request(forwardedFor address: String) -> String {
        "GET / HTTP/1.1\r\nHost: api.example.org\r\nX-Forwarded-For: \(address)\r\n\r\n"
    }

    @Test func `is the same for the second as for the first`() throws {
        let kept = Kept()
        let first = try kept.forwarded(Self.request, from: House.client, keeps: true)
        #expect(first.contains("X-Forwarded-Host: api.example.org\r\n"))
        #expect(first.contains("Via: 1.1 gateway\r\n"))
        #expect(try kept.forwarded(Self.request, from: House.client, keeps: true) == first)
    }

    /// Each is asked behind every other, so that nothing of another can be left over.
    @Test func `is each request's own, whatever came before`() throws {
        let longHost = String(repeating: "a", count: 60) + "." + String(repeating: "b", count: 60)
        let requests: [(text: String, peer: String, isSecure: Bool)] = [
            (Self.request, "203.0.113.9", false),
            (Self.request, "203.0.113.10", false),
            (Self.request, "2001:db8::1", false),
            (Self.request, "203.0.113.9", true),
            ("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", "203.0.113.9", false),
            ("GET / HTTP/1.1\r\nHost: api.example.org:80\r\n\r\n", "203.0.113.9", false),
            ("GET http://api.example.net/ HTTP/1.1\r\nHost: api.example.org\r\n\r\n", "203.0.113.9", false),
            ("GET / HTTP/1.0\r\nHost: api.example.org\r\n\r\n", "203.0.113.9", false),
            ("GET / HTTP/1.0\r\n\r\n", "203.0.113.9", false),
            ("GET / HTTP/1.1\r\nHost: \(longHost).\(longHost)\r\n\r\n", "203.0.113.9", false),
            (Self.request(forwardedFor: "198.51.100.1"), "203.0.113.9", false),
            (Self.request(forwardedFor: "198.51.100.1"), "10.0.0.1", false),
            (Self.request(forwardedFor: "198.51.100.2"), "10.0.0.1", false),
        ]
        let kept = Kept()
        for one in requests {
            for other in requests {
                for request in [one, other] {
                    let peer = try #require(IPAddress(request.peer))
                    let alone = try kept.forwarded(request.text, from: peer, isSecure: request.isSecure, keeps: false)
                    let behind = try kept.forwarded(request.text, from: peer, isSecure: request.isSecure, keeps: true)
                    #expect(behind == alone)
                }
            }
        }
    }

    @Test func `is written anew when the configuration has changed`() throws {
        let way = ForwardingText()
        func forwarded(_ name: String) throws -> String {
            var configuration = House.configuration()
            configuration.forwarding.viaName = name
            let gatekeeper = House.gatekeeper(configuration)
            let bytes = Array(Self.request.utf8)
            var facts = RequestFacts(client: House.client)
            let verdict = gatekeeper.decide(
                bytes.span, peer: House.client, now: House.now, wall: Mint.now, facts: &facts)
            guard case .forward(let plan) = verdict else { throw Kept.Problem() }
            var out = ByteWriter(capacity: 4_096)
            gatekeeper.prepare(plan, facts, bytes.span, RequestTrace(), peer: House.client, way: way, into: &out)
            return out.bytes.text
        }
        #expect(try forwarded("one").contains("Via: 1.1 one\r\n"))
        way.clear()
        #expect(try forwarded("two").contains("Via: 1.1 two\r\n"))
    }
}

@Suite struct `What a request tells of its upstream connection` {
    private func options(_ change: (inout Configuration.Upstream) -> Void, _ fields: String = "") -> [Substring] {
        var configuration = House.configuration()
        change(&configuration.upstreams[0])
        let request = "GET / HTTP/1.1\r\nHost: api.example.org\r\n\(fields)\r\n"
        let lines = Gate(configuration).forwarded(request)?.split(separator: "\r\n") ?? []
        return lines.filter { $0.hasPrefix("Connection:") }
    }

    /// RFC 9112 §9.6: it is the only one that the connection carries.
    @Test func `is that it ends when it is not kept`() {
        #expect(options { $0.keepAlive = 0 } == ["Connection: close"])
        #expect(options { $0.proxyProtocol = .v2 } == ["Connection: close"])
        #expect(options({ $0.keepAlive = 0 }, "Connection: keep-alive\r\n") == ["Connection: close"])
    }

    @Test func `is nothing when it is kept`() {
        #expect(options { $0.keepAlive = 1 } == [])
    }

    @Test func `is the upgrade when the protocol may change, kept or not`() {
        let handshake =
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "Sec-WebSocket-Version: 13\r\n"
        #expect(options({ $0.keepAlive = 0 }, handshake) == ["Connection: Upgrade"])
    }
}
