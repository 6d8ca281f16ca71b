import Foundation
import Testing
import Wire

@testable import Telemetry

@Suite struct `The audit log` {
    private func records(_ event: AuditEvent) throws -> [[String: Any]] {
        let text = String(decoding: auditLines(event, id: (process: 7, number: 1), at: noon), as: UTF8.self)
        return try text.split(separator: "\n").map { try object(String($0)) }
    }

    private func context(_ record: [String: Any]) throws -> [String: Any] {
        try #require(record["context"] as? [String: Any])
    }

    @Test func `has one schema, written out here for a failed login`() {
        var event = AuditEvent(
            .loginFailed(reason: "bad_credentials", failures: 3, limit: 5, window: .seconds(86_400)),
            client: IPAddress("203.0.113.7"))
        event.peer = IPAddress("10.0.0.1")
        event.peerPort = 41_000
        event.method = "POST"
        event.endpoint = "/auth/login"
        event.route = "auth"
        event.userAgent = "curl/8.5"
        event.requestID = "req-1"
        event.traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
        let expected =
            #"{"timestamp":"2026-11-21T12:00:00.123Z","level":"WARNING","service":"audit","#
            + #""event":"security.auth_failure","action":"auth_failed","#
            + #""message":"RecordFailedLogin: authentication_failure, 3 of 5 in 86400 s","event_id":"7-1","#
            + #""owasp_event":"authn_login_fail","client_ip":"203.0.113.7","ip_address":"203.0.113.7","#
            + #""source_ip":"203.0.113.7","peer_ip":"10.0.0.1","peer_port":41000,"#
            + #""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","context":{"user_id":null,"#
            + #""ip_address":"203.0.113.7","failure_reason":"bad_credentials","method":"POST","#
            + #""endpoint":"/auth/login","route":"auth","user_agent":"curl/8.5","failed_attempts":3,"limit":5,"#
            + #""time_window_seconds":86400,"request_id":"req-1"}}"# + "\n"
        #expect(String(decoding: auditLines(event, id: (process: 7, number: 1), at: noon), as: UTF8.self) == expected)
    }

    @Test func `tells an expired token under both names and as one event`() throws {
        let token = AuditToken(
            "eyJhbGciOiJIUzI1NiJ9.e30.signature".utf8Span.span, issuedAt: WallTime(seconds: 1_795_255_200),
            expiresAt: WallTime(seconds: 1_795_262_400))
        var event = AuditEvent(
            .authenticationFailed(reason: "token_expired", token: token), client: IPAddress("192.0.2.100"))
        event.user = .verified("user_123")
        let both = try records(event)
        #expect(both.map { $0["event"] as? String } == ["security.auth_failure", "security.token_expired"])
        #expect(both.map { $0["action"] as? String } == ["auth_failed", "token_expired"])
        #expect(both.map { $0["event_id"] as? String } == ["7-1", "7-1"])
        #expect(both.map { $0["alias"] as? Bool } == [nil, true])
        for record in both {
            let context = try context(record)
            #expect(context["user_id"] as? String == "user_123")
            #expect(context["token_prefix"] as? String == "eyJhbG...")
            #expect(context["token_issued_at"] as? String == "2026-11-21T10:00:00.000Z")
            #expect(context["token_expires_at"] as? String == "2026-11-21T12:00:00.000Z")
            #expect(context["current_time"] as? String == "2026-11-21T12:00:00.123Z")
        }
        // No reason in the second: who counts reasons counts once.
        #expect(try context(both[1])["failure_reason"] == nil)
    }

    @Test(arguments: [
        (1_795_262_399, 1_795_262_300, 1, "under_minute"), (1_795_262_340, 1_795_262_339, 60, "longer"),
        (1_795_262_341, nil, 59, "under_minute"), (1_795_262_340, 1_795_262_279, 60, "under_lifetime"),
        (1_795_262_300, nil, 100, "longer"), (1_795_000_000, 1_794_000_000, 262_400, "under_lifetime"),
        (1_795_000_000, 1_794_999_000, 262_400, "longer"), (1_795_262_401, nil, 0, "under_minute"),
    ])
    func `says how long a token had been expired`(_ end: Int64, _ start: Int64?, _ seconds: Int, _ age: String) throws {
        var token = AuditToken(Span())
        token.expiry = AuditExpiry(
            at: 1_795_262_400_000, expiresAt: end * 1_000, issuedAt: start.map { $0 * 1_000 })
        let context = try context(records(AuditEvent(.authenticatedInGrace(token: token)))[0])
        #expect(context["expired_for_seconds"] as? Int == seconds)
        #expect(context["expired_age"] as? String == age)
    }

    @Test func `takes dates of any size for the age of a token`() {
        let far: Int64 = 9_007_199_254_740_992_000
        #expect(AuditExpiry(at: 1_795_262_400_000, expiresAt: -far, issuedAt: far).age == .longer)
        #expect(AuditExpiry(at: far, expiresAt: -far, issuedAt: -far).seconds == Int(Int64.max / 1_000))
        #expect(AuditExpiry(at: 0, expiresAt: far, issuedAt: nil).seconds == 0)
    }

