internal import Ledger
internal import Policy
internal import Settings
internal import Wire

/// What the control thread knows of the gateway at one moment, as plain values: the reports are made of this alone.
struct GatewaySnapshot {
    /// When it was taken.
    var now = Instant.now()
    var health: HealthState
    var isServing: Bool
    var isDraining: Bool
    var ledger: LedgerState
    var totals: LedgerTotals
    var store: StoreStatistics?
    var blockCount: Int
    var revocationCount: Int
    var lockdowns: [LockdownRecord] = []
    var allowances: [AllowanceRecord] = []
    /// Those that many people speak through.
    var sharedAddresses: [String] = []
    var brokenGlass: [BreakGlassRecord] = []
    var rateOverrides: [RateOverride] = []
    var configuration: Configuration
    var configurationPath: String
    var generation: Int
    var loadedAt: WallTime
    /// Settings that changed, and wait for a restart.
    var restartNeeded: [String] = []
    var uptime: Interval
    var openConnections: Int
    var room: Room
    /// Bytes that connections hold in buffers.
    var buffered: Int
    /// What is nearly used up.
    var pressure: [Pressure]
    /// What an operator should look at, as it is reported.
    var alarms: [JSONValue] = []
    var listeners: [String]
    var adminAddress: String?
    /// In the order of the configuration.
    var upstreams: [UpstreamState]
    var keySources: [KeySourceState]
    var logLevel: String
    /// Those that an operator has set.
    var logLevels: [LogLevelDesk.Change] = []
    var process: Int

    /// The one word for everything.
    var word: String {
        if isDraining { return "draining" }
        return isServing ? health.word : "starting"
    }
}

/// The JSON documents of the admin server.
enum AdminReports {
    /// `/health/detailed`. `database` and `cache` are the names under which the runbooks look for what the ledger is.
    static func detailedHealth(_ snapshot: GatewaySnapshot, at wall: WallTime) -> JSONValue {
        .object(common(snapshot, at: wall))
    }

    /// `/api/v1/status`: the same, and what only operators need to see.
    static func status(_ snapshot: GatewaySnapshot, at wall: WallTime) -> JSONValue {
        let totals = snapshot.totals
        let counted: JSONValue = [
            "failures": .integer(totals.failures), "failures_decided_locally": .integer(totals.failuresDecidedLocally),
            "blocks_set": .integer(totals.blocksSet), "blocks_seen": .integer(totals.blocksSeen),
            "blocks_lifted": .integer(totals.blocksLifted), "revocations_set": .integer(totals.revocationsSet),
            "revocations_seen": .integer(totals.revocationsSeen),
            "revocations_lifted": .integer(totals.revocationsLifted), "replayed": .integer(totals.replayed),
            "replay_dropped": .integer(totals.replayDropped), "reconnects": .integer(totals.reconnects),
            "resyncs": .integer(totals.resyncs), "flushes": .integer(totals.flushes),
            "unparsable_keys": .integer(totals.unparsableKeys),
        ]
        let login = snapshot.configuration.login
        let rule: JSONValue = [
            "endpoints": .array(login.endpoints.map { .string("\($0.method) \($0.path)") }),
            "limit": .integer(login.limit), "window_seconds": .integer(Int(login.window.seconds)),
            "block_seconds": .integer(Int(login.block.seconds)), "ipv6_prefix": .integer(login.ipv6Prefix),
            "count": .string(login.count.rawValue), "action": .string(login.action.rawValue),
            "escalation": escalation(login.escalation),
            "rules": .array(login.rules.map { loginRule($0) }),
        ]
        return .object(
            common(snapshot, at: wall) + [
                .init("lockdowns", lockdowns(snapshot.lockdowns, now: snapshot.now, wall: wall)),
                .init("allowances", allowances(snapshot.allowances, now: snapshot.now, wall: wall)),
                .init("shared_addresses", .array(snapshot.sharedAddresses.map { .string($0) })),
                .init("break_glass", breakGlass(snapshot.brokenGlass, now: snapshot.now, wall: wall)),
                .init(
                    "rate_limit_overrides",
                    .array(snapshot.rateOverrides.map { $0.report(now: snapshot.now, wall: wall) })),
                .init("ledger_totals", counted), .init("login", rule),
                .init("log_level", .string(snapshot.logLevel)),
                .init("log_levels", .array(snapshot.logLevels.map { logLevel($0, now: snapshot.now, wall: wall) })),
                .init("pid", .integer(snapshot.process)),
                .init("admin_socket", .string(snapshot.configuration.admin.socketPath)),
                .init("admin_listener", JSONValue(snapshot.adminAddress)),
            ])
    }

