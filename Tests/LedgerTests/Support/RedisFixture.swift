import Policy
import Testing
import Transport
import Wire

@testable import Ledger
@testable import Settings

/// A Redis of its own, a ledger on it, and a sink.
final class RedisFixture {
    let directory = TemporaryDirectory()
    let harness = Harness()
    let server: RedisServer
    let resolver = Resolver()
    private let deadline: Interval
    /// State directories of other replicas.
    private var places: [TemporaryDirectory] = []

    /// - Parameter deadline: How long Redis may take over a command. By default longer than any machine is busy, so that
    ///   what a test says of the answers does not depend on how soon they come; short where Redis is taken away.
    init(isStarted: Bool = true, options: [String] = [], deadline: Interval = .seconds(20)) throws {
        server = try RedisServer(isStarted: isStarted, options: options)
        self.deadline = deadline
    }

    deinit { resolver.stop() }

    func open(
        _ rule: LoginRule = fiveFailures, location: Configuration.ServerLocation? = nil, username: String? = nil,
        password: String? = nil, database: Int = 0, startupWait: Interval = .seconds(5),
        stateDirectory: String? = nil, outputLimit: Int = 64 << 20
    ) throws -> RedisLedger {
        let redis = Configuration.Redis(
            location: location ?? .unix(path: server.socket), username: username,
            password: password.map { Secret($0) }, database: database, deadline: deadline,
            startupWait: startupWait)
        let ledger = try RedisLedger(
            rule: rule, redis: redis, stateDirectory: stateDirectory ?? directory.path, on: harness.loop,
            resolver: ResolverPort(resolver, on: harness.loop), sink: harness)
        ledger.outputLimit = outputLimit
        ledger.start()
        return ledger
    }

    func openConnected(_ rule: LoginRule = fiveFailures) throws -> RedisLedger {
        let ledger = try open(rule)
        try #require(harness.wait { ledger.state == .connected })
        return ledger
    }

    /// Another replica at the same Redis, in step with it, with a sink, a loop and a state directory of its own.
    func openReplica(of first: RedisLedger, for other: Harness) throws -> RedisLedger {
        try openReplica(first.configuration, for: other)
    }

    /// The same with another configuration.
    func openReplica(_ redis: Configuration.Redis, for other: Harness) throws -> RedisLedger {
        places.append(TemporaryDirectory())
        let ledger = try RedisLedger(
            rule: fiveFailures, redis: redis, stateDirectory: places.last!.path, on: other.loop,
            resolver: ResolverPort(resolver, on: other.loop), sink: other)
        ledger.start()
        try #require(other.wait { ledger.state == .connected })
        return ledger
    }

    func redis(_ arguments: String...) throws -> String { try server.command(arguments) }

    func sees(_ event: (LedgerEvent) -> Bool) -> Bool { harness.wait { harness.events.contains(where: event) } }
}
