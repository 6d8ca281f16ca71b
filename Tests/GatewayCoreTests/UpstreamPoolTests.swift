import Glibc
import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

/// A listening Unix socket that nobody answers at: connections to it are established by the kernel.
private final class Backend {
    let address: ServerAddress
    private let path: String
    private let listening: ListeningSocket

    init() throws {
        path = "/tmp/gateway-pool-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        address = ServerAddress(socket: .unix(path: path), host: "")
        listening = try ListeningSocket(bind: address.socket, shared: false)
    }

    deinit { unlink(path) }
}

/// A worker without listeners, and a client's connection that leases are made for.
private final class Bench {
    let loop = EventLoop()
    let worker: Worker
    let client: ClientConnection
    private var descriptors: [Int32] = [0, 0]
    private let logs: LogWriter

    init() throws {
        logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        let configuration = Bench.configuration
        let catalog = MetricCatalog(routes: [], upstreams: ["api"], reasons: [], stages: [], codes: [])
        let registry = MetricsRegistry(prefix: "gateway", version: "0", startedAt: .now())
        let rules = GatekeeperRules(configuration, keys: .empty)
        worker = Worker(
            WorkerSeed(
                index: 0,
                generation: Generation(
                    number: 1, configuration: configuration, rules: rules,
                    room: Room(configuration, descriptors: 1_000, memory: 1 << 30)),
                mailbox: Mailbox(), control: Mailbox(), tls: nil, shared: SharedCounters(),
                access: logs.accessChannel(), audit: AuditLog(logs), metrics: registry.makeShard(catalog),
                heartbeat: Heartbeat(at: .now())),
            on: loop)
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0)
        client = ClientConnection(
            .plain(StreamSocket(descriptor: descriptors[0])), peer: IPAddress("203.0.113.9")!, port: 1, door: .plain,
            worker: worker, now: .now())
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
        logs.stop()
    }

    func pool(
        keepAlive: Int = 2, idleTimeout: Interval = .seconds(30),
        _ change: (inout Configuration.Upstream) -> Void = { _ in }
    ) -> UpstreamPool {
        var upstream = Configuration.Upstream(name: "api", servers: [], keepAlive: keepAlive, idleTimeout: idleTimeout)
        change(&upstream)
        return UpstreamPool(upstream, index: 0, worker: worker)
    }

    /// Closes what is idle, and lets the turn end that frees it.
    func finish(_ pool: UpstreamPool) {
        pool.retire()
        loop.atEndOfTurn {}
        loop.turn()
    }

    /// The addresses as the control thread tells of them.
    func standing(
        _ servers: [(ServerAddress, ServerHealth.State)], circuit: CircuitBreaker.State = .closed,
        gate: CircuitGate = CircuitGate()
    ) -> UpstreamStanding {
        UpstreamStanding(
            name: "api",
            servers: servers.map { UpstreamStanding.Server(address: $0, state: $1, tally: ServerTally()) },
            circuit: circuit, gate: gate,
            ring: HashRing(servers.filter { $0.1 == .up(since: nil) }.map(\.0.description)))
    }

    func update(_ pool: UpstreamPool, _ addresses: [ServerAddress]) {
        pool.update(standing(addresses.map { ($0, .up(since: nil)) }), at: worker.clock.now)
    }

    private static var configuration: Configuration {
        Configuration(
            listeners: [], workers: 1, admin: .init(listen: nil, socketPath: "", token: nil), stateDirectory: "",
            trustedProxies: [], neverBlock: [],
            limits: .init(headBytes: 32_768, fields: 100, targetBytes: 8_192, bodyBytes: 0, connections: 10),
            timeouts: .init(
                head: .seconds(10), body: .seconds(30), idle: .seconds(60), connect: .seconds(2),
                response: .seconds(60), drain: .seconds(20)),
            forwarding: .init(viaName: "gateway", forwarded: true), upstreams: [], routes: [],
            login: .init(
                endpoints: [], limit: 5, window: .seconds(60), block: .seconds(60), failureStatuses: [401]),
            redis: nil,
            tokens: .init(
                keys: [], issuers: [], audiences: [], leeway: .zero, maximumBytes: 1_000, cacheEntries: 0,
                rolesClaim: "roles"),
            identityHeaders: [], logs: .init(access: .off, audit: .off, level: .info),
            metrics: .init(prefix: "gateway"))
    }
}