    private static func loginRule(_ rule: Configuration.Login.Rule) -> JSONValue {
        [
            "name": .string(rule.name), "class": .string(rule.kind.rawValue), "key": .string(rule.key.rawValue),
            "limit": .integer(rule.limit), "window_seconds": .integer(Int(rule.window.seconds)),
            "block_seconds": .integer(Int(rule.block.seconds)),
            "count": .string(rule.count.rawValue), "action": .string(rule.action.rawValue),
            "escalation": escalation(rule.escalation),
        ]
    }

    private static func escalation(_ escalation: Configuration.Login.Escalation?) -> JSONValue {
        guard let escalation else { return .null }
        return [
            "factor": .integer(escalation.factor), "max_seconds": .integer(Int(escalation.longest.seconds)),
        ]
    }

    private static func common(_ snapshot: GatewaySnapshot, at wall: WallTime) -> [JSONValue.Member] {
        let configuration = snapshot.configuration
        let features: JSONValue = [
            "ip_block": true, "jwt": true, "ledger": .string(snapshot.ledger.word),
            "failed_login_block": .boolean(!configuration.login.endpoints.isEmpty),
            "jwt_authentication": .boolean(!configuration.tokens.keys.isEmpty),
            "identity_headers": .boolean(!configuration.identityHeaders.isEmpty),
            "trusted_proxies": .boolean(!configuration.trustedProxies.isEmpty),
            "shared_ledger": .boolean(configuration.redis != nil),
        ]
        return [
            .init("status", .string(snapshot.word)), .init("service", "gateway"),
            .init("version", .string(GatewayVersion.text)), .init("timestamp", .string(wall.text)),
            .init("uptime_seconds", .integer(Int(snapshot.uptime.seconds))),
            .init("ledger", ledger(snapshot)), .init("cache", cache(snapshot)), .init("database", database(snapshot)),
            .init("blocks", ["in_force": .integer(snapshot.blockCount)]),
            .init("revocations", ["in_force": .integer(snapshot.revocationCount)]),
            .init("workers", .integer(configuration.workers)),
            .init(
                "connections",
                [
                    "open": .integer(snapshot.openConnections),
                    "limit": .integer(snapshot.room.connections),
                ]),
            .init("buffers", ["held": .integer(snapshot.buffered), "limit": .integer(snapshot.room.memory)]),
            .init("pressure", .array(snapshot.pressure.map { .string($0.rawValue) })),
            .init("alarms", .array(snapshot.alarms)),
            .init("listeners", .array(snapshot.listeners.map { .string($0) })),
            .init("upstreams", .array(configuration.upstreams.map { upstream($0, snapshot) })),
            .init("keys", .array(snapshot.keySources.map(keySource))),
            .init(
                "configuration",
                [
                    "path": .string(snapshot.configurationPath), "generation": .integer(snapshot.generation),
                    "loaded_at": .string(snapshot.loadedAt.text),
                    "restart_needed": .array(snapshot.restartNeeded.map { .string($0) }),
                ]),
            .init("features", features),
        ]
    }

    private static func ledger(_ snapshot: GatewaySnapshot) -> JSONValue {
        var reason: String?
        var began: WallTime?
        if case .degraded(let why, let since) = snapshot.ledger { (reason, began) = (why, since) }
        return [
            "state": .string(snapshot.ledger.word), "ready": .boolean(snapshot.health.isReady),
            "reason": JSONValue(reason), "since": JSONValue(began?.text),
        ]
    }

