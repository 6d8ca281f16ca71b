import Ledger
import Policy
import Settings
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The reports for operators` {
    private let wall = WallTime(seconds: 1_795_262_400)
    private let now = Instant(nanoseconds: 50_000_000_000)

    private func configuration(_ extra: String = "") throws -> Configuration {
        let text = """
            upstreams: {api: {servers: ["127.0.0.1:9000", "[::1]:9001"]}}
            routes: [{path: /, upstream: api, auth: none}]
            \(extra)
            """
        let source = ConfigurationSource(path: "gateway.conf", contents: Array(text.utf8))
        return try #require(Configuration.load(source).configuration)
    }

    private func snapshot(ledger: LedgerState = .embedded, redis: Bool = false) throws -> GatewaySnapshot {
        GatewaySnapshot(
            health: HealthState(ledger: ledger.word, isReady: true), isServing: true, isDraining: false,
            ledger: ledger, totals: LedgerTotals(), blockCount: 3, revocationCount: 1,
            configuration: try configuration(redis ? "redis: {address: \"10.0.0.9:6379\"}" : ""),
            configurationPath: "gateway.conf", generation: 2, loadedAt: wall, uptime: .seconds(90),
            openConnections: 7,
            room: Room(try configuration(), descriptors: 1_000_000, memory: 1 << 31), buffered: 5, pressure: [.memory],
            listeners: ["0.0.0.0:8080"], adminAddress: "127.0.0.1:9901",
            upstreams: [
                UpstreamState(
                    name: "api", circuit: "open", retryAfter: 12,
                    servers: [
                        .init(address: "127.0.0.1:9000", state: "up", check: "ok"),
                        .init(address: "[::1]:9001", state: "ejected", reason: "connection_lost", backIn: 7),
                    ])
            ],
            keySources: [
                KeySourceState(
                    id: "idp", state: .stale, keys: ["idp/one"], fetchedAt: wall, failures: 2, problem: "status 500",
                    clockAhead: .milliseconds(1_500))
            ], logLevel: "info", process: 42)
    }

    @Test func `name closed routes to operators alone`() throws {
        var snapshot = try snapshot()
        snapshot.now = now
        snapshot.lockdowns = [
            ("/later", Instant.never), ("/sooner", now + .seconds(60)),
        ].map { route, end in
            LockdownRecord(
                Lockdown(route: route, allowed: [], until: end), reason: "leak", actor: "uid:0", since: wall)
        }
        let closed = AdminReports.status(snapshot, at: wall)["lockdowns"]?.array
        #expect(closed?.map { $0["route"] } == ["/sooner", "/later"])
        #expect(closed?.map { $0["expires_at"] } == ["2026-11-21T12:01:00.000Z", .null])
        #expect(AdminReports.detailedHealth(snapshot, at: wall)["lockdowns"] == nil)
    }

    @Test func `have what the runbooks read from the detailed health`() throws {
        let report = AdminReports.detailedHealth(try snapshot(), at: wall)
        #expect(report["status"] == "healthy")
        #expect(report["service"] == "gateway")
        #expect(report["timestamp"] == "2026-11-21T12:00:00.000Z")
        #expect(report["uptime_seconds"] == 90)
        #expect(report["ledger"] == ["state": "embedded", "ready": true, "reason": .null, "since": .null])
        #expect(report["database"]?["status"] == "healthy")
        #expect(report["cache"] == ["status": "not_configured"])
        #expect(report["features"]?["ip_block"] == true)
        #expect(report["connections"] == ["open": 7, "limit": 10000])
        #expect(report["buffers"] == ["held": 5, "limit": 1_073_741_824])
        #expect(report["pressure"] == ["memory"])
        #expect(
            report["keys"] == [
                [
                    "id": "idp", "state": "stale", "keys": ["idp/one"], "fetched_at": "2026-11-21T12:00:00.000Z",
                    "failures": 2, "problem": "status 500", "clock_ahead_ms": 1500,
                ]
            ])
        #expect(
            report["upstreams"] == [
                [
                    "name": "api", "servers": ["127.0.0.1:9000", "[::1]:9001"], "balance": "round_robin",
                    "circuit": "open", "retry_after_seconds": 12,
                    "addresses": ["127.0.0.1:9000", "[::1]:9001"],
                    "states": [
                        [
                            "address": "127.0.0.1:9000", "state": "up", "reason": .null, "back_in_seconds": .null,
                            "checked": "ok",
                        ],
                        [
                            "address": "[::1]:9001", "state": "ejected", "reason": "connection_lost",
                            "back_in_seconds": 7, "checked": .null,
                        ],
                    ],
                ]
            ])
    }

    @Test func `tell why and since when the ledger is degraded`() throws {
        let report = AdminReports.detailedHealth(
            try snapshot(ledger: .degraded(reason: "refused", since: wall), redis: true), at: wall)
        #expect(report["status"] == "degraded")
        #expect(
            report["ledger"]
                == ["state": "degraded", "ready": true, "reason": "refused", "since": "2026-11-21T12:00:00.000Z"])
        #expect(
            report["cache"] == ["status": "degraded", "kind": "redis", "address": "10.0.0.9:6379", "database": 0])
        #expect(report["database"]?["status"] == "degraded")
    }

    @Test func `tell of Redis what is known`() throws {
        var snapshot = try snapshot(ledger: .connected, redis: true)
        var store = StoreStatistics()
        store.commands = 7
        store.errors = 1
        snapshot.store = store
        #expect(
            AdminReports.detailedHealth(snapshot, at: wall)["cache"]
                == [
                    "status": "healthy", "kind": "redis", "address": "10.0.0.9:6379", "database": 0, "commands": 7,
                    "command_errors": 1,
                ])
        store.keys = 3
        store.memory = 1_000
        store.memoryPeak = 2_000
        store.roundTrip = Interval(nanoseconds: 1_234_567)
        snapshot.store = store
        let cache = AdminReports.detailedHealth(snapshot, at: wall)["cache"]
        #expect(cache?["keys"] == 3 && cache?["memory_bytes"] == 1_000 && cache?["memory_peak_bytes"] == 2_000)
        #expect(cache?["round_trip_us"] == 1_234 && cache?["nodes"] == nil)
        store.nodes = [
            StoreNode(name: "10.0.0.1:7000", slots: 16_000),
            StoreNode(name: "10.0.0.2:7000", slots: 384, problem: "gone"),
        ]
        snapshot.store = store
        #expect(
            AdminReports.detailedHealth(snapshot, at: wall)["cache"]?["nodes"]
                == [
                    ["name": "10.0.0.1:7000", "slots": 16_000, "status": "healthy", "reason": .null],
                    ["name": "10.0.0.2:7000", "slots": 384, "status": "away", "reason": "gone"],
                ])
    }

    @Test func `say starting and draining before anything else`() throws {
        var snapshot = try snapshot()
        snapshot.isServing = false
        #expect(snapshot.word == "starting")
        snapshot.isDraining = true
        #expect(snapshot.word == "draining")
    }

    private func record(
        _ network: String, _ origin: BlockOrigin, since: Int64, deadline: Instant
    ) throws -> BlockRecord {
        BlockRecord(
            network: try #require(IPNetwork(network)), origin: origin, reason: "r", actor: "a",
            since: WallTime(seconds: since), deadline: deadline)
    }

    @Test func `show a block with its end`() throws {
        let record = try record(
            "192.0.2.1", .automatic(failures: 5), since: 1_795_262_100,
            deadline: Instant(nanoseconds: 50_000_000_001))
        #expect(
            AdminReports.block(record, now: now, wall: wall) == [
                "network": "192.0.2.1", "reason": "r", "actor": "a", "origin": "automatic", "failures": 5,
                "since": "2026-11-21T11:55:00.000Z", "expires_at": "2026-11-21T12:00:00.000Z", "ttl_seconds": 1,
                "permanent": false,
            ])
    }

    @Test func `show a permanent block without one`() throws {
        let record = try record("10.0.0.0/8", .byHand, since: 1_795_262_400, deadline: .never)
        let block = AdminReports.block(record, now: now, wall: wall)
        #expect(block["permanent"] == true)
        #expect(block["expires_at"] == .null)
        #expect(block["ttl_seconds"] == .null)
        #expect(block["origin"] == "by_hand")
    }

    @Test func `list the newest blocks first, and say when there are more`() throws {
        let records = [
            try record("192.0.2.1", .command, since: 10, deadline: .never),
            try record("192.0.2.3", .command, since: 20, deadline: .never),
            try record("192.0.2.2", .command, since: 20, deadline: .never),
        ]
        let all = AdminReports.blocks(records, limit: 3, now: now, wall: wall)
        #expect(all["blocks"]?.array?.map { $0["network"] } == ["192.0.2.2", "192.0.2.3", "192.0.2.1"])
        #expect(all["truncated"] == false)
        let two = AdminReports.blocks(records, limit: 2, now: now, wall: wall)
        #expect(two["blocks"]?.array?.count == 2)
        #expect(two["count"] == 3)
        #expect(two["truncated"] == true)
    }
}
