internal import Glibc
internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

extension Gateway {
    /// What the reports of the admin server are made of.
    var snapshot: GatewaySnapshot {
        GatewaySnapshot(
            health: health, isServing: isServing, isDraining: isDraining, ledger: ledger.state, totals: ledger.totals,
            store: ledger.store, blockCount: ledger.blockCount, revocationCount: ledger.revocationCount,
            lockdowns: Array(lockdowns.records.values), allowances: Array(allowances.records.values),
            sharedAddresses: desk.sharedAddresses.networks.map(\.description).sorted(),
            brokenGlass: Array(breakGlass.records.values),
            rateOverrides: rateLimits.inForce,
            configuration: configuration,
            configurationPath: configurationPath,
            generation: generation.number, loadedAt: loadedAt, restartNeeded: restartNeeded,
            uptime: Instant.now() - startedAt,
            openConnections: openConnections, room: generation.room, buffered: shared.bufferedBytes,
            pressure: pressure.all,
            alarms: [trafficAlarm.report(at: .now(), under: configuration)].compactMap(\.self),
            listeners: boundListeners + boundSecureListeners.map { "\($0) (TLS)" }
                + boundCheckListeners.map { "\($0) (forward-auth)" },
            adminAddress: admin?.address,
            upstreams: (upstreams?.upstreams ?? []).map { UpstreamState($0, at: .now()) },
            keySources: keys.states,
            logLevel: log.level.word, logLevels: logLevels.inForce, process: Int(getpid()))
    }

    /// Everything counted so far, as Prometheus reads it.
    func exposition() -> [UInt8] {
        metrics.blocksInForce = ledger.blockCount
        metrics.accountLocks = ledger.lockCount
        metrics.revocationsInForce = ledger.revocationCount
        metrics.lockdowns = lockdowns.effective
        metrics.allowances = allowances.networks.count
        metrics.brokenGlass = breakGlass.records.count
        metrics.rateOverrides = rateLimits.overrides.count
        metrics.rateEvictions = rateLimits.tables?.evictions ?? 0
        metrics.connectionLimit = generation.room.connections
        metrics.buffered = shared.bufferedBytes
        metrics.bufferLimit = generation.room.memory
        desk.threats.measure()
        if let store = ledger.store { metrics.redis.adopt(store) }
        metrics.oneAddress = trafficAlarm.finding(at: .now(), under: configuration) == nil ? 0 : 1
        return registry.exposition(metrics, logs: logs.statistics, at: .now())
    }

    /// What the workers count under the configuration in force.
    func makeCatalog() -> MetricCatalog {
        MetricCatalog(
            routes: configuration.routes.map(\.name), upstreams: configuration.upstreams.map(\.name),
            reasons: Reason.allCases.map(\.rawValue), stages: Stage.allCases.map(\.rawValue),
            codes: ErrorCode.allCases.map(\.rawValue), handshakes: HandshakeResult.labels,
            letGo: LetGo.allCases.map(\.rawValue), limits: RateRule.Kind.allCases.map(\.rawValue),
            feeds: configuration.feeds.map(\.name))
    }
}
