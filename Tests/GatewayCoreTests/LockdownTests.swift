import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore

private let now = Instant(nanoseconds: 50_000_000_000)
private let wall = WallTime(seconds: 1_795_262_400)
private let end = now + .seconds(1_800)

@Suite struct `What the store says of a lockdown` {
    private func read(_ text: String, until deadline: Instant = end) -> LockdownRecord {
        LockdownRecord(route: "/admin", SharedText(text, until: deadline), seen: wall)
    }

    @Test func `is read as it was written`() {
        let lockdown = Lockdown(
            route: "/admin", allowed: [IPNetwork("10.0.0.0/8")!, IPNetwork("2001:db8::1")!], until: end)
        let record = LockdownRecord(lockdown, reason: "a \"leak\"\n", actor: "uid:0 (claims alice)", since: wall)
        let text = record.text(until: wall + .seconds(1_800))
        #expect(
            text == #"{"by":"uid:0 (claims alice)","reason":"a \"leak\"\n","allow":["10.0.0.0/8","2001:db8::1"],"#
                + #""until":"2026-11-21T12:30:00.000Z","at":"2026-11-21T12:00:00.000Z"}"#)
        #expect(read(text) == record)
    }

    @Test(arguments: [
        "", "1", "null", "true", "[]", "{", #"{"allow":"10.0.0.0/8"}"#, #"{"allow":[7,"everybody","10.1.2.3/8",""]}"#,
        #"{"allow":["0.0.0.0/0"]"#, #"{"allow":{"a":"10.0.0.0/8"}}"#, #"{"allow":[["10.0.0.0/8"]]}"#,
        "\u{fffd}\u{0}",
    ])
    func `lets nobody through where it cannot be read`(_ text: String) {
        let record = read(text)
        #expect(record.lockdown == Lockdown(route: "/admin", allowed: [], until: end))
        #expect(record.origin == .byHand && record.actor == "redis" && record.since == wall)
    }

    @Test func `may name networks by hand, at most 32 of them`() {
        let record = read(#"{"allow":["10.0.0.0/8","nobody","192.0.2.1"],"reason":"leak"}"#)
        #expect(record.lockdown.allowed.map(\.description) == ["10.0.0.0/8", "192.0.2.1"])
        #expect(record.origin == .byHand && record.reason == "leak")
        let many = (0..<40).map { "\"192.0.2.\($0)\"" }.joined(separator: ",")
        #expect(read("{\"allow\":[\(many)]}").lockdown.allowed.count == 32)
    }

    @Test func `is told with what is left of it`() {
        let report = read("1").report(now: end, wall: wall)
        #expect(report["ttl_seconds"] == 0)
        #expect(read("1").report(now: now, wall: wall)["expires_at"] == "2026-11-21T12:30:00.000Z")
        let endless = read("1", until: .never).report(now: now, wall: wall)
        #expect(endless["ttl_seconds"] == .null && endless["expires_at"] == .null)
    }
}

@Suite struct `The desk of lockdowns` {
    private let loop = EventLoop()
    private let mailbox = Mailbox<WorkerMessage>()
    private let desk: LockdownDesk
    private let told = Told()

    private final class Told { var changes: [LedgerChange] = [] }

    init() throws {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        let broadcast = LedgerBroadcast([mailbox], on: loop)
        desk = LockdownDesk(
            broadcast: broadcast, audit: AuditLog(logs), log: OperationalLog(logs, level: .error),
            routes: ["/", "/admin"])
        let told = told
        broadcast.follower = { told.changes.append($0) }
    }

    @Test func `tells the workers what has changed, once`() {
        let admin = SharedText("1", until: end)
        let closed = Lockdown(route: "/admin", allowed: [], until: end)
        desk.take(["/admin": admin], at: now, wall: wall)
        desk.take(["/admin": admin], at: now, wall: wall)
        #expect(told.changes == [.lockdown(.set(closed))])
        desk.take(["/admin": admin, "/": SharedText("2", until: .never)], at: now, wall: wall)
        #expect(told.changes.count == 2 && desk.records.count == 2)
        told.changes = []
        desk.take(["/": SharedText("2", until: end)], at: now, wall: wall)
        #expect(
            told.changes == [
                .lockdown(.lift(route: "/admin")), .lockdown(.set(Lockdown(route: "/", allowed: [], until: end))),
            ])
        desk.take([:], at: end, wall: wall)
        #expect(desk.records.isEmpty)
    }

