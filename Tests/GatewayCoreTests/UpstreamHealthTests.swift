import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

@Suite struct `The health of upstreams` {
    private let loop = EventLoop()
    private let logs: LogWriter
    private let health: UpstreamHealth
    private let published = Published()
    private let a = ServerAddress(socket: .ip(IPAddress("192.0.2.1")!, port: 80), host: "192.0.2.1")
    private let b = ServerAddress(socket: .ip(IPAddress("192.0.2.2")!, port: 80), host: "192.0.2.2")

    private final class Published {
        var last: UpstreamStanding?
        var count = 0
    }

    init() throws {
        logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        health = UpstreamHealth(on: loop, log: OperationalLog(logs, level: .info), metrics: UpstreamMetrics()) {
            [published] in
            published.last = $0
            published.count += 1
        }
    }

    /// Ends what the test began: checks that are under way hold their loop.
    private func finish() {
        health.adopt([], tls: [])
        loop.atEndOfTurn {}
        loop.turn()
        logs.stop()
    }

    private func upstream(_ change: (inout Configuration.Upstream) -> Void = { _ in }) -> Configuration.Upstream {
        var upstream = Configuration.Upstream(name: "api", servers: [], keepAlive: 1, idleTimeout: .seconds(1))
        change(&upstream)
        return upstream
    }

    private func adopt(_ upstream: Configuration.Upstream, _ addresses: [ServerAddress]) {
        health.adopt([upstream], tls: [nil])
        health.resolved("api", addresses, at: at(0))
    }

    private func tell(_ news: UpstreamReport.News, at time: Double) {
        health.received(UpstreamReport(upstream: "api", news: news), at: at(time))
    }

    /// As a worker counts it; the fifth is told.
    private func fail(_ address: ServerAddress, times: Int, at time: Double) {
        guard let standing = published.last, let server = standing.servers.first(where: { $0.address == address })
        else { return }
        for _ in 0..<times where server.tally.failures.failed(reporting: 5) {
            tell(.serverFailing(address, .timeout), at: time)
        }
    }

    private func states() -> [ServerHealth.State] { published.last?.servers.map(\.state) ?? [] }

    @Test func `ejects a server after five failures in a row, and takes it back`() {
        defer { finish() }
        adopt(upstream(), [a, b])
        fail(a, times: 4, at: 1)
        #expect(states() == [.up(since: nil), .up(since: nil)])
        fail(a, times: 1, at: 1)
        #expect(states() == [.ejected(until: at(11)), .up(since: nil)])
        health.timePassed(at: at(11))
        #expect(states() == [.up(since: at(11)), .up(since: nil)])
    }

    @Test func `does not eject for failures with a success between`() {
        defer { finish() }
        adopt(upstream(), [a, b])
        fail(a, times: 4, at: 1)
        published.last?.servers[0].tally.failures.ended()
        fail(a, times: 4, at: 2)
        #expect(states() == [.up(since: nil), .up(since: nil)])
    }

    /// The report is on its way while another worker's request succeeds.
    @Test func `does not eject when the row has ended before the report arrives`() {
        defer { finish() }
        adopt(upstream(), [a, b])
        tell(.serverFailing(a, .lost), at: 1)
        #expect(states() == [.up(since: nil), .up(since: nil)])
    }

    @Test func `keeps the last server, and opens the circuit instead`() throws {
        defer { finish() }
        adopt(upstream(), [a])
        fail(a, times: 5, at: 1)
        #expect(states() == [.up(since: nil)])
        let gate = try #require(published.last?.gate)
        for _ in 0..<5 where gate.failures.failed(reporting: 5) { tell(.upstreamFailing(.timeout), at: 2) }
        #expect(published.last?.circuit == .open(until: at(62)))
        health.timePassed(at: at(62))
        #expect(published.last?.circuit == .halfOpen(successes: 0, until: at(65)))
        #expect((0..<5).map { _ in gate.takePermit() } == [true, true, true, false, false])
        for _ in 0..<3 { tell(.probed(nil), at: 63) }
        #expect(published.last?.circuit == .closed)
    }

    @Test func `keeps states, tallies and circuits over a reload`() throws {
        defer { finish() }
        adopt(upstream(), [a, b])
        fail(a, times: 5, at: 1)
        let before = try #require(published.last)
        adopt(upstream { $0.keepAlive = 9 }, [b, a])
        let after = try #require(published.last)
        #expect(after.servers.map(\.address) == [b, a])
        #expect(after.servers[1].state == .ejected(until: at(11)))
        #expect(after.servers[1].tally === before.servers[0].tally)
        #expect(after.gate === before.gate)
    }

    /// Told by itself it would reach workers that still go by the former rules.
    @Test func `tells of a reload as a whole, and publishes nothing of it`() {
        defer { finish() }
        adopt(upstream(), [a])
        fail(a, times: 4, at: 1)
        let before = published.count
        let told = health.adopting { adopt(upstream { $0.keepAlive = 9 }, [b, a]) }
        #expect(told.map(\.name) == ["api"])
        #expect(told.first?.servers.map(\.address) == [b, a])
        #expect(published.count == before)
        health.resolved("api", [b], at: at(2))
        #expect(published.count == before + 1)
    }

    @Test func `forgets a server that is gone, and knows its namesake as a new one`() {
        defer { finish() }
        adopt(upstream(), [a, b])
        fail(a, times: 5, at: 1)
        health.resolved("api", [b], at: at(2))
        #expect(states() == [.up(since: nil)])
        health.resolved("api", [a, b, a], at: at(3))
        #expect(states() == [.up(since: nil), .up(since: nil)])
    }

