extension Assembly {
    func upstream(_ name: String) -> Configuration.Upstream {
        let path = "upstreams.\(name)"
        var upstream = Configuration.Upstream(
            name: name, servers: servers("\(path).servers"), keepAlive: integer("\(path).keep_alive"),
            idleTimeout: interval("\(path).idle_timeout"))
        upstream.tls = upstreamTLS("\(path).tls")
        upstream.proxyProtocol = .init(rawValue: text("\(path).proxy_protocol")) ?? .none
        upstream.balance = .init(rawValue: text("\(path).balance")) ?? .roundRobin
        upstream.hash.source = .init(rawValue: text("\(path).hash_on")) ?? .client
        upstream.hash.name = settings.text("\(path).hash_name")
        upstream.assertionAudience = settings.text("\(path).assertion_audience")
        upstream.retries = integer("\(path).retries")
        upstream.failureStatuses = integers("\(path).failure_statuses")
        upstream.slowStart = interval("\(path).slow_start")
        upstream.ejection.failures = integer("\(path).ejection.failures")
        upstream.ejection.time = interval("\(path).ejection.time")
        upstream.ejection.maximumTime = interval("\(path).ejection.max_time")
        upstream.ejection.maximumShare = integer("\(path).ejection.max_share")
        upstream.circuitBreaker.failures = integer("\(path).circuit_breaker.failures")
        upstream.circuitBreaker.openTime = interval("\(path).circuit_breaker.open_time")
        upstream.circuitBreaker.probes = integer("\(path).circuit_breaker.probes")
        upstream.healthCheck = healthCheck("\(path).health_check")
        return upstream
    }

    private func healthCheck(_ path: String) -> Configuration.Upstream.HealthCheck {
        var check = Configuration.Upstream.HealthCheck()
        check.path = settings.text("\(path).path")
        check.host = settings.text("\(path).host")
        check.interval = interval("\(path).interval")
        check.timeout = interval("\(path).timeout")
        check.healthyAfter = integer("\(path).healthy_after")
        check.unhealthyAfter = integer("\(path).unhealthy_after")
        check.statuses = integers("\(path).statuses")
        return check
    }

    private func integers(_ path: String) -> [Int] {
        settings.items(path).compactMap { if case .integer(let number) = $0.value { number } else { nil } }
    }
}