    @Test func `knows since when one that was set by hand is there`() {
        desk.take(["/admin": SharedText("1", until: end)], at: now, wall: wall)
        desk.take(["/admin": SharedText("1", until: .never)], at: now, wall: wall + .seconds(9))
        #expect(desk.records["/admin"]?.since == wall)
    }
}

@Suite struct `The admin router, about lockdowns` {
    private let router = AdminRouter(token: nil)

    private func post(_ body: String) -> AdminRequest {
        AdminRequest(method: "POST", path: "/api/v1/lockdowns", body: Array(body.utf8))
    }

    private func command(_ request: AdminRequest) throws(AdminProblem) -> AdminCommand {
        try router.decide(request, from: .local(user: 1000)).command
    }

    private func problem(_ request: AdminRequest) -> AdminProblem? {
        do throws(AdminProblem) {
            _ = try command(request)
            return nil
        } catch {
            return error
        }
    }

    @Test func `reads a lockdown`() throws {
        let name = try #require(SharedName(.lockdown, "/admin"))
        #expect(
            try command(post(#"{"route":"/admin","duration_seconds":1800}"#))
                == .lockDown(LockdownOrder(name: name, allowed: [], duration: .seconds(1_800), reason: "operator")))
        let full =
            #"{"route":"/admin","duration_seconds":604800,"allow":"10.0.0.0/8 192.0.2.1 10.0.0.0/8","reason":"leak","actor":"bob"}"#
        #expect(
            try command(post(full))
                == .lockDown(
                    LockdownOrder(
                        name: name, allowed: [IPNetwork("10.0.0.0/8")!, IPNetwork("192.0.2.1")!],
                        duration: .seconds(604_800), reason: "leak")))
        #expect(try router.decide(post(full), from: .local(user: 1000)).actor.description == "uid:1000 (claims bob)")
        #expect(try command(AdminRequest(method: "GET", path: "/api/v1/lockdowns")) == .lockdowns)
        let path = "/api/v1/lockdowns/%2Fadmin"
        #expect(try command(AdminRequest(method: "DELETE", path: path)) == .unlockRoute(name))
    }

    @Test(arguments: [
        #"{}"#, #"{"route":"/admin"}"#, #"{"route":"/admin","duration_seconds":null}"#,
        #"{"route":"/admin","duration_seconds":0}"#, #"{"route":"/admin","duration_seconds":604801}"#,
        #"{"route":"","duration_seconds":1}"#, #"{"route":"/a b","duration_seconds":1}"#,
        #"{"route":"/a","duration_seconds":1,"allow":"10.1.2.3/8"}"#,
        #"{"route":"/a","duration_seconds":1,"allow":"10.0.0.0/8,192.0.2.1"}"#,
        #"{"route":"/a","duration_seconds":1,"allow":["10.0.0.0/8"]}"#, #"{"route":7,"duration_seconds":1}"#,
        #"{"route":"/a","duration_seconds":1,"for":"1h"}"#,
    ])
    func `takes nothing else`(_ body: String) {
        #expect([400, 422].contains(problem(post(body))?.status))
    }

    @Test func `has one path for each, and no other`() {
        func status(_ method: String, _ path: String) -> Int? {
            problem(AdminRequest(method: method, path: path))?.status
        }
        #expect(status("DELETE", "/api/v1/lockdowns") == 405)
        #expect(status("DELETE", "/api/v1/lockdowns/") == 422)
        #expect(status("DELETE", "/api/v1/lockdowns/%00") == 422)
        #expect(status("GET", "/api/v1/lockdowns/%2Fadmin") == 405)
    }

    @Test func `is asked with a token over TCP`() {
        let peer = AdminPeer.network
        do throws(AdminProblem) {
            _ = try router.decide(AdminRequest(method: "GET", path: "/api/v1/lockdowns"), from: peer)
            Issue.record("it was let through")
        } catch {
            #expect(error.status == 403)
        }
    }
}
