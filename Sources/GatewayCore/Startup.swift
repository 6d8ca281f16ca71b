internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Where blocks and counters live: Redis when one is configured, else in this process.
func makeLedger(
    _ configuration: Configuration, on loop: EventLoop, sink: any LedgerSink, resolver: Resolver
) throws(LedgerError) -> any Ledger {
    let rules = LoginRules(configuration)
    guard let redis = configuration.redis else {
        return try EmbeddedLedger(rules: rules, stateDirectory: configuration.stateDirectory, on: loop, sink: sink)
    }
    return try RedisLedger(
        rules: rules, redis: redis, stateDirectory: configuration.stateDirectory, on: loop,
        resolver: ResolverPort(resolver, on: loop), keys: RedisKeys(redis), sink: sink)
}

extension RedisKeys {
    /// Small files, read when a connection is made: no more than twice a second while Redis is away.
    init(_ redis: Configuration.Redis, files: FileAccess = .whileServing) {
        self.init(
            security: { () throws(LedgerError) -> TLSClientContext? in
                guard let tls = redis.tls else { return nil }
                var warnings: [CertificateLoader.Finding] = []
                do throws(CertificateLoader.Finding) {
                    return try UpstreamTLSLoader.context(tls, files, &warnings, speaksHTTP: false)
                } catch {
                    throw LedgerError("\(error.setting): \(error.text)")
                }
            },
            password: {
                guard let path = redis.passwordPath, case .success(let file) = files.read(path) else { return nil }
                var bytes = file.bytes
                while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") {
                    bytes.removeLast()
                }
                return bytes.isEmpty ? nil : Secret(bytes)
            })
    }
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
    /// The gateway's own addresses are never blocked: a health check or a proxy on this host would go with them. Loopback
    /// is not among them (docs/configuration.md, `never_block`).
    func sparingThisHost() -> Configuration {
        var configuration = self
        configuration.neverBlock += LocalAddresses.all().map { IPNetwork($0) }
        return configuration
    }
}
