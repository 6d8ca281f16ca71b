import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The scopes of the operational log` {
    private func log(_ level: LogLevel) throws -> OperationalLog {
        OperationalLog(
            try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil), level: level)
    }

    /// `log.*` are written by the thread that writes, and no level keeps them back.
    @Test func `are the words before the dot of the events in docs/logs`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/logs.md"), encoding: .utf8)
        let section = try #require(page.components(separatedBy: "## Operational lines\n").last)
            .components(separatedBy: "\n\n")
        let events = section.first { $0.contains("`gateway.ready`") } ?? ""
        let words = Set(events.matches(of: #/`([a-z_]+)\.[a-z_]+`/#).map { String($0.1) })
        #expect(words.subtracting(["log"]).sorted() == LogScope.allCases.map(\.rawValue))
        for scope in LogScope.allCases { #expect(page.contains("`\(scope.rawValue)`"), "\(scope.rawValue)") }
    }

    @Test func `have a level each, and follow that of everything where they have none`() throws {
        let log = try log(.warning)
        log.setLevel(.debug, of: .ledger)
        log.setLevel(.error, of: .upstream)
        #expect(log.level(of: "ledger.degraded") == .debug)
        #expect(log.level(of: "upstream.server_down") == .error)
        #expect(log.level(of: "keys.fetched") == .warning)
        #expect(log.level(of: "ledgers.x") == .warning && log.level(of: "ledger") == .warning)
        #expect(log.level(of: "") == .warning && log.level(of: ".ledger") == .warning)
        log.level = .info
        #expect(log.level(of: "ledger.degraded") == .debug && log.level(of: "keys.fetched") == .info)
        log.setLevel(nil, of: .ledger)
        #expect(log.level(of: "ledger.degraded") == .info && log.level(of: "upstream.server_down") == .error)
    }

    @Test func `have room in one word, without touching one another`() {
        var levels = ScopedLevels()
        for (index, scope) in LogScope.allCases.enumerated() { levels[scope] = LogLevel.allCases[index % 4] }
        for (index, scope) in LogScope.allCases.enumerated() { #expect(levels[scope] == LogLevel.allCases[index % 4]) }
        for scope in LogScope.allCases { levels[scope] = nil }
        #expect(levels == ScopedLevels())
        #expect(LogScope.allCases.count <= 21)
    }
}
