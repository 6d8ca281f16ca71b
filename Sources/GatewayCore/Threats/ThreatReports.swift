internal import Glibc
internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// What is told of threats in JSON: to operators and to the webhook.
enum ThreatReports {
    /// The name of this machine, so that who is told by several knows by which.
    private static let host: String = {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, 255) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    static func threat(_ threat: Threat) -> JSONValue {
        [
            "id": .string(threat.id), "pattern": .string(threat.pattern.rawValue),
            "subject_kind": .string(threat.subject.kind), "subject": .string(threat.subject.description),
            "began_at": .string(threat.began.text), "last_sign_at": .string(threat.lastSign.text),
            "ended_at": JSONValue(threat.ended?.text), "signs": .integer(threat.signs),
            "failures": .integer(threat.measures.failures), "accounts": .integer(threat.measures.accounts),
            "networks": .integer(threat.measures.networks), "last_address": JSONValue(threat.address?.description),
            "last_request_id": JSONValue(threat.trace?.requestID), "last_trace_id": JSONValue(threat.trace?.traceID),
            "from_failing_network": threat.pattern == .successAfterFailures ? .boolean(threat.isFromFailing) : .null,
        ]
    }

    /// To the webhook.
    static func message(_ news: ThreatNews, _ settings: Configuration.Threats, at wall: WallTime) -> JSONValue {
        message("threat.\(news.step.rawValue)", threat(news.threat), settings, at: wall)
    }

    /// When an operator wants to know whether messages arrive.
    static func trial(_ settings: Configuration.Threats, at wall: WallTime) -> JSONValue {
        message("test", .object([]), settings, at: wall)
    }

    private static func message(
        _ type: String, _ data: JSONValue, _ settings: Configuration.Threats, at wall: WallTime
    ) -> JSONValue {
        [
            "type": .string(type), "timestamp": .string(wall.text), "service": "gateway",
            "version": .string(GatewayVersion.text), "host": .string(host),
            "window_seconds": .integer(Int(settings.window.seconds)), "data": data,
        ]
    }

    private static func thresholds(_ settings: Configuration.Threats) -> JSONValue {
        [
            "account_failures": .integer(settings.accountFailures), "networks": .integer(settings.networks),
            "spraying_accounts": .integer(settings.sprayingAccounts),
            "stuffing_accounts": .integer(settings.stuffingAccounts),
            "failure_ratio": .integer(settings.failureRatio),
            "failures_before_success": .integer(settings.failuresBeforeSuccess),
        ]
    }

    private static func logins(_ totals: ThreatTotals) -> JSONValue {
        [
            "failures": .integer(totals.failures), "successes": .integer(totals.successes),
            "failed_accounts": .integer(totals.failedAccounts),
            "succeeded_accounts": .integer(totals.succeededAccounts), "failed_networks": .integer(totals.networks),
        ]
    }

    private static func webhook(_ desk: ThreatDesk, _ metrics: ThreatMetrics) -> JSONValue {
        func count(_ result: WebhookResult) -> JSONValue { .integer(metrics.messages[result] ?? 0) }
        return [
            "url": JSONValue(desk.settings.webhook?.url.origin),
            "signed": .boolean(desk.settings.webhook?.secret != nil), "waiting": .integer(desk.courier.waiting),
            "sent": count(.sent), "failed": count(.failed), "dropped": count(.dropped),
            "problem": JSONValue(desk.courier.problem),
        ]
    }

    /// `/security/threats/metrics`.
    static func all(_ gateway: Gateway, at wall: WallTime) -> JSONValue {
        let desk = gateway.desk.threats
        let counts = desk.book.activeCounts
        return [
            "timestamp": .string(wall.text), "service": "gateway", "scope": "process", "host": .string(host),
            "enabled": .boolean(desk.settings.isEnabled),
            "accounts": desk.knowsAccounts ? "hashed" : "unknown",
            "window_seconds": .integer(Int(desk.settings.window.seconds)), "thresholds": thresholds(desk.settings),
            "logins": logins(desk.totals),
            "patterns": .array(
                ThreatPattern.allCases.map { pattern in
                    [
                        "pattern": .string(pattern.rawValue), "active": .integer(counts[pattern] ?? 0),
                        "total": .integer(desk.book.begun[pattern] ?? 0),
                    ]
                }),
            "active": .array(desk.book.active.map(threat)), "recent": .array(desk.book.recent.map(threat)),
            "unlisted": .integer(desk.book.unlisted.values.reduce(0, +)),
            "rate_limiting": rateLimiting(gateway, at: wall),
            "webhook": webhook(desk, gateway.metrics.threats),
        ]
    }

    /// What the runbook reads when logins fail in numbers.
    private static func rateLimiting(_ gateway: Gateway, at wall: WallTime) -> JSONValue {
        let refused = gateway.registry.rateLimitedRequests(RateRule.Kind.allCases.map(\.rawValue))
        return [
            "refused_total": .integer(refused.reduce(0) { $0 + $1.count }),
            "refused": .array(refused.map { ["limit": .string($0.limit), "count": .integer($0.count)] }),
            "limits": AdminReports.rateLimits(
                gateway.configuration, gateway.rateLimits.overrides, now: .now(), wall: wall),
            "evictions_total": .integer(gateway.rateLimits.tables?.evictions ?? 0),
            "blocked_addresses": .integer(gateway.ledger.blockCount),
            "locked_accounts": .integer(gateway.ledger.lockCount),
        ]
    }
}