    @Test func `hashes onto servers that are up`() throws {
        defer { finish() }
        adopt(upstream { $0.balance = .consistentHash }, [a, b])
        let keys = (0..<100).map { StableHash.of(IPAddress(v4: $0)) }
        let both = try #require(published.last?.ring)
        #expect(Set(keys.compactMap { both.owner(of: $0) }) == [0, 1])
        fail(a, times: 5, at: 1)
        let one = try #require(published.last?.ring)
        #expect(Set(keys.compactMap { one.owner(of: $0) }) == [0])
    }

    @Test func `closes a circuit whose rule is gone`() throws {
        defer { finish() }
        adopt(upstream(), [a])
        let gate = try #require(published.last?.gate)
        for _ in 0..<5 where gate.failures.failed(reporting: 5) { tell(.upstreamFailing(.lost), at: 2) }
        #expect(published.last?.circuit == .open(until: at(62)))
        adopt(upstream { $0.circuitBreaker.failures = 0 }, [a])
        #expect(published.last?.circuit == .closed)
    }

    /// A reload may ask for more requests than the half-open circuit has let through.
    @Test func `lets requests through a circuit that needs more of them since a reload`() throws {
        defer { finish() }
        adopt(upstream { $0.circuitBreaker.probes = 1 }, [a])
        let gate = try #require(published.last?.gate)
        for _ in 0..<5 where gate.failures.failed(reporting: 5) { tell(.upstreamFailing(.lost), at: 2) }
        health.timePassed(at: at(62))
        #expect((0..<2).map { _ in gate.takePermit() } == [true, false])
        adopt(upstream { $0.circuitBreaker.probes = 3 }, [a])
        tell(.probed(nil), at: 63)
        #expect(health.upstreams.first?.breaker.state == .halfOpen(successes: 1, until: at(65)))
        #expect((0..<2).map { _ in gate.takePermit() } == [true, true])
        for _ in 0..<2 { tell(.probed(nil), at: 64) }
        #expect(published.last?.circuit == .closed)
    }

    @Test func `lets others through a half-open circuit when those before them take too long`() throws {
        defer { finish() }
        adopt(upstream(), [a])
        let gate = try #require(published.last?.gate)
        for _ in 0..<5 where gate.failures.failed(reporting: 5) { tell(.upstreamFailing(.lost), at: 2) }
        health.timePassed(at: at(62))
        #expect((0..<4).map { _ in gate.takePermit() } == [true, true, true, false])
        tell(.probed(nil), at: 63)
        health.timePassed(at: at(64.9))
        #expect(!gate.takePermit())
        health.timePassed(at: at(65))
        #expect((0..<3).map { _ in gate.takePermit() } == [true, true, false])
        for _ in 0..<2 { tell(.probed(nil), at: 66) }
        #expect(published.last?.circuit == .closed)
    }

    /// Its requests find out from now on.
    @Test func `asks a server no more whose time away is over`() throws {
        defer { finish() }
        adopt(upstream(), [a, b])
        let watched = try #require(health.upstreams.first)
        for _ in 0..<5 { _ = watched.servers[0].tally.failures.failed(reporting: 5) }
        tell(.serverFailing(a, .refused), at: 1)
        #expect(watched.servers[0].probe != nil)
        health.timePassed(at: at(11))
        #expect(states()[0] == .up(since: at(11)))
        #expect(watched.servers[0].probe == nil)
    }

    @Test func `asks a server that nobody could connect to whether it accepts again`() throws {
        defer { finish() }
        adopt(upstream(), [a, b])
        let watched = try #require(health.upstreams.first)
        #expect(watched.plan(for: watched.servers[0]) == nil)
        for _ in 0..<5 { _ = watched.servers[0].tally.failures.failed(reporting: 5) }
        tell(.serverFailing(a, .refused), at: 1)
        #expect(watched.plan(for: watched.servers[0])?.question == .connection)
        #expect(watched.plan(for: watched.servers[1]) == nil)
        health.checked(watched.servers[0], of: watched, "cannot connect", at: at(2))
        #expect(states()[0] == .ejected(until: at(11)))
        health.checked(watched.servers[0], of: watched, nil, at: at(3))
        #expect(states()[0] == .up(since: at(3)))
        #expect(watched.plan(for: watched.servers[0]) == nil)
    }

    @Test func `names a server's address, or localhost for a Unix socket, when it asks`() throws {
        defer { finish() }
        let checked = upstream { $0.healthCheck.path = "/" }
        adopt(checked, [a, ServerAddress(socket: .unix(path: "/run/api.sock"), host: "")])
        let watched = try #require(health.upstreams.first)
        for (server, host) in zip(watched.servers, ["192.0.2.1:80", "localhost"]) {
            #expect(
                watched.plan(for: server)?.question
                    == .request(checked.healthCheck.request(to: host), checked.healthCheck))
        }
    }

    @Test func `takes a check for the end of failures that checks tell of`() throws {
        defer { finish() }
        adopt(upstream { $0.healthCheck.path = "/" }, [a])
        let watched = try #require(health.upstreams.first)
        let gate = watched.gate
        for (failure, after) in [
            (UpstreamFailure.timeout, CircuitBreaker.State.halfOpen(successes: 0, until: at(6))),
            (.malformed, .open(until: at(62))),
        ] {
            adopt(upstream { $0.circuitBreaker.failures = 0 }, [a])
            adopt(upstream { $0.healthCheck.path = "/" }, [a])
            for _ in 0..<5 { _ = gate.failures.failed(reporting: 5) }
            tell(.upstreamFailing(failure), at: 2)
            health.checked(watched.servers[0], of: watched, nil, at: at(3))
            #expect(published.last?.circuit == after, "\(failure)")
        }
    }
}
