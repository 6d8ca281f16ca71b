private import Wire

extension SettingRows {
    static let upstreams: [SettingRow] = [
        SettingRow(
            "upstreams.*.servers", .list(.server), .required,
            example: "[\"api.internal:9000\", \"unix:/run/api.sock\"]",
            "Servers of this backend; the path of a socket has at most 107 bytes."),
        SettingRow(
            "upstreams.*.keep_alive", .integer(0...10_000), .value("64"), example: "8",
            "Idle connections that each worker keeps; 0 closes every connection after its request."),
        SettingRow(
            "upstreams.*.idle_timeout", .duration(.milliseconds(100)...(.seconds(3_600))), .value("30s"),
            example: "10s",
            "How long a kept connection may stay unused; choose less than the backend does."),
        SettingRow(
            "upstreams.*.balance", .choice(Configuration.Upstream.Balance.allCases.map(\.rawValue)),
            .value("round_robin"), example: "least_connections",
            "Servers in turn; the one with the fewest requests; or the same one for the same `hash_on`."),
        SettingRow(
            "upstreams.*.hash_on", .choice(Configuration.Upstream.HashKey.Source.allCases.map(\.rawValue)),
            .value("client"), example: "subject",
            "What `consistent_hash` goes by: the client's address, a header, a cookie, or the subject of the verified "
                + "token; the address where a request has none."),
        SettingRow(
            "upstreams.*.hash_name", .word(.token), .absent("no name"), example: "X-Tenant",
            "Name of the header or cookie for `hash_on`."),
        SettingRow(
            "upstreams.*.assertion_audience", .text, .absent("`assertion.audience`"), example: "orders-api",
            "Audience (`aud`) of the assertions for this backend: with one of its own it cannot use them anywhere else."
        ),
        SettingRow(
            "upstreams.*.retries", .integer(0...5), .value("1"), example: "2",
            "Times that a request is tried again, where that does no harm."),
        SettingRow(
            "upstreams.*.failure_statuses", .list(.integer(500...599)), .items([]), example: "[502, 503]",
            "Answers that count as failures of the server, for `ejection` and `circuit_breaker`."),
        SettingRow(
            "upstreams.*.slow_start", .duration(.zero...(.seconds(3_600))), .value("10s"), example: "1m",
            "How long a server that comes back takes less than its share."),
        SettingRow(
            "upstreams.*.ejection.failures", .integer(0...1_000), .value("5"), example: "3",
            "Failures in a row by which a server is ejected; 0: never."),
        SettingRow(
            "upstreams.*.ejection.time", .duration(.milliseconds(100)...(.seconds(3_600))), .value("10s"),
            example: "30s", "How long it is ejected for; twice as long when it fails again soon."),
        SettingRow(
            "upstreams.*.ejection.max_time", .duration(.milliseconds(100)...(.seconds(86_400))), .value("5m"),
            example: "10m", "The longest that it is ejected for."),
        SettingRow(
            "upstreams.*.ejection.max_share", .integer(0...100), .value("50"), example: "30",
            "Percent of the servers that may be ejected at once, but at least one, and never the last one."),
        SettingRow(
            "upstreams.*.circuit_breaker.failures", .integer(0...1_000), .value("5"), example: "20",
            "Failures in a row, of all servers together, that open the circuit; 0: never."),
        SettingRow(
            "upstreams.*.circuit_breaker.open_time", .duration(.milliseconds(100)...(.seconds(3_600))), .value("60s"),
            example: "10s", "How long an open circuit lets nothing through."),
        SettingRow(
            "upstreams.*.circuit_breaker.probes", .integer(1...100), .value("3"), example: "1",
            "Requests that are then let through, and must succeed to close it."),
        SettingRow(
            "upstreams.*.health_check.path", .target, .absent("servers are not asked"), example: "/healthz",
            "Path, and query, that each server is asked for."),
        SettingRow(
            "upstreams.*.health_check.host", .word(.label), .absent("the server's address"), example: "api.internal",
            "Host that is named in the question."),
        SettingRow(
            "upstreams.*.health_check.interval", .duration(.milliseconds(100)...(.seconds(3_600))), .value("2s"),
            example: "10s", "Time between two checks of a server, a tenth more or less."),
        SettingRow(
            "upstreams.*.health_check.timeout", .duration(.milliseconds(10)...(.seconds(60))), .value("1s"),
            example: "500ms", "How long an answer may take."),
        SettingRow(
            "upstreams.*.health_check.healthy_after", .integer(1...100), .value("1"), example: "2",
            "Checks in a row that must succeed to bring a server back."),
        SettingRow(
            "upstreams.*.health_check.unhealthy_after", .integer(1...100), .value("3"), example: "2",
            "Checks in a row that must fail to take a server out."),
        SettingRow(
            "upstreams.*.health_check.statuses", .list(.integer(200...599)), .items([]), example: "[200, 204]",
            "Statuses of a healthy server; none named: every 2xx."),
    ]
}
