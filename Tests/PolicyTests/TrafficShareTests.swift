import Testing
import Wire

@testable import Policy

@Suite struct `The share of one address in the traffic` {
    private let start = Instant(nanoseconds: 0)
    private let bridge = IPAddress("172.18.0.1")!

    private func verdict(_ clients: [IPAddress]) -> IPAddress? {
        var share = TrafficShare()
        #expect(share.verdict(at: start) == nil)
        for client in clients { share.note(client) }
        return share.verdict(at: start + TrafficShare.window)
    }

    @Test func `is told when a private address sends nearly everything`() {
        let others = (0..<10).map { IPAddress(v4: 0xcb00_7100 + UInt32($0)) }
        #expect(verdict(others + Array(repeating: bridge, count: 390)) == bridge)
        #expect(verdict(Array(repeating: bridge, count: 200) + others.prefix(2)) == bridge)
    }

    @Test func `is not told when others take part`() {
        let others = (0..<100).map { IPAddress(v4: 0xcb00_7100 + UInt32($0)) }
        #expect(verdict(Array(repeating: bridge, count: 300) + others) == nil)
    }

    @Test func `is not told of few requests, of public addresses or of loopback`() {
        #expect(verdict(Array(repeating: bridge, count: 199)) == nil)
        #expect(verdict(Array(repeating: IPAddress("203.0.113.9")!, count: 1_000)) == nil)
        #expect(verdict(Array(repeating: IPAddress("127.0.0.1")!, count: 1_000)) == nil)
    }

    @Test func `is judged at the end of a window and then anew`() {
        var share = TrafficShare()
        _ = share.verdict(at: start)
        for _ in 0..<500 { share.note(bridge) }
        #expect(share.verdict(at: start + .seconds(59)) == nil)
        #expect(share.verdict(at: start + .seconds(60)) == bridge)
        #expect(share.verdict(at: start + .seconds(120)) == nil)
    }
}
