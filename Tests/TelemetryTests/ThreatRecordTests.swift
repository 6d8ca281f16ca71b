import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The record of a threat` {
    private func record(_ threat: AuditThreat, client: IPAddress? = nil) throws -> [String: Any] {
        let line = String(
            decoding: auditLines(AuditEvent(.threat(threat), client: client), id: (process: 7, number: 1), at: noon),
            as: UTF8.self)
        #expect(line.split(separator: "\n").count == 1)
        return try object(String(line.dropLast()))
    }

    private var threat: AuditThreat {
        AuditThreat(
            .began, id: "ab", pattern: "spraying", failures: 31, accounts: 30, networks: 1, window: .seconds(900))
    }

    @Test func `says what was seen in the words that runbooks look for`() throws {
        var threat = threat
        threat.network = IPNetwork("2001:db8::/64")
        let record = try record(threat, client: IPAddress("2001:db8::7"))
        #expect(record["event"] as? String == "security.threat_detected")
        #expect(record["level"] as? String == "ERROR")
        #expect(record["client_ip"] as? String == "2001:db8::/64", "whom it comes from, not who came last")
        #expect(
            record["message"] as? String
                == "suspicious_activity: spraying, 31 failed logins of 30 accounts from 1 networks in 900 s")
        let context = try #require(record["context"] as? [String: Any])
        #expect(context["threat_id"] as? String == "ab" && context["pattern"] as? String == "spraying")
        #expect(context["failed_attempts"] as? Int == 31 && context["accounts"] as? Int == 30)
        #expect(context["networks"] as? Int == 1 && context["time_window_seconds"] as? Int == 900)
        #expect(context["account"] == nil)
    }

    @Test func `names an account by its hash, and no address where there are many`() throws {
        var threat = threat
        threat.account = "0123456789abcdef0000000000000001"
        threat.step = .ended
        threat.isFromFailing = false
        let record = try record(threat)
        #expect(record["action"] as? String == "threat_ended" && record["client_ip"] == nil)
        #expect((record["message"] as? String)?.contains("suspicious_activity") == false, "counted once")
        #expect((record["context"] as? [String: Any])?["account"] as? String == threat.account)
        #expect((record["context"] as? [String: Any])?["from_failing_network"] as? Bool == false)
        threat.step = .grows
        #expect(try self.record(threat)["level"] as? String == "ERROR")
    }
}
