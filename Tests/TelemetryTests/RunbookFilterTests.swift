import Foundation
import Testing
import Wire

@testable import Telemetry

/// The filters of the runbooks, word for word but for the path, over a log that this package wrote.
@Suite(.enabled(if: isInstalled("jq"), "jq is not installed"))
struct `A filter of the runbooks` {
    let workshop = Workshop()

    /// Twice `invalid_token` from one address, once each: `token_expired`, `missing_token`, `bad_credentials`, a brute
    /// force, its block, a request behind it, a token without the right role, two successes.
    init() throws {
        let writer = try LogWriter(targets(audit: .file(path: workshop.file("app.log"))), spillPath: nil)
        let log = AuditLog(writer)
        let attacker = IPAddress("198.51.100.75")!
        let user = IPAddress("192.0.2.100")!
        func token(_ reason: String, _ user: AuditUser?, from client: IPAddress) {
            var event = AuditEvent(.authenticationFailed(reason: reason, token: nil), client: client)
            event.user = user
            event.endpoint = "/graphql"
            log.record(event, at: noon)
        }
        token("invalid_token", .claimed("admin"), from: attacker)
        token("invalid_token", nil, from: attacker)
        token("missing_token", nil, from: user)
        token("token_expired", .verified("user_123"), from: user)
        log.record(
            AuditEvent(
                .loginFailed(reason: "bad_credentials", failures: 5, limit: 5, window: .seconds(300)), client: attacker),
            at: noon)
        log.record(
            AuditEvent(.bruteForceDetected(failures: 5, window: .seconds(300)), client: attacker), at: noon)
        let block = AuditBlock(
            subject: IPNetwork(attacker), length: .seconds(300), expiresAt: noon + .seconds(300),
            trigger: "5 failed logins in 300 s", actor: "gateway")
        log.record(AuditEvent(.blocked(block)), at: noon)
        log.record(AuditEvent(.blockedRequest(suppressed: 0), client: attacker), at: noon)
        var denied = AuditEvent(.authorizationFailed(reason: "insufficient_permissions"), client: user)
        denied.user = .verified("user_123")
        log.record(denied, at: noon)
        log.record(AuditEvent(.loginSucceeded(afterFailures: 0), client: user), at: noon)
        log.record(AuditEvent(.authenticated(token: nil), client: user), at: noon)
        writer.stop()
    }

    private func run(_ command: String) throws -> [String] {
        let result = try workshop.shell(command)
        #expect(result.status == 0, "\(result.output)")
        return result.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    // FraiseQL, "Classify Authentication Failures"
    @Test func `counts failures by reason, each once`() throws {
        let counts = try run(
            """
            jq -r 'select(.event == "security.auth_failure") |
              .context.failure_reason' \
              app.log | sort | uniq -c | sort -rn
            """)
        #expect(
            Set(counts) == [
                "2 invalid_token", "1 token_expired", "1 missing_token", "1 insufficient_permissions",
                "1 bad_credentials",
            ])
        #expect(counts.first == "2 invalid_token")
    }

    // FraiseQL, "Identify Affected Users"
    @Test func `counts failures by user, who is anonymous until proved`() throws {
        let counts = try run(
            """
            jq -r 'select(.event == "security.auth_failure") |
              .context.user_id // "anonymous"' \
              app.log | sort | uniq -c | sort -rn | head -20
            """)
        #expect(counts == ["4 anonymous", "2 user_123"])
    }

    @Test func `counts failures by address`() throws {
        let counts = try run(
            """
            jq -r 'select(.event == "security.auth_failure") |
              .context.ip_address' \
              app.log | sort | uniq -c | sort -rn | head -20
            """)
        #expect(Set(counts) == ["3 198.51.100.75", "3 192.0.2.100"])
    }

