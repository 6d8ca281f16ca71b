internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport

/// Where blocks and counters live: Redis when one is configured, else in this process.
func makeLedger(
    _ configuration: Configuration, on loop: EventLoop, sink: any LedgerSink, resolver: Resolver
) throws(LedgerError) -> any Ledger {
    let rule = LoginRule(configuration)
    guard let redis = configuration.redis else {
        return try EmbeddedLedger(rule: rule, stateDirectory: configuration.stateDirectory, on: loop, sink: sink)
    }
    return try RedisLedger(
        rule: rule, redis: redis, stateDirectory: configuration.stateDirectory, on: loop,
        resolver: ResolverPort(resolver, on: loop), sink: sink)
}

extension LogTargets {
    /// Operational lines go to standard output, where a supervisor collects them.
    init(_ logs: Configuration.Logs) {
        self.init(access: LogTarget(logs.access), audit: LogTarget(logs.audit), operational: .standardOutput)
    }
}

extension LogTarget {
    init(_ target: Configuration.Logs.Target) {
        switch target {
        case .off: self = .off
        case .standardOutput: self = .standardOutput
        case .file(let path): self = .file(path: path)
        }
    }
}

extension LogLevel {
    init(_ level: Configuration.Logs.Level) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}

extension LedgerCondition {
    init(_ state: LedgerState) {
        switch state {
        case .embedded: self = .embedded
        case .connected: self = .connected
        case .degraded: self = .degraded
        }
    }
}

extension Configuration {
    /// Settings that differ and that a reload cannot bring into force.
    func settingsThatNeedRestart(since old: Configuration) -> [String] {
        var names: [String] = []
        if listeners != old.listeners { names.append("listen") }
        if workers != old.workers { names.append("workers") }
        if stateDirectory != old.stateDirectory { names.append("state_dir") }
        if admin.listen != old.admin.listen || admin.socketPath != old.admin.socketPath { names.append("admin") }
        if redis?.location != old.redis?.location || redis?.database != old.redis?.database { names.append("redis") }
        if metrics.prefix != old.metrics.prefix { names.append("metrics.prefix") }
        return names
    }
}