@Suite struct `A pool of upstream connections` {
    private let bench: Bench
    private let a: Backend
    private let b: Backend

    init() throws {
        bench = try Bench()
        a = try Backend()
        b = try Backend()
    }

    private func connected(_ pool: UpstreamPool) -> ServerConnection? {
        if case .connecting(let connection) = pool.lease(for: bench.client, key: 0, .first) { return connection }
        return nil
    }

    private func pooled(_ pool: UpstreamPool) -> ServerConnection? {
        if case .pooled(let connection) = pool.lease(for: bench.client, key: 0, .first) { return connection }
        return nil
    }

    @Test func `has nothing to give before its names are resolved`() {
        let pool = bench.pool()
        guard case .refused(.upstreamUnreachable) = pool.lease(for: bench.client, key: 0, .first) else {
            Issue.record("a connection to nobody")
            return
        }
    }

    @Test func `has nothing to give when nobody listens`() {
        let pool = bench.pool()
        bench.update(pool, [ServerAddress(socket: .unix(path: "/tmp/gateway-no-such-backend"), host: "")])
        guard case .failed = pool.lease(for: bench.client, key: 0, .first) else {
            Issue.record("a connection to nobody")
            return
        }
    }

    @Test func `lets servers take turns`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address, b.address])
        let leases = (0..<4).compactMap { _ in connected(pool) }
        let addresses = leases.map(\.server.address)
        #expect(Set(addresses.prefix(2)) == [a.address, b.address])
        #expect(addresses.suffix(2) == addresses.prefix(2))
        for lease in leases { lease.discard() }
        bench.finish(pool)
    }

    /// Of equals the youngest is taken, so that the others grow old and can be let go.
    @Test func `gives the connection that was used last`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address])
        let first = try #require(connected(pool))
        let second = try #require(connected(pool))
        first.release()
        second.release()
        #expect(pool.idleCount == 2)
        let again = try #require(pooled(pool))
        #expect(again === second)
        #expect(pool.idleCount == 1)
        again.discard()
        bench.finish(pool)
    }

    @Test func `keeps no more than it may`() throws {
        let pool = bench.pool(keepAlive: 1)
        bench.update(pool, [a.address])
        let first = try #require(connected(pool))
        let second = try #require(connected(pool))
        first.release()
        second.release()
        #expect(pool.idleCount == 1)
        let kept = try #require(pooled(pool))
        #expect(kept === first)
        kept.discard()
        bench.finish(pool)
    }

    /// The body of an answer to HEAD, which some servers send, would be read as the next answer.
    @Test func `gives no connection for a while that a body may follow on`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address])
        let connection = try #require(connected(pool))
        connection.mayBeFollowed = true
        connection.release()
        #expect(pool.idleCount == 1)
        pool.sweep(connection.idleSince + .milliseconds(99))
        try #require(connected(pool)).discard()
        pool.sweep(connection.idleSince + .milliseconds(100))
        let again = try #require(pooled(pool))
        #expect(again === connection)
        again.discard()
        bench.finish(pool)
    }

    @Test func `lets go what was idle for longer than it may`() throws {
        let pool = bench.pool(idleTimeout: .seconds(30))
        bench.update(pool, [a.address])
        try #require(connected(pool)).release()
        let now = Instant.now()
        pool.sweep(now + .seconds(29))
        #expect(pool.idleCount == 1)
        pool.sweep(now + .seconds(31))
        #expect(pool.idleCount == 0)
        bench.finish(pool)
    }

    @Test func `knows a server again when its names are resolved anew`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address])
        try #require(connected(pool)).release()
        bench.update(pool, [b.address, a.address])
        #expect(pool.servers.map(\.address) == [b.address, a.address])
        #expect(pool.idleCount == 1)
        bench.finish(pool)
    }

    @Test func `closes what is idle at a server that is gone, and takes nothing back for it`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address])
        let busy = try #require(connected(pool))
        try #require(connected(pool)).release()
        bench.update(pool, [b.address])
        #expect(pool.idleCount == 0)
        busy.release()
        #expect(pool.idleCount == 0)
        #expect(try #require(connected(pool)).server.address == b.address)
        bench.finish(pool)
    }

    @Test func `tries again with another server, and on a new connection`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address, b.address])
        for _ in 0..<2 { try #require(connected(pool)).release() }
        for _ in 0..<4 {
            let server = try #require(pool.servers.first)
            guard case .connecting(let again) = pool.lease(for: bench.client, key: 0, .again(avoiding: server)) else {
                Issue.record("a pooled connection")
                return
            }
            #expect(again.server !== server)
            again.discard()
        }
        bench.finish(pool)
    }

    @Test func `gives nothing to a server that is away, and closes what is idle there`() throws {
        let pool = bench.pool()
        bench.update(pool, [a.address, b.address])
        for _ in 0..<2 { try #require(connected(pool)).release() }
        pool.update(bench.standing([(a.address, .down), (b.address, .up(since: nil))]), at: bench.worker.clock.now)
        #expect(pool.idleCount == 1)
        try #require(pooled(pool)).discard()
        for _ in 0..<3 {
            let connection = try #require(connected(pool))
            #expect(connection.server.address == b.address)
            connection.discard()
        }
        bench.finish(pool)
    }

    @Test func `connects to nobody while the circuit is open`() throws {
        let pool = bench.pool()
        let until = bench.worker.clock.now + .milliseconds(2_500)
        pool.update(
            bench.standing([(a.address, .up(since: nil))], circuit: .open(until: until)), at: bench.worker.clock.now)
        guard case .refused(.circuitOpen) = pool.lease(for: bench.client, key: 0, .first) else {
            Issue.record("a connection")
            return
        }
        #expect(pool.retryAfter() == 3)
    }

    @Test func `lets as many requests through a half-open circuit as there are permits`() throws {
        let pool = bench.pool()
        let gate = CircuitGate()
        gate.grant(2)
        pool.update(
            bench.standing([(a.address, .up(since: nil))], circuit: .halfOpen(successes: 0, until: .never), gate: gate),
            at: bench.worker.clock.now)
        let first = try #require(connected(pool))
        let second = try #require(connected(pool))
        #expect(connected(pool) == nil)
        // A client that goes away has found nothing out: another may.
        first.discard()
        let third = try #require(connected(pool))
        #expect(connected(pool) == nil)
        second.discard()
        third.discard()
        bench.finish(pool)
    }

    @Test func `counts what is under way for the choice of the freest`() throws {
        let pool = bench.pool { $0.balance = .leastConnections }
        bench.update(pool, [a.address, b.address])
        let busy = try #require(connected(pool))
        for _ in 0..<5 {
            let other = try #require(connected(pool))
            #expect(other.server !== busy.server)
            other.discard()
        }
        busy.discard()
        #expect(pool.servers.map(\.tally.requests) == [0, 0])
        bench.finish(pool)
    }

    /// Nothing of it left, so it may go on another connection, a POST too.
    @Test func `gives back a request whose connection is gone before its first byte`() throws {
        let pool = bench.pool()
        var gone: Backend? = try Backend()
        bench.update(pool, [gone!.address])
        try #require(connected(pool)).release()
        // Closing the listener resets what it had not accepted. The loop has not told of it yet.
        gone = nil
        let connection = try #require(pooled(pool))
        connection.send(Array("POST /".utf8).span, Array(" HTTP".utf8).span)
        connection.send(Array("/1.1".utf8).span, Span())
        #expect(connection.takeUnsent() == Array("POST / HTTP/1.1".utf8))
        connection.discard()
        bench.finish(pool)
    }

    /// What the server says unasked would be read as the answer to the next request.
    @Test func `does not keep a connection that the other side has closed`() throws {
        let pool = bench.pool()
        var gone: Backend? = try Backend()
        bench.update(pool, [gone!.address])
        let connection = try #require(connected(pool))
        connection.release()
        #expect(pool.idleCount == 1)
        // Closing the listener resets what it had not accepted.
        gone = nil
        let end = Instant.now() + .seconds(30)
        let ticker = LoopTimer(on: bench.loop) {}
        ticker.fire(every: .milliseconds(1))
        while pool.idleCount > 0, Instant.now() < end { bench.loop.turn() }
        #expect(pool.idleCount == 0)
        bench.finish(pool)
    }
}
