import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore

@Suite struct `The desk of log levels` {
    private let loop = EventLoop()
    private let log: OperationalLog
    private let desk: LogLevelDesk
    private let now = Instant(nanoseconds: 50_000_000_000)
    private let wall = WallTime(seconds: 1_795_262_400)

    init() throws {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        log = OperationalLog(logs, level: .info)
        desk = LogLevelDesk(.info, log: log, audit: AuditLog(logs), on: loop)
    }

    private func set(_ level: LogLevel, of scope: LogScope? = nil, for seconds: Int? = nil) {
        desk.set(
            LogLevelDesk.Change(
                scope: scope, level: level, actor: "uid:0", deadline: seconds.map { now + .seconds($0) }),
            at: now, wall: wall)
    }

    @Test func `gives back what has a time, at its end and not before`() {
        set(.debug, for: 600)
        #expect(log.level == .debug)
        desk.expire(at: now + .milliseconds(599_999), wall: wall)
        #expect(log.level == .debug)
        desk.expire(at: now + .seconds(600), wall: wall)
        #expect(log.level == .info && desk.inForce.isEmpty)
    }

    @Test func `keeps what has a time over a reload, and nothing else`() {
        set(.debug)
        set(.error, of: .upstream)
        set(.debug, of: .ledger, for: 60)
        #expect(desk.inForce.map(\.scope) == [nil, .ledger, .upstream])
        desk.reloaded(.warning)
        #expect(log.level == .warning)
        #expect(desk.inForce.map(\.scope) == [.ledger])
        set(.error, for: 60)
        desk.reloaded(.debug)
        #expect(log.level == .error)
        desk.expire(at: now + .seconds(60), wall: wall)
        #expect(log.level == .debug, "as the configuration has it now")
    }

    @Test func `has one level for each scope, the last one`() {
        set(.debug, of: .ledger, for: 60)
        set(.warning, of: .ledger)
        desk.expire(at: now + .seconds(61), wall: wall)
        #expect(desk.inForce.map(\.level) == [.warning])
    }

    @Test func `ends by itself`() {
        let start = Instant.now()
        desk.set(
            LogLevelDesk.Change(scope: nil, level: .debug, actor: "uid:0", deadline: start + .milliseconds(30)),
            at: start, wall: wall)
        let ticker = LoopTimer(on: loop) {}
        ticker.fire(every: .milliseconds(1))
        while log.level == .debug, Instant.now() < start + .seconds(30) { loop.turn() }
        #expect(log.level == .info)
        #expect(Instant.now() >= start + .milliseconds(30))
    }

    @Test func `is told in words and in JSON`() {
        let change = LogLevelDesk.Change(scope: .ledger, level: .debug, actor: "uid:0", deadline: now + .seconds(600))
        #expect(change.sentence == "The log level of ledger is debug")
        #expect(
            AdminReports.logLevel(change, now: now, wall: wall)
                == [
                    "level": "debug", "scope": "ledger", "actor": "uid:0", "expires_at": "2026-11-21T12:10:00.000Z",
                    "ttl_seconds": 600,
                ])
        let lasting = LogLevelDesk.Change(scope: nil, level: .error, actor: "uid:0")
        #expect(lasting.sentence == "The log level is error")
        #expect(AdminReports.logLevel(lasting, now: now, wall: wall)["ttl_seconds"] == .null)
    }
}
