internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// A limit that an operator has set for a while, with all that is known of it.
struct RateOverride: Hashable, Sendable {
    var name: RateLimitName
    /// Nil: no limit.
    var limit: RateLimit?
    var deadline: Instant
    var reason: String
    var actor: String
    var since: WallTime

    /// `per_address is 20/min, burst 5`
    var sentence: String { "The rate limit \(name) is \(limit?.description ?? "off")" }

    func report(now: Instant, wall: WallTime) -> JSONValue {
        let left = deadline - now
        return [
            "limit": .string(name.description), "rate": .string(limit?.rate.description ?? "off"),
            "burst": JSONValue(limit?.burst), "reason": .string(reason), "actor": .string(actor),
            "since": .string(since.text), "expires_at": .string((wall + left).text),
            "ttl_seconds": .integer(left.secondsRoundedUp),
        ]
    }
}

/// Keeps what operators have set in place of the configured rate limits, on the control thread: tells the workers, and
/// restores what the configuration says when the time is over. It lives in this process alone, and a reload leaves it.
final class RateLimitDesk {
    private let broadcast: LedgerBroadcast
    private let audit: AuditLog
    private let log: OperationalLog
    private let announce: (RateTables) -> Void
    /// Nil: there has been no limit yet.
    private(set) var tables: RateTables?
    private(set) var overrides: [RateLimitName: RateOverride] = [:]
    private var timer: LoopTimer?

    /// - Parameter announce: tells the workers of tables that they were not born with.
    init(
        _ configuration: Configuration, broadcast: LedgerBroadcast, audit: AuditLog, log: OperationalLog,
        on loop: EventLoop, announce: @escaping (RateTables) -> Void
    ) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
        self.announce = announce
        if configuration.hasRateLimits { tables = RateTables() }
        timer = LoopTimer(on: loop) { [unowned self] in expire(at: .now()) }
    }

    var inForce: [RateOverride] { overrides.values.sorted { $0.name.description < $1.name.description } }

    /// In place of what was set of the same limit before.
    func set(_ override: RateOverride, at now: Instant, wall: WallTime) {
        if override.limit != nil { makeTables() }
        overrides[override.name] = override
        publish()
        let end = wall + (override.deadline - now)
        audit.record(
            AuditOperation(
                "rate_limit_changed", "\(override.sentence) until \(end.text): \(override.reason)", by: override.actor,
                of: override.name.description, because: override.reason, until: end))
        log.log(
            .warning, "limits.rate_changed", "An operator has set a rate limit for a while",
            [
                ("limit", .text(override.name.description)), ("rate", .text(override.limit?.rate.description ?? "off")),
                ("burst", .number(override.limit?.burst ?? 0)),
                ("ttl_seconds", .number((override.deadline - now).secondsRoundedUp)),
                ("reason", .text(override.reason)), ("actor", .text(override.actor)),
            ])
        awaitDeadline(now)
    }

    /// False: it was as the configuration says.
    func restore(_ name: RateLimitName, by actor: String, because cause: String) -> Bool {
        guard overrides.removeValue(forKey: name) != nil else { return false }
        publish()
        audit.record(
            AuditOperation(
                "rate_limit_restored", "The rate limit \(name) is as configured again: \(cause)", by: actor,
                of: name.description, because: cause))
        log.log(
            .info, "limits.rate_restored", "A rate limit is as configured again",
            [("limit", .text(name.description)), ("cause", .text(cause)), ("actor", .text(actor))])
        return true
    }

    /// Before the generation is made. What a route no longer has cannot be set for it.
    func adopt(_ next: Configuration) {
        if next.hasRateLimits { makeTables() }
        for override in inForce where !next.canLimit(override.name) {
            _ = restore(override.name, by: "gateway", because: "the configuration has no such limit any more")
        }
    }

    func expire(at now: Instant) {
        for override in inForce where override.deadline <= now {
            _ = restore(override.name, by: "gateway", because: "its time is over")
        }
        awaitDeadline(now)
    }

    private func makeTables() {
        guard tables == nil else { return }
        let made = RateTables()
        tables = made
        announce(made)
    }

    private func publish() {
        var change = RateOverrides()
        for (name, override) in overrides { change.limits[name] = .some(override.limit) }
        broadcast.send(.rateLimits(change))
    }

    private func awaitDeadline(_ now: Instant) {
        guard let next = overrides.values.map(\.deadline).min() else { return }
        timer?.fire(after: max(.milliseconds(1), next - now))
    }
}

extension Configuration {
    var hasRateLimits: Bool {
        rateLimits.perAddress != nil || rateLimits.perIdentity != nil || routes.contains { $0.rateLimit != nil }
    }

    /// Whether there is something that the limit is counted by.
    func canLimit(_ name: RateLimitName) -> Bool {
        guard case .route(let route) = name else { return true }
        return routes.contains { $0.name == route && $0.rateLimit != nil }
    }

    /// What is configured, in the order in which it is asked: the name, the limit, and what it is counted by.
    var configuredRateLimits: [(name: String, limit: RateLimit?, per: String)] {
        [
            (RateLimitName.perAddress.description, rateLimits.perAddress, "address"),
            (RateLimitName.perIdentity.description, rateLimits.perIdentity, "identity"),
        ]
            + routes.compactMap { route in
                route.rateLimit.map { (route.name, $0.limit, $0.per.rawValue) }
            }
    }
}
