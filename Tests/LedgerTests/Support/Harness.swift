import Glibc
import Policy
import Settings
import Testing
import Transport
import Wire

@testable import Ledger

/// A loop that is turned until something is true, and a sink that remembers.
final class Harness: LedgerSink {
    let loop = EventLoop()
    private(set) var deltas: [BlockDelta] = []
    private(set) var events: [LedgerEvent] = []
    /// What a worker would know.
    private(set) var table = BlockTable(seed: 1)
    private(set) var revocations: [RevocationDelta] = []
    private(set) var shared: [SharedName: SharedText] = [:]
    var sharedKeys: [String: String] { texts(.key) }
    private(set) var revoked = RevocationTable()
    /// What happens in the moment of an event.
    var onEvent: ((LedgerEvent) -> Void)?
    /// Keeps the loop from sleeping past the condition.
    private var ticker: LoopTimer?

    init() {
        ticker = LoopTimer(on: loop) {}
        ticker?.fire(every: .milliseconds(1))
    }

    func ledger(changed delta: BlockDelta) {
        deltas.append(delta)
        table.apply(delta, at: .now())
    }

    func ledger(shared: [SharedName: SharedText]) { self.shared = shared }

    /// By name.
    func texts(_ kind: SharedName.Kind) -> [String: String] {
        Dictionary(uniqueKeysWithValues: shared.filter { $0.key.kind == kind }.map { ($0.key.id, $0.value.text) })
    }

    func ledger(revoked delta: RevocationDelta) {
        revocations.append(delta)
        revoked.apply(delta)
    }

    func ledger(noted event: LedgerEvent) {
        events.append(event)
        onEvent?(event)
    }

    func forgetEvents() { events = [] }

    func isBlocked(_ address: String) -> Bool { table.match(IPAddress(address)!, at: .now()) != nil }

    /// Turns the loop until `condition` holds; false when it does not within the limit.
    @discardableResult
    func wait(_ limit: Interval = .seconds(30), until condition: () -> Bool) -> Bool {
        let end = Instant.now() + limit
        while !condition() {
            if Instant.now() > end { return false }
            loop.turn()
        }
        return true
    }

    /// Reports one failure and waits for the outcome.
    func fail(
        _ ledger: any Ledger, _ address: String, id: FailureID = .random(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> FailureOutcome {
        var outcome: FailureOutcome?
        let address = IPAddress(address)!
        let failure = LoginFailure(id: id, address: address, key: fiveFailures.key(of: address, nil))
        ledger.recordFailure(failure, now: .now()) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome, sourceLocation: sourceLocation)
    }

    func unblock(_ ledger: any Ledger, _ target: UnblockTarget) throws -> UnblockOutcome {
        var outcome: UnblockOutcome?
        ledger.unblock(target, actor: "alice") { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }

    func block(_ ledger: any Ledger, _ network: String, for duration: Interval?) throws -> BlockOutcome {
        var outcome: BlockOutcome?
        ledger.block(IPNetwork(network)!, for: duration, reason: "abuse", actor: "alice") { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }

    func stop(_ ledger: any Ledger) {
        var isStopped = false
        ledger.stop { isStopped = true }
        #expect(wait { isStopped })
    }
}

/// A directory that is gone with its owner.
final class TemporaryDirectory {
    let path: String

    init() {
        var template = Array("/tmp/gateway-test-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit { removeTree(path) }

    private func removeTree(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { removeTree("\(path)/\(name)") }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

func contents(of path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return all }
        all += buffer[..<count]
    }
}

func write(_ bytes: [UInt8], to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    #expect(write(descriptor, bytes, bytes.count) == bytes.count)
}

let fiveFailures = LoginRule(limit: 5, window: .seconds(86_400), block: .seconds(300), exempt: [])

extension EmbeddedLedger {
    /// With the plain rule alone.
    convenience init(
        rule: LoginRule, stateDirectory: String, on loop: EventLoop, sink: any LedgerSink,
        clock: LedgerClock = .system
    ) throws(LedgerError) {
        try self.init(rules: LoginRules(rule), stateDirectory: stateDirectory, on: loop, sink: sink, clock: clock)
    }
}

extension RedisLedger {
    /// With the plain rule alone.
    convenience init(
        rule: LoginRule, redis: Configuration.Redis, stateDirectory: String, on loop: EventLoop,
        resolver: ResolverPort, keys: RedisKeys? = nil, sink: any LedgerSink, clock: LedgerClock = .system
    ) throws(LedgerError) {
        try self.init(
            rules: LoginRules(rule), redis: redis, stateDirectory: stateDirectory, on: loop, resolver: resolver,
            keys: keys, sink: sink, clock: clock)
    }
}
