import Testing
import Wire

@testable import Policy

@Suite struct `The share of one address in the traffic` {
    private typealias Finding = TrafficShare.Finding

    private let start = Instant(nanoseconds: 0)
    private let bridge = IPAddress("172.18.0.1")!
    private let loopback = IPAddress("127.0.0.1")!
    private let proxy = IPAddress("203.0.113.9")!

    /// - Parameter unheard: so many of the first ones named another client.
    private func verdict(_ clients: [IPAddress], unheard: Int = 0, trusted: IPAddress? = nil) -> Finding? {
        var share = TrafficShare()
        #expect(share.verdict(at: start) { $0 == trusted } == nil)
        for (index, client) in clients.enumerated() { share.note(client, isUnheard: index < unheard) }
        return share.verdict(at: start + TrafficShare.window) { $0 == trusted }
    }

    @Test func `is told when a private address sends nearly everything`() {
        let others = (0..<10).map { IPAddress(v4: 0xcb00_7100 + UInt32($0)) }
        let found = Finding(bridge, .unnamedProxy)
        #expect(verdict(others + Array(repeating: bridge, count: 390)) == found)
        #expect(verdict(Array(repeating: bridge, count: 200) + others.prefix(2)) == found)
    }

    @Test func `is not told when others take part`() {
        let others = (0..<100).map { IPAddress(v4: 0xcb00_7100 + UInt32($0)) }
        #expect(verdict(Array(repeating: bridge, count: 300) + others) == nil)
    }

    @Test func `is not told of few requests, of public addresses or of loopback`() {
        #expect(verdict(Array(repeating: bridge, count: 199)) == nil)
        #expect(verdict(Array(repeating: proxy, count: 1_000)) == nil)
        #expect(verdict(Array(repeating: loopback, count: 1_000)) == nil)
    }

    @Test func `is told of this host where it names clients that nobody believes`() {
        let all = Array(repeating: loopback, count: 1_000)
        #expect(verdict(all, unheard: 900) == Finding(loopback, .unnamedProxy))
        #expect(verdict(all, unheard: 899) == nil)
    }

    @Test func `is never told of a stranger who names clients`() {
        #expect(verdict(Array(repeating: proxy, count: 1_000), unheard: 1_000) == nil)
    }

    @Test func `is told of a public address that is listed, unless it is trusted`() {
        var share = TrafficShare()
        var found: [Finding?] = []
        for trusted in [nil, proxy] {
            found.append(share.verdict(at: start, isTrusted: { $0 == trusted }, isListed: { $0 == proxy }))
            for _ in 0..<300 { share.note(proxy) }
            found.append(
                share.verdict(
                    at: start + TrafficShare.window, isTrusted: { $0 == trusted }, isListed: { $0 == proxy }))
            share = TrafficShare()
        }
        #expect(found == [nil, Finding(proxy, .listed), nil, Finding(proxy, .silentProxy)])
    }

    @Test func `is told of a trusted proxy that names no clients`() {
        #expect(
            verdict(Array(repeating: proxy, count: 1_000), trusted: proxy) == Finding(proxy, .silentProxy))
        #expect(
            verdict(Array(repeating: bridge, count: 1_000), trusted: bridge) == Finding(bridge, .silentProxy))
    }

    @Test func `is judged at the end of a window and then anew`() {
        var share = TrafficShare()
        func verdict(at second: Int) -> IPAddress? {
            share.verdict(at: start + .seconds(second)) { _ in false }?.address
        }
        _ = verdict(at: 0)
        for _ in 0..<500 { share.note(bridge) }
        #expect(verdict(at: 59) == nil)
        #expect(verdict(at: 60) == bridge)
        #expect(verdict(at: 120) == nil)
    }
}
