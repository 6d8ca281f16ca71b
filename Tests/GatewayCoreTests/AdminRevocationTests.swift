import Policy
import Settings
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The admin router, about revocations` {
    private let router = AdminRouter(token: nil)
    private let path = "/api/v1/revocations"

    private func command(_ request: AdminRequest) throws(AdminProblem) -> AdminCommand {
        try router.decide(request, from: .local(user: 1000)).command
    }

    private func post(_ body: String) -> AdminRequest {
        AdminRequest(method: "POST", path: path, body: Array(body.utf8))
    }

    private func problem(_ request: AdminRequest) -> AdminProblem? {
        do throws(AdminProblem) {
            _ = try command(request)
            return nil
        } catch {
            return error
        }
    }

    private func order(
        _ kind: RevocationTarget.Kind, _ name: String, _ cutoff: RevocationOrder.Cutoff = .everyToken,
        for duration: Interval? = nil, reason: String = "operator"
    ) -> AdminCommand {
        .revoke(
            RevocationOrder(target: RevocationTarget(kind, name)!, cutoff: cutoff, duration: duration, reason: reason))
    }

    @Test func `reads a revocation of each kind`() throws {
        for kind in RevocationTarget.Kind.allCases {
            #expect(try command(post("{\"\(kind.rawValue)\":\"x\"}")) == order(kind, "x"))
        }
        let full = #"{"sub":"alice","issued_before":"now","duration_seconds":300,"reason":"stolen","actor":"bob"}"#
        #expect(
            try command(post(full)) == order(.subject, "alice", .issuedBeforeNow, for: .seconds(300), reason: "stolen"))
        #expect(try router.decide(post(full), from: .local(user: 1000)).actor.description == "uid:1000 (claims bob)")
        let nulls = #"{"sub":"alice","jti":null,"issued_before":null,"duration_seconds":null,"reason":null}"#
        #expect(try command(post(nulls)) == order(.subject, "alice"))
        #expect(try command(post(#"{"sub":"cafe\u0301 \"\n"}"#)) == order(.subject, "cafe\u{301} \"\n"))
    }

    @Test(arguments: [
        (#""2026-11-29T07:00:00Z""#, 1_795_935_600_000), (#""2026-11-29T07:00:00.123Z""#, 1_795_935_600_123),
        ("1795935600", 1_795_935_600_000), ("1000000000", 1_000_000_000_000), ("99999999999", 99_999_999_999_000),
    ])
    func `reads a time in words and in seconds`(value: String, milliseconds: Int64) throws {
        let time = WallTime(milliseconds: milliseconds)
        #expect(
            try command(post("{\"sub\":\"a\",\"issued_before\":\(value)}")) == order(.subject, "a", .issuedBefore(time))
        )
    }

    @Test(arguments: [
        (#"{}"#, "exactly one of jti, sub, role, key, iss says what is revoked"),
        (#"{"reason":"x"}"#, "exactly one of jti, sub, role, key, iss says what is revoked"),
        (#"{"sub":"a","role":"b"}"#, "exactly one of jti, sub, role, key, iss says what is revoked"),
        (#"{"sub":""}"#, "sub has 1 to 512 bytes"),
        (#"{"sub":7}"#, "sub is a string"),
        (#"{"jti":["a"]}"#, nil),
        (
            #"{"user":"a"}"#,
            "there is no member \"user\"; there are jti, sub, role, key, iss, issued_before, duration_seconds, reason, actor"
        ),
        (#"{"sub":"a","reason":7}"#, "reason is a string"),
        (#"{"jti":"a","issued_before":"now"}"#, "issued_before says nothing of one token: leave it out"),
        (
            #"{"sub":"a","duration_seconds":0}"#,
            "duration_seconds is a whole number from 1 to 315360000, or null for ever"
        ),
        (
            #"{"sub":"a","duration_seconds":315360001}"#,
            "duration_seconds is a whole number from 1 to 315360000, or null for ever"
        ),
        (
            #"{"sub":"a","duration_seconds":"300"}"#,
            "duration_seconds is a whole number from 1 to 315360000, or null for ever"
        ),
        (
            #"{"sub":"a","duration_seconds":1.5}"#,
            "duration_seconds is a whole number from 1 to 315360000, or null for ever"
        ),
    ])
    func `says what is wrong with an order`(body: String, detail: String?) {
        let found = problem(post(body))
        if let detail {
            #expect(found?.status == 422)
            #expect(found?.detail == detail)
        } else {
            #expect(found?.status == 400)
        }
    }

    @Test(arguments: [
        "true", "1.5", "0", "-1", "999999999", "100000000000", "1795935600123", #""""#, #""Now""#, #""yesterday""#,
        #""1795935600""#, #""2026-11-29""#, #""2026-11-29T07:00:00""#, #""2026-11-29T07:00:00+01:00""#,
        #""2026-11-29T7:00:00Z""#, #""2026-11-31T07:00:00Z""#, #""2026-11-29t07:00:00z""#, #""٢٠٢٦-11-29T07:00:00Z""#,
    ])
    func `takes no time for another one`(value: String) {
        #expect(
            problem(post("{\"sub\":\"a\",\"issued_before\":\(value)}"))?.detail
                == "issued_before is now, a time such as 2026-11-29T07:00:00Z, or whole seconds since 1970")
    }

    @Test func `takes a name and a reason of so many bytes and no more`() throws {
        let longest = String(repeating: "é", count: 256)
        #expect(try command(post("{\"sub\":\"\(longest)\"}")) == order(.subject, longest))
        #expect(problem(post("{\"sub\":\"\(longest)x\"}"))?.detail == "sub has 1 to 512 bytes")
        #expect(problem(post("{\"sub\":\"a\",\"reason\":\"\(longest)\"}"))?.detail == "reason may have 256 bytes")
    }

    @Test func `takes back what the path names, with its slashes as they are or encoded`() throws {
        func target(_ rest: String) throws(AdminProblem) -> AdminCommand {
            try command(AdminRequest(method: "DELETE", path: "\(path)/\(rest)"))
        }
        #expect(try target("sub/alice") == .unrevoke(RevocationTarget(.subject, "alice")!))
        #expect(try target("key/idp/2024-05") == .unrevoke(RevocationTarget(.key, "idp/2024-05")!))
        #expect(try target("key/idp%2F2024-05") == .unrevoke(RevocationTarget(.key, "idp/2024-05")!))
        #expect(try target("iss/https%3A%2f%2Fa%3Fb%23c") == .unrevoke(RevocationTarget(.issuer, "https://a?b#c")!))
        #expect(try target("sub/%CC%81x") == .unrevoke(RevocationTarget(.subject, "\u{301}x")!))
        #expect(try target("sub/%00") == .unrevoke(RevocationTarget(.subject, "\u{0}")!))
    }

    @Test(arguments: [
        ("", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("alice", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("user/alice", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("Sub/alice", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("sub/%", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("sub/%zz", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("sub/%ff", "the path ends with one of jti, sub, role, key, iss, a slash and the name, percent-encoded"),
        ("sub/", "sub has 1 to 512 bytes"),
    ])
    func `says what is wrong with a path`(rest: String, detail: String) {
        let found = problem(AdminRequest(method: "DELETE", path: "\(path)/\(rest)"))
        #expect(found?.status == 422)
        #expect(found?.detail == detail)
    }

    /// `DELETE …/iss/https://a?b`, as a person types it, must not take back what is revoked of `https://a`.
    @Test func `does not take back another one where a question mark was not encoded`() {
        let request = AdminRequest(method: "DELETE", path: "\(path)/iss/https://a", query: ["b": ""])
        #expect(problem(request)?.status == 422)
        #expect(problem(request)?.detail == "the name is percent-encoded: a question mark in it is %3F")
    }

    @Test func `allows no other method, and nobody without a token`() {
        #expect(problem(AdminRequest(method: "DELETE", path: path))?.status == 405)
        #expect(problem(AdminRequest(method: "PUT", path: path))?.status == 405)
        #expect(problem(AdminRequest(method: "GET", path: "\(path)/sub/alice"))?.status == 405)
        for request in [
            AdminRequest(method: "GET", path: path), post(#"{"sub":"a"}"#),
            AdminRequest(method: "DELETE", path: "\(path)/sub/a"),
        ] {
            #expect(throws: AdminProblem.socketOnly) { try router.decide(request, from: .network) }
            #expect(throws: AdminProblem.unauthorized(isMissing: true)) {
                try AdminRouter(token: Secret("an admin token, long enough")).decide(request, from: .network)
            }
        }
    }

    @Test func `lists a thousand unless told otherwise`() throws {
        var list = AdminRequest(method: "GET", path: path)
        #expect(try command(list) == .revocations(limit: 1_000))
        list.query = ["limit": "10000"]
        #expect(try command(list) == .revocations(limit: 10_000))
        list.query = ["limit": "0"]
        #expect(problem(list)?.detail == "limit is a number from 1 to 10000")
    }

    @Test func `makes a record in the moment in which it is carried out`() {
        let (now, wall) = (Instant(nanoseconds: 5), WallTime(milliseconds: 1_700_000_000_500))
        let target = RevocationTarget(.subject, "alice")!
        let once = RevocationOrder(target: target, cutoff: .issuedBeforeNow, duration: .seconds(60), reason: "r")
        let record = once.record(actor: "uid:0", at: now, wall: wall)
        #expect(
            record
                == RevocationRecord(
                    target: target, cutoff: .issuedBefore(wall), origin: .command, reason: "r", actor: "uid:0",
                    since: wall, deadline: now + .seconds(60)))
        let always = RevocationOrder(target: target, cutoff: .everyToken, duration: nil, reason: "r")
        #expect(always.record(actor: "uid:0", at: now, wall: wall).deadline == .never)
    }
}

