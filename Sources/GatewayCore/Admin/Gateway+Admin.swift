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
            blockCount: ledger.blockCount, configuration: configuration, configurationPath: configurationPath,
            generation: generation.number, loadedAt: loadedAt, uptime: Instant.now() - startedAt,
            openConnections: openConnections, room: generation.room, buffered: shared.bufferedBytes,
            pressure: pressure.all, listeners: boundListeners + boundSecureListeners.map { "\($0) (TLS)" },
            adminAddress: admin?.address,
            upstreams: (upstreams?.upstreams ?? []).map { UpstreamState($0, at: .now()) },
            logLevel: log.level.word, process: Int(getpid()))
    }
}

extension LogLevel {
    /// As gateway.conf spells it.
    fileprivate var word: String {
        switch self {
        case .debug: Configuration.Logs.Level.debug.rawValue
        case .info: Configuration.Logs.Level.info.rawValue
        case .warning: Configuration.Logs.Level.warning.rawValue
        case .error: Configuration.Logs.Level.error.rawValue
        }
    }
}