    @Test func `draws the time line of failures`() throws {
        let lines = try run(
            #"""
            jq -r 'select(.event == "security.auth_failure") |
              "\(.timestamp) \(.context.failure_reason) \(.context.user_id // "anon")"' \
              app.log | tail -50
            """#)
        #expect(lines.count == 6)
        #expect(lines.first == "2026-11-21T12:00:00.123Z invalid_token anon")
        #expect(lines.contains("2026-11-21T12:00:00.123Z token_expired user_123"))
    }

    // FraiseQL, "Token Expiration Issues"
    @Test func `counts expired tokens`() throws {
        // -c, because without it jq spreads one record over many lines, which the runbook's `wc -l` then counts.
        #expect(try run(#"jq -c 'select(.event == "security.token_expired")' app.log | wc -l"#) == ["1"])
        let fields = try run(
            #"jq -r 'select(.event == "security.token_expired") | .context | .user_id, .ip_address' app.log"#)
        #expect(fields == ["user_123", "192.0.2.100"])
    }

    // FraiseQL, "Brute Force Attack"
    @Test func `finds the address behind a brute force`() throws {
        let counts = try run(
            """
            jq -r 'select(.event == "security.auth_failure") |
              .context.ip_address + " " + (.context.user_id // "anon") + " " + .timestamp' \
              app.log | \
              sort | uniq | \
              cut -d' ' -f1 | uniq -c | sort -rn | head -10
            """)
        // `uniq` merges what one address, as nobody, did within one millisecond.
        #expect(counts == ["2 192.0.2.100", "1 198.51.100.75"])
        let detected = try run(
            #"jq -c 'select(.event == "security.brute_force_detected") | .context | "#
                + #"[.ip_address, .failed_attempts, .time_window_seconds, .action]' app.log"#)
        #expect(detected == [#"["198.51.100.75",5,300,"ip_blocked"]"#])
    }

    // FraiseQL, "Check Logs"
    @Test func `shows successes and failures`() throws {
        #expect(try run(#"jq -c 'select(.event == "security.auth_success")' app.log | tail -10"#).count == 2)
        #expect(try run(#"jq -r 'select(.event == "security.auth_failure")' app.log | tail -10"#).count == 10)
    }

    // Rust service, "High Volume of Failed Logins"
    @Test func `finds authentication failures and counts them by source`() throws {
        #expect(try run(#"grep "authentication_failure" app.log | tail -50"#).count == 5)
        let counts = try run(
            #"""
            grep "authentication_failure" app.log | \
              grep -o '"source_ip":"[^"]*"' | sort | uniq -c | sort -nr
            """#)
        #expect(counts == [#"3 "source_ip":"198.51.100.75""#, #"2 "source_ip":"192.0.2.100""#])
    }

    // Rust service, "Log Analysis"
    @Test func `watches for security events`() throws {
        let found = try run(
            #"cat app.log | grep -E "(authentication_failure|suspicious_activity|security_violation)""#)
        #expect(found.count == 8)
        #expect(try run(#"grep -c suspicious_activity app.log"#) == ["1"])
        #expect(try run(#"grep -c security_violation app.log"#) == ["2"])
    }

    // SEC-010, 1.1: {service="audit"} | json | action="auth_failed"
    @Test func `is answered as Loki would`() throws {
        let found = try run(#"jq -r 'select(.service == "audit" and .action == "auth_failed") | .client_ip' app.log"#)
        #expect(found.count == 5)
        #expect(found.count { $0 == "198.51.100.75" } == 3)
    }

    // SEC-010, 1.2
    @Test func `finds recorded failures and requests behind a block`() throws {
        #expect(try run(#"grep -c RecordFailedLogin app.log"#) == ["1"])
        #expect(try run(#"grep "Request from blocked IP" app.log | grep -c '"client_ip":"198.51.100.75"'"#) == ["1"])
    }

    // SEC-010, 3: what the record of an incident needs
    @Test func `gives time, address, trigger, action, length and end of a block`() throws {
        let block = try run(
            #"jq -c 'select(.action == "ip_blocked") | [.timestamp, .client_ip, .context.trigger, .context.action, "#
                + #".context.ttl_seconds, .context.expires_at]' app.log"#)
        #expect(
            block == [
                #"["2026-11-21T12:00:00.123Z","198.51.100.75","5 failed logins in 300 s","ip_blocked",300,"#
                    + #""2026-11-21T12:05:00.123Z"]"#
            ])
    }

    // Rust service, "Daily Tasks"
    @Test func `finds errors in the operational log`() throws {
        let writer = try LogWriter(
            targets(operational: .file(path: workshop.file("application.log"))), spillPath: nil)
        let log = OperationalLog(writer, level: .info)
        log.reloaded(path: "gateway.conf", listeners: ["127.0.0.1:8080"])
        log.ledgerDegraded(reason: "connection refused")
        writer.stop()
        #expect(try run("grep -i error application.log | tail -10").count == 1)
    }
}