    /// Redis, where the runbooks ask for `.cache`.
    private static func cache(_ snapshot: GatewaySnapshot) -> JSONValue {
        guard let redis = snapshot.configuration.redis else { return ["status": "not_configured"] }
        var members: [JSONValue.Member] = [
            .init("status", .string(snapshot.ledger.word == "degraded" ? "degraded" : "healthy")),
            .init("kind", "redis"),
            .init("address", .string(address(redis))),
            .init("database", .integer(redis.database)),
        ]
        if let store = snapshot.store { members += store.report }
        return .object(members)
    }

    private static func address(_ redis: Configuration.Redis) -> String {
        if let first = redis.cluster.first { return "the cluster of \(text(.tcp(first)))" }
        return redis.sentinels.map { "the master \($0.master)" } ?? text(redis.location)
    }

    /// The gateway has no database; what it keeps is in the ledger, where the runbooks ask for `.database`.
    private static func database(_ snapshot: GatewaySnapshot) -> JSONValue {
        [
            "status": snapshot.ledger.word == "degraded" ? "degraded" : "healthy",
            "kind": snapshot.configuration.redis == nil ? "embedded" : "redis",
            "state_dir": .string(snapshot.configuration.stateDirectory),
        ]
    }

    private static func upstream(_ upstream: Configuration.Upstream, _ snapshot: GatewaySnapshot) -> JSONValue {
        let state = snapshot.upstreams.first { $0.name == upstream.name }
        return [
            "name": .string(upstream.name), "servers": .array(upstream.servers.map { .string(text($0)) }),
            "balance": .string(upstream.balance.rawValue), "circuit": JSONValue(state?.circuit),
            "retry_after_seconds": JSONValue(state?.retryAfter),
            "addresses": .array((state?.servers ?? []).map { .string($0.address) }),
            "states": .array(
                (state?.servers ?? []).map { server in
                    [
                        "address": .string(server.address), "state": .string(server.state),
                        "reason": JSONValue(server.reason), "back_in_seconds": JSONValue(server.backIn),
                        "checked": JSONValue(server.check),
                    ]
                }),
        ]
    }

    private static func keySource(_ source: KeySourceState) -> JSONValue {
        [
            "id": .string(source.id), "state": .string(source.state.rawValue),
            "keys": .array(source.keys.map { .string($0) }), "fetched_at": JSONValue(source.fetchedAt?.text),
            "failures": .integer(source.failures), "problem": JSONValue(source.problem),
            "clock_ahead_ms": .integer(Int(source.clockAhead.milliseconds)),
        ]
    }

    /// As it is written in gateway.conf.
    private static func text(_ location: Configuration.ServerLocation) -> String {
        switch location {
        case .tcp(let address) where address.host.contains(":"): "[\(address.host)]:\(address.port)"
        case .tcp(let address): "\(address.host):\(address.port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    // MARK: Blocks

    /// The newest first; of a mirror with a hundred thousand of them only the first `limit`.
    static func blocks(_ records: [BlockRecord], limit: Int, now: Instant, wall: WallTime) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.since == b.since ? a.network.base < b.network.base : b.since < a.since
        }
        return [
            "count": .integer(records.count), "truncated": .boolean(records.count > limit),
            "blocks": .array(sorted.prefix(limit).map { block($0, now: now, wall: wall) }),
        ]
    }

    static func block(_ record: BlockRecord, now: Instant, wall: WallTime) -> JSONValue {
        let remaining = record.remaining(at: now)
        let origin: String
        var failures: Int?
        switch record.origin {
        case .automatic(let count): (origin, failures) = ("automatic", count)
        case .command: origin = "command"
        case .byHand: origin = "by_hand"
        }
        return [
            "network": .string(record.network.description), "reason": .string(record.reason),
            "actor": .string(record.actor), "origin": .string(origin), "failures": JSONValue(failures),
            "since": .string(record.since.text), "expires_at": JSONValue(remaining.map { (wall + $0).text }),
            "ttl_seconds": JSONValue(remaining.map(\.secondsRoundedUp)), "permanent": .boolean(record.isPermanent),
        ]
    }
}