    @Test func `never passes a user off as proved who is only claimed`() throws {
        var event = AuditEvent(.authenticationFailed(reason: "invalid_signature", token: nil))
        event.user = .claimed("admin")
        let context = try context(records(event)[0])
        #expect(context["user_id"] is NSNull)
        #expect(context["claimed_user_id"] as? String == "admin")
        #expect(context["user_verified"] as? Bool == false)
        event.user = .verified("alice")
        let proved = try self.context(records(event)[0])
        #expect(proved["user_id"] as? String == "alice")
        #expect(proved["user_verified"] as? Bool == true)
    }

    @Test func `says when a block ends, why it was set and by whom`() throws {
        let block = AuditBlock(
            subject: IPNetwork(IPAddress("203.0.113.88")!), length: .seconds(300),
            expiresAt: noon + .seconds(300), trigger: "5 failed logins in 86400 s", actor: "gateway")
        let record = try records(AuditEvent(.blocked(block)))[0]
        #expect(record["action"] as? String == "ip_blocked")
        #expect(record["client_ip"] as? String == "203.0.113.88")
        #expect(record["owasp_event"] as? String == "authn_login_lock")
        let details = try context(record)
        #expect(details["ttl_seconds"] as? Int == 300)
        #expect(details["expires_at"] as? String == "2026-11-21T12:05:00.123Z")
        #expect(details["trigger"] as? String == "5 failed logins in 86400 s")
        #expect(details["actor"] as? String == "gateway")
        let lifted = try records(
            AuditEvent(.unblocked(subject: IPNetwork("203.0.113.0/24")!, trigger: "gateway unblock", actor: "alice")))[
                0]
        #expect(lifted["action"] as? String == "ip_unblocked")
        #expect(lifted["client_ip"] as? String == "203.0.113.0/24")
        #expect(try context(lifted)["actor"] as? String == "alice")
        let expired = try records(AuditEvent(.blockExpired(subject: IPNetwork("2001:db8::/64")!)))[0]
        #expect(expired["action"] as? String == "block_expired")
        #expect(expired["source_ip"] as? String == "2001:db8::/64")
    }

    @Test func `says of what else was done whom or what it is about, why, and until when`() throws {
        let operation = AuditOperation(
            "route_locked_down", "/admin is closed", by: "uid:1000", of: "/admin", because: "leak",
            until: noon + .seconds(300))
        let details = try context(records(AuditEvent(.operation(operation)))[0])
        #expect(details["action"] as? String == "route_locked_down")
        #expect(details["target"] as? String == "/admin")
        #expect(details["trigger"] as? String == "leak")
        #expect(details["expires_at"] as? String == "2026-11-21T12:05:00.123Z")
        #expect(details["actor"] as? String == "uid:1000")
        let plain = AuditOperation("configuration_reloaded", "The configuration was reloaded", by: "uid:0", because: "")
        let few = try context(records(AuditEvent(.operation(plain)))[0])
        #expect(few["target"] == nil && few["trigger"] == nil && few["expires_at"] == nil)
    }

    @Test(arguments: [
        (AuditEvent.Kind.loginSucceeded(afterFailures: 2), "security.auth_success", "authn_login_successafterfail"),
        (.loginSucceeded(afterFailures: 0), "security.auth_success", "authn_login_success"),
        (.authenticated(token: nil), "security.auth_success", "authn_token_success"),
        (.authenticatedInGrace(token: nil), "security.auth_success", "authn_token_success"),
        (.authorizationFailed(reason: "insufficient_permissions"), "security.auth_failure", "authz_fail"),
        (
            .bruteForceDetected(failures: 5, window: .seconds(300)), "security.brute_force_detected",
            "authn_login_fail_max"
        ),
    ])
    func `has the names of OWASP beside its own`(kind: AuditEvent.Kind, event: String, owasp: String) throws {
        let record = try records(AuditEvent(kind))[0]
        #expect(record["event"] as? String == event)
        #expect(record["owasp_event"] as? String == owasp)
    }

    @Test func `has no place for a secret`() throws {
        let secret = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
        var event = AuditEvent(
            .authenticationFailed(reason: "invalid_token", token: AuditToken(secret.utf8Span.span)))
        event.endpoint = "/graphql?access_token=\(secret)#\(secret)"
        let text = String(decoding: auditLines(event, id: (process: 7, number: 1), at: noon), as: UTF8.self)
        #expect(!text.contains("eyJhbGc"))
        #expect(text.contains(#""token_prefix":"eyJhbG...""#))
        #expect(text.contains(#""endpoint":"/graphql""#))
        // Six characters of a short token would be most of it.
        #expect(AuditToken("hunter2".utf8Span.span).prefix == "")
        #expect(AuditToken("\n\"\u{7f}abc-and-long-enough-to-show".utf8Span.span).prefix == "?\"?abc")
    }

