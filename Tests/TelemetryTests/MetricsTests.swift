import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The metrics` {
    private let reasons = ["invalid_token", "token_expired", "bad_credentials"]

    private func catalog(routes: [String] = ["api", "login"], upstreams: [String] = ["backend"]) -> MetricCatalog {
        MetricCatalog(
            routes: routes, upstreams: upstreams, reasons: reasons, stages: ["screen", "authenticate"],
            codes: ["AUTH_001", "AUTH_004"])
    }

    private func registry(prefix: String = "gateway") -> MetricsRegistry {
        MetricsRegistry(prefix: prefix, version: "0.1.0", startedAt: noon)
    }

    private func samples(_ registry: MetricsRegistry, _ control: ControlMetrics? = nil) -> Set<String> {
        let control = control ?? ControlMetrics(ledger: .embedded)
        let text = String(
            decoding: registry.exposition(control, logs: nil, at: noon + .seconds(90)), as: UTF8.self)
        return Set(text.split(separator: "\n").map(String.init))
    }

    @Test func `add up what all workers counted`() {
        let registry = registry()
        let catalog = catalog()
        let shards = [registry.makeShard(catalog), registry.makeShard(catalog)]
        for shard in shards {
            shard.countRequest(route: 0, method: .get, status: 200, duration: .milliseconds(7))
            shard.countAuthFailure(reason: 1)
            shard.countAuthSuccess(.token)
            shard.countRefusal(stage: 0, code: 1)
            shard.connectionOpened()
            shard.upstreamConnected(0)
        }
        shards[0].countRequest(route: nil, method: .other, status: 404, duration: .zero)
        shards[0].countRequest(route: 1, method: .post, status: 401, duration: .seconds(3))
        shards[0].countAuthSuccess(.login)
        shards[0].countLoginFailure()
        shards[0].countExpiredToken(.refused, .longer)
        shards[0].countExpiredToken(.inGrace, .underMinute)
        shards[1].connectionClosed()
        shards[1].upstreamDisconnected(0)
        shards[1].upstreamConnectFailed(0)
        shards[1].upstreamFailed(0)
        shards[1].upstreamRetried(0)
        let expected: Set = [
            #"gateway_http_requests_total{route="api",method="GET",code="200"} 2"#,
            #"gateway_http_requests_total{route="none",method="other",code="404"} 1"#,
            #"gateway_http_requests_total{route="login",method="POST",code="401"} 1"#,
            #"gateway_auth_failures_total{failure_reason="token_expired"} 2"#,
            #"gateway_auth_failures_total{failure_reason="invalid_token"} 0"#,
            #"gateway_auth_success_total{kind="token"} 2"#,
            #"gateway_auth_success_total{kind="login"} 1"#,
            #"gateway_expired_tokens_total{result="refused",age="longer"} 1"#,
            #"gateway_expired_tokens_total{result="in_grace",age="under_minute"} 1"#,
            #"gateway_expired_tokens_total{result="refused",age="under_lifetime"} 0"#,
            "gateway_logins_without_account_total 0",
            "gateway_login_failures_total 1",
            #"gateway_requests_refused_total{stage="screen",code="AUTH_004"} 2"#,
            "gateway_client_connections 1",
            "gateway_client_connections_accepted_total 2",
            #"gateway_upstream_connects_total{upstream="backend"} 2"#,
            #"gateway_upstream_connections{upstream="backend"} 1"#,
            #"gateway_upstream_connect_failures_total{upstream="backend"} 1"#,
            #"gateway_upstream_failures_total{upstream="backend"} 1"#,
            #"gateway_upstream_retries_total{upstream="backend"} 1"#,
        ]
        #expect(expected.subtracting(samples(registry)) == [])
        withExtendedLifetime(shards) {}
    }

    @Test func `count requests by the feed that names their client, known or not`() {
        let registry = registry()
        let catalog = MetricCatalog(
            routes: [], upstreams: [], reasons: reasons, stages: ["screen"], codes: ["AUTH_004"],
            feeds: ["drop", "new"])
        let shard = registry.makeShard(catalog)
        shard.countFeedRequest("drop", .refused)
        shard.countFeedRequest("new", .observed)
        shard.countFeedRequest("new", .observed)
        shard.countFeedRequest("gone", .refused)
        let expected: Set = [
            #"gateway_feed_requests_total{feed="drop",result="refused"} 1"#,
            #"gateway_feed_requests_total{feed="drop",result="observed"} 0"#,
            #"gateway_feed_requests_total{feed="new",result="observed"} 2"#,
            #"gateway_feed_requests_total{feed="new",result="refused"} 0"#,
        ]
        #expect(Set(samples(registry).filter { $0.hasPrefix("gateway_feed_requests_total{") }) == expected)
    }

    @Test func `give durations as a histogram whose buckets add up`() {
        let registry = registry()
        let shard = registry.makeShard(catalog())
        for nanoseconds in [5_000_000, 5_000_001, 30_000_000, 11_000_000_000] as [Int64] {
            shard.countRequest(
                route: 0, method: .get, status: 200, duration: Interval(nanoseconds: nanoseconds))
        }
        let expected: Set = [
            #"gateway_http_request_duration_seconds_bucket{route="api",le="0.005"} 1"#,
            #"gateway_http_request_duration_seconds_bucket{route="api",le="0.01"} 2"#,
            #"gateway_http_request_duration_seconds_bucket{route="api",le="0.025"} 2"#,
            #"gateway_http_request_duration_seconds_bucket{route="api",le="0.05"} 3"#,
            #"gateway_http_request_duration_seconds_bucket{route="api",le="10"} 3"#,
            #"gateway_http_request_duration_seconds_bucket{route="api",le="+Inf"} 4"#,
            #"gateway_http_request_duration_seconds_sum{route="api"} 11.040000001"#,
            #"gateway_http_request_duration_seconds_count{route="api"} 4"#,
        ]
        #expect(expected.subtracting(samples(registry)) == [])
        withExtendedLifetime(shard) {}
    }

    @Test func `never go back over a reload, and follow a route by its name`() {
        let registry = registry()
        var old: MetricShard? = registry.makeShard(catalog(routes: ["api", "gone"]))
        old?.countRequest(route: 0, method: .get, status: 200, duration: .zero)
        old?.countRequest(route: 1, method: .get, status: 200, duration: .zero)
        old?.connectionOpened()
        let new = registry.makeShard(catalog(routes: ["added", "api"]))
        new.countRequest(route: 1, method: .get, status: 200, duration: .zero)
        // An exchange that began before the reload ends after it.
        old?.countRequest(route: 0, method: .get, status: 200, duration: .zero)
        new.connectionClosed()
        let expected: Set = [
            #"gateway_http_requests_total{route="api",method="GET",code="200"} 3"#,
            #"gateway_http_requests_total{route="gone",method="GET",code="200"} 1"#,
            #"gateway_http_request_duration_seconds_count{route="api"} 3"#,
            "gateway_client_connections 0",
            "gateway_client_connections_accepted_total 1",
        ]
        #expect(expected.subtracting(samples(registry)) == [])
        old = nil
        #expect(expected.subtracting(samples(registry)) == [])
        new.countRequest(route: 1, method: .get, status: 200, duration: .zero)
        #expect(samples(registry).contains(#"gateway_http_requests_total{route="api",method="GET",code="200"} 4"#))
    }

    @Test func `let go of a shard that nobody else holds`() {
        let registry = registry()
        weak var watched: MetricShard?
        do {
            let shard = registry.makeShard(catalog())
            watched = shard
            #expect(watched != nil)
        }
        _ = samples(registry)
        #expect(watched == nil)
    }

    @Test(arguments: [
        ("GET", MethodLabel.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("PATCH", .patch),
        ("DELETE", .delete), ("OPTIONS", .options), ("CONNECT", .connect), ("TRACE", .trace), ("get", .other),
        ("GETS", .other), ("XYZ", .other), ("", .other), ("PROPFIND", .other),
    ])
    func `know a closed list of methods`(method: String, label: MethodLabel) {
        #expect(MethodLabel(method.utf8Span.span) == label)
    }

    @Test func `number methods as their list does`() {
        #expect(MethodLabel.allCases.map(\.index) == Array(0..<10))
        #expect(MethodLabel.allCases.count == MethodLabel.count)
    }

    @Test(arguments: [
        (200, "200"), (451, "451"), (418, "4xx"), (499, "4xx"), (299, "2xx"), (599, "5xx"), (0, "none"),
        (600, "none"), (-1, "none"), (99, "none"),
    ])
    func `know a closed list of statuses`(status: Int, label: String) {
        let registry = registry()
        let shard = registry.makeShard(catalog())
        shard.countRequest(route: 0, method: .get, status: status, duration: .zero)
        let expected = "gateway_http_requests_total{route=\"api\",method=\"GET\",code=\"\(label)\"} 1"
        #expect(samples(registry).contains(expected))
        withExtendedLifetime(shard) {}
    }

    @Test func `take no more cells than the lists allow, whatever clients send`() {
        // (2 routes + none) x 10 methods x 66 statuses, and so on; no client adds one.
        #expect(StatusLabel.values.count == 66)
        #expect(
            catalog().count == 3 * 10 * 66 + 3 * 16 + 3 + 6 + 2 + 1 + 3 + 1 + 1 + 4 + 1 + 1 + 1 + 6 + 1 + 11 + 5 + 5
                + 4)
    }

    @Test func `escape the names that an operator may choose`() {
        let registry = registry(prefix: "my_gateway")
        let shard = registry.makeShard(catalog(routes: ["a\"b\\c\nd", "login"]))
        shard.countRequest(route: 0, method: .get, status: 200, duration: .zero)
        let expected = #"my_gateway_http_requests_total{route="a\"b\\c\nd",method="GET",code="200"} 1"#
        #expect(samples(registry).contains(expected))
        #expect(samples(registry).contains(#"my_gateway_http_request_duration_seconds_count{route="a\"b\\c\nd"} 1"#))
        withExtendedLifetime(shard) {}
    }

    @Test func `tell of Redis what is known`() {
        let control = ControlMetrics(ledger: .connected)
        control.redis.commands = 7
        let unknown = samples(registry(), control).filter { $0.hasPrefix("gateway_redis_") }
        #expect(unknown == ["gateway_redis_commands_total 7", "gateway_redis_command_errors_total 0"])
        control.redis.keys = 3
        control.redis.roundTrip = Interval(nanoseconds: 1_250_000)
        let known = samples(registry(), control)
        #expect(known.contains("gateway_redis_keys 3") && known.contains("gateway_redis_round_trip_seconds 0.001250"))
        control.redis.nodes = [.init(name: "10.0.0.1:7000", isThere: true), .init(name: "[::1]:7000", isThere: false)]
        let cluster = samples(registry(), control)
        #expect(cluster.contains(#"gateway_redis_node_up{node="10.0.0.1:7000"} 1"#))
        #expect(cluster.contains(#"gateway_redis_node_up{node="[::1]:7000"} 0"#))
    }

    @Test func `tell what the control thread counts`() {
        let control = ControlMetrics(ledger: .connected)
        control.blocksInForce = 2
        control.replayQueue = 3
        control.blockSet(.loginFailures)
        control.blockLifted(.operator)
        control.reloaded(successfully: true)
        control.reloaded(successfully: false)
        control.reloaded(successfully: false)
        control.ledgerAnswered(after: Interval(nanoseconds: 300_000))
        control.ledgerFailed()
        let expected: Set = [
            "gateway_blocks 2",
            #"gateway_blocks_set_total{cause="failed_logins"} 1"#,
            #"gateway_blocks_set_total{cause="external"} 0"#,
            #"gateway_blocks_lifted_total{cause="operator"} 1"#,
            #"gateway_ledger_state{state="connected"} 1"#,
            #"gateway_ledger_state{state="degraded"} 0"#,
            #"gateway_ledger_request_duration_seconds_bucket{le="0.00025"} 0"#,
            #"gateway_ledger_request_duration_seconds_bucket{le="0.0005"} 1"#,
            "gateway_ledger_request_duration_seconds_sum 0.000300000",
            "gateway_ledger_request_duration_seconds_count 1",
            "gateway_ledger_errors_total 1",
            "gateway_ledger_replay_queue 3",
            #"gateway_config_reloads_total{result="ok"} 1"#,
            #"gateway_config_reloads_total{result="failed"} 2"#,
            #"gateway_build_info{version="0.1.0"} 1"#,
            "gateway_process_start_time_seconds 1795262400.123",
            "gateway_uptime_seconds 90.000",
        ]
        #expect(expected.subtracting(samples(registry(), control)) == [])
    }

    @Test func `tell memory and descriptors of the process`() throws {
        let facts = ProcessFacts.now()
        #expect(try #require(facts.residentBytes) > 1 << 20)
        let before = try #require(facts.openDescriptors)
        #expect(before >= 3)
    }

    @Test(.enabled(if: isInstalled("promtool"), "promtool is not installed"))
    func `are accepted by promtool without a complaint`() throws {
        let registry = registry()
        let shard = registry.makeShard(catalog(routes: ["a\"b\\c\nd", "login"]))
        shard.countRequest(route: 0, method: .get, status: 200, duration: .milliseconds(7))
        shard.countRefusal(stage: 0, code: 1)
        let logs = LogStatistics(dropped: [1, 0, 0], writeErrors: [0, 2, 0], spilled: 3)
        let text = registry.exposition(ControlMetrics(ledger: .embedded), logs: logs, at: noon)
        let workshop = Workshop()
        try Data(text).write(to: URL(fileURLWithPath: workshop.file("metrics.txt")))
        let result = try workshop.shell("promtool check metrics < metrics.txt")
        #expect(result.output == "")
        #expect(result.status == 0)
        withExtendedLifetime(shard) {}
    }
}