@Suite struct `The reports about revocations` {
    private let now = Instant(nanoseconds: 1_000_000_000_000)
    private let wall = WallTime(milliseconds: 1_795_935_600_000)

    private func record(
        _ name: String, cutoff: RevocationCutoff = .everyToken, from: WallTime? = nil,
        origin: RevocationRecord.Origin = .command, since: Int64 = 1_795_935_000, deadline: Instant = .never
    ) -> RevocationRecord {
        RevocationRecord(
            target: RevocationTarget(.subject, name)!, cutoff: cutoff, from: from, origin: origin, reason: "stolen",
            actor: "alice", since: WallTime(seconds: since), deadline: deadline)
    }

    @Test func `tell all of one`() {
        #expect(
            AdminReports.revocation(
                record("bob", cutoff: .issuedBefore(wall), from: wall, deadline: now + .milliseconds(59_001)),
                now: now, wall: wall)
                == [
                    "kind": "sub", "name": "bob", "issued_before": "2026-11-29T07:00:00.000Z",
                    "from": "2026-11-29T07:00:00.000Z", "reason": "stolen", "actor": "alice", "origin": "command",
                    "since": "2026-11-29T06:50:00.000Z", "expires_at": "2026-11-29T07:00:59.001Z", "ttl_seconds": 60,
                ])
        let plain = AdminReports.revocation(record("bob", origin: .byHand), now: now, wall: wall)
        #expect(plain["issued_before"] == .null && plain["from"] == .null)
        #expect(plain["expires_at"] == .null && plain["ttl_seconds"] == .null)
        #expect(plain["origin"] == "by_hand")
    }

    @Test func `have the newest first, in one order, and as many as were asked for`() {
        let records = [record("b"), record("old", since: 1), record("a"), record("new", since: 1_795_935_599)]
        let report = AdminReports.revocations(records, limit: 3, now: now, wall: wall)
        #expect(report["count"] == 4)
        #expect(report["truncated"] == true)
        #expect(report["revocations"]?.array?.map { $0["name"]?.string } == ["new", "a", "b"])
        #expect(AdminReports.revocations(records, limit: 4, now: now, wall: wall)["truncated"] == false)
        #expect(
            AdminReports.revocations([], limit: 1, now: now, wall: wall)
                == ["count": 0, "truncated": false, "revocations": []])
    }
}