    @Test func `is valid JSON of one line for any text`() throws {
        let nasty = String(repeating: "\u{0}\"\\\n\u{202e}", count: 2_000)
        var event = AuditEvent(
            .operation(AuditOperation(nasty, nasty, by: nasty, of: nasty, because: nasty)), client: IPAddress("::1"))
        event.user = .claimed(nasty)
        event.stage = nasty
        event.code = nasty
        event.method = nasty
        event.endpoint = nasty
        event.route = nasty
        event.userAgent = nasty
        event.requestID = nasty
        event.traceID = nasty
        #expect(try records(event).count == 1)
    }
}

@Suite struct `Requests of blocked addresses` {
    private let address = IPAddress("203.0.113.7")!
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test func `are told at once and then once in ten seconds, with the number that was not told`() {
        let notices = BlockedNotices()
        #expect(notices.admit(address, at: start) == 0)
        for second in 1...9 { #expect(notices.admit(address, at: start + .seconds(second)) == nil) }
        #expect(notices.admit(address, at: start + .seconds(10)) == 9)
        #expect(notices.admit(address, at: start + .seconds(19)) == nil)
        #expect(notices.admit(address, at: start + .seconds(25)) == 1)
    }

    @Test func `of one address do not hide those of another`() {
        let notices = BlockedNotices()
        #expect(notices.admit(address, at: start) == 0)
        #expect(notices.admit(IPAddress("203.0.113.8")!, at: start) == 0)
        #expect(notices.admit(IPAddress("2001:db8::1")!, at: start) == 0)
        #expect(notices.admit(address, at: start) == nil)
    }

    @Test func `are summed up when the address has gone quiet`() {
        let notices = BlockedNotices()
        _ = notices.admit(address, at: start)
        for _ in 0..<500 { _ = notices.admit(address, at: start + .milliseconds(5)) }
        #expect(notices.takeQuiet(at: start + .seconds(9)).isEmpty)
        let told = notices.takeQuiet(at: start + .seconds(10))
        #expect(told.map { "\($0.0) \($0.1)" } == ["203.0.113.7 500"])
        #expect(notices.takeQuiet(at: start + .seconds(30)).isEmpty)
    }

    @Test func `of a hundred thousand addresses fill a table of fixed size only`() {
        let notices = BlockedNotices()
        var told = 0
        for number in 0..<100_000 where notices.admit(IPAddress(v4: UInt32(number)), at: start) != nil { told += 1 }
        #expect(told == 100_000)
        #expect(notices.takeQuiet(at: start + .seconds(60)).isEmpty)
    }

    @Test func `are told once however many workers see them`() async {
        let notices = BlockedNotices()
        let (address, start) = (address, start)
        _ = notices.admit(address, at: start)
        let told = await withTaskGroup(of: (Int, Int).self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var lines = 0
                    var suppressed = 0
                    for step in 0..<10_000 {
                        // Twice ten seconds, in steps of 2 ms.
                        guard let count = notices.admit(address, at: start + .milliseconds(2 * step)) else { continue }
                        lines += 1
                        suppressed += count
                    }
                    return (lines, suppressed)
                }
            }
            return await group.reduce(into: (0, 0)) { $0 = ($0.0 + $1.0, $0.1 + $1.1) }
        }
        let rest = notices.takeQuiet(at: start + .seconds(100)).reduce(0) { $0 + $1.1 }
        // The tasks' clocks differ, so the second notice may come with any of them; nothing is lost or told twice.
        #expect(told.0 >= 1)
        #expect(told.0 + told.1 + rest == 40_000)
    }

    @Test func `of a locked account are told once in a while, and by its name`() throws {
        let workshop = Workshop()
        let writer = try LogWriter(targets(audit: .file(path: workshop.file("audit.log"))), spillPath: nil)
        let log = AuditLog(writer)
        let told = (0..<100).compactMap { log.admitLockedLogin(of: 1, 0xab, at: start + .milliseconds($0)) }
        #expect(told == [0])
        #expect(log.admitLockedLogin(of: 1, 0xac, at: start) == 0, "that is another one")
        log.tellSuppressed(at: start + .seconds(11))
        writer.stop()
        let lines = workshop.lines("audit.log")
        #expect(lines.count == 1 && lines[0].contains("locked_logins_suppressed"))
        #expect(lines[0].contains(#""account":"000000000000000100000000000000ab","suppressed":99"#))
    }

    @Test func `can be found with the runbook's words`() throws {
        let workshop = Workshop()
        let writer = try LogWriter(targets(audit: .file(path: workshop.file("audit.log"))), spillPath: nil)
        let log = AuditLog(writer)
        for step in 0..<100 {
            guard let count = log.admitBlockedRequest(from: address, at: start + .milliseconds(step)) else { continue }
            log.record(AuditEvent(.blockedRequest(suppressed: count), client: address))
        }
        log.tellSuppressed(at: start + .seconds(11))
        writer.stop()
        let lines = workshop.lines("audit.log")
        #expect(lines.count { $0.contains("Request from blocked IP") } == 1)
        #expect(try object(lines[0])["client_ip"] as? String == "203.0.113.7")
        #expect(lines.last?.contains(#""suppressed":99"#) == true)
    }
}
