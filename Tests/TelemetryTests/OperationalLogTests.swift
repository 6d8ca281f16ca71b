import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The operational log` {
    let workshop = Workshop()

    private func lines(_ level: LogLevel, _ body: (OperationalLog) -> Void) throws -> [String] {
        let writer = try LogWriter(targets(operational: .file(path: workshop.file("gateway.log"))), spillPath: nil)
        body(OperationalLog(writer, level: level))
        writer.stop()
        return workshop.lines("gateway.log")
    }

    @Test func `tells the ready line with the addresses that were bound`() throws {
        let line = try #require(
            lines(.info) {
                $0.ready(
                    listeners: ["127.0.0.1:8080", "[::1]:8080"], admin: "127.0.0.1:9901",
                    adminSocket: "state/admin.sock", pid: 42, version: "0.1.0", took: .milliseconds(7))
            }.first)
        let fields = try object(line)
        #expect(fields["service"] as? String == "gateway")
        #expect(fields["level"] as? String == "INFO")
        #expect(fields["event"] as? String == "gateway.ready")
        #expect(fields["listeners"] as? [String] == ["127.0.0.1:8080", "[::1]:8080"])
        #expect(fields["admin"] as? String == "127.0.0.1:9901")
        #expect(fields["admin_socket"] as? String == "state/admin.sock")
        #expect(fields["pid"] as? Int == 42)
        #expect(fields["version"] as? String == "0.1.0")
        #expect(line.contains(#""startup_ms":7.000"#))
    }

    @Test func `leaves out what lies below its level, which may change`() throws {
        let events = try lines(.warning) { log in
            log.log(.info, "a", "not told")
            log.log(.warning, "b", "told")
            log.level = .debug
            log.log(.debug, "c", "told now")
        }.map { try object($0)["event"] as? String }
        #expect(events == ["b", "c"])
    }

    @Test func `has one event for each moment of the gateway's life`() throws {
        let events = try lines(.info) { log in
            log.draining(openConnections: 3, deadline: .seconds(20))
            log.stopped(cutConnections: 0, took: .milliseconds(5))
            log.reloaded(path: "gateway.conf", listeners: ["127.0.0.1:8080"])
            log.reloadFailed(path: "gateway.conf", diagnostics: ["gateway.conf:3:1: unknown key \"prot\""])
            log.ledgerDegraded(reason: "connection refused")
            log.ledgerRecovered(away: .seconds(3), replayed: 2)
        }.map { try object($0)["event"] as? String }
        #expect(
            events == [
                "gateway.draining", "gateway.stopped", "gateway.reloaded", "gateway.reload_failed", "ledger.degraded",
                "ledger.recovered",
            ])
    }

    @Test func `cuts a text that is too long instead of losing the line`() throws {
        let line = try #require(
            lines(.info) {
                $0.log(
                    .error, "x", String(repeating: "m", count: 100_000),
                    (0..<30).map { ("f\($0)", .text(String(repeating: "\u{1}", count: 10_000))) })
            }.first)
        #expect(try (object(line)["message"] as? String)?.hasSuffix("m…") == true)
    }
}
