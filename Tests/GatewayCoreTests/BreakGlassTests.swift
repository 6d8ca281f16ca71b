import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

private let now = Instant(nanoseconds: 50_000_000_000)
private let wall = WallTime(seconds: 1_795_262_400)

@Suite struct `The desk of break-glass` {
    private let loop = EventLoop()
    private let desk: BreakGlassDesk
    private let told = Told()

    private final class Told { var changes: [LedgerChange] = [] }

    init() throws {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        let broadcast = LedgerBroadcast([Mailbox<WorkerMessage>()], on: loop)
        desk = BreakGlassDesk(
            broadcast: broadcast, audit: AuditLog(logs), log: OperationalLog(logs, level: .error), on: loop)
        let told = told
        broadcast.follower = { told.changes.append($0) }
    }

    private func record(_ route: String, _ seconds: Int = 60) -> BreakGlassRecord {
        let glass = BreakGlass(
            route: route, allowed: [IPNetwork("10.0.0.0/8")!], until: Instant.now() + .seconds(seconds))
        return BreakGlassRecord(glass: glass, reason: "keys lost", actor: "uid:0", since: wall)
    }

    private func route(_ path: String, _ limit: Interval?, name: String? = nil) -> Configuration.Route {
        var route = Configuration.Route(
            name: name ?? path, host: nil, path: path, methods: [], upstream: 0, authentication: .required, cookie: nil,
            requiredClaims: [], requiredRoles: [], cors: nil)
        route.breakGlass = limit
        return route
    }

    @Test func `tells the workers, replaces what was said of the same route, and ends it once`() {
        let (first, second) = (record("/a"), record("/a", 30))
        desk.open(first, at: .now(), wall: wall)
        desk.open(second, at: .now(), wall: wall)
        #expect(told.changes == [.breakGlass(.set(first.glass)), .breakGlass(.set(second.glass))])
        #expect(desk.records == ["/a": second])
        for _ in 0..<2 { desk.end("/a", by: "uid:0", because: "command") }
        #expect(told.changes.count == 3 && told.changes.last == .breakGlass(.end(route: "/a")))
        #expect(desk.records.isEmpty)
    }

    @Test func `ends by itself`() {
        var soon = record("/a")
        soon.glass.deadline = .now() + .milliseconds(20)
        desk.open(soon, at: .now(), wall: wall)
        let stop = LoopTimer(on: loop) { [loop] in loop.stop() }
        stop.fire(after: .milliseconds(200))
        loop.run()
        #expect(desk.records.isEmpty && told.changes.last == .breakGlass(.end(route: "/a")))
    }

    @Test func `ends what the configuration no longer allows, and all with the gateway`() {
        for name in ["/a", "/b", "/c", "/d", "/e"] { desk.open(record(name), at: .now(), wall: wall) }
        let former = ["/a", "/b", "/c", "/d", "/e"].map { route($0, .seconds(60)) }
        var other = route("/e", .seconds(60))
        other.upstream = 1
        // Not forbidden, forbidden, gone, for less, and another one under the same name.
        desk.adopt([route("/a", .seconds(60)), route("/b", nil), route("/d", .seconds(30)), other], after: former)
        #expect(Set(desk.records.keys) == ["/a"])
        desk.endAll()
        #expect(desk.records.isEmpty)
    }

    @Test func `is as strict as the strictest of the routes that share a name`() {
        let routes = [
            route("/a", .seconds(60)), route("/b", .seconds(900), name: "/a"), route("/c", .seconds(60)),
            route("/d", nil, name: "/c"),
        ]
        #expect(BreakGlassDesk.limit(of: "/a", in: routes) == .seconds(60))
        #expect(BreakGlassDesk.limit(of: "/c", in: routes) == nil)
        #expect(BreakGlassDesk.limit(of: "/e", in: routes) == nil)
    }

    /// The process that an upgrade replaces has none, and hears of none.
    @Test func `crosses to no other process`() {
        let glass = record("/a").glass
        #expect(LedgerChange.breakGlass(.set(glass)).messages(at: now).isEmpty)
        #expect(LedgerChange.breakGlass(.end(route: "/a")).messages(at: now).isEmpty)
    }
}

@Suite struct `The admin router, about break-glass` {
    private let router = AdminRouter(token: Secret("a token of the admin listener"))

    private func post(_ body: String) -> AdminRequest {
        AdminRequest(method: "POST", path: "/api/v1/break-glass", body: Array(body.utf8))
    }

    private func problem(_ request: AdminRequest, from peer: AdminPeer = .local(user: 1000)) -> AdminProblem? {
        do throws(AdminProblem) {
            _ = try router.decide(request, from: peer)
            return nil
        } catch {
            return error
        }
    }

    private let whole =
        #"{"route":"/admin","duration_seconds":600,"allow":"10.9.0.0/16 192.0.2.1","reason":"keys lost","actor":"bob"}"#

    @Test func `reads an order`() throws {
        let order = try router.decide(post(whole), from: .local(user: 1000))
        #expect(
            order.command
                == .openByBreakGlass(
                    BreakGlassOrder(
                        route: "/admin", allowed: [IPNetwork("10.9.0.0/16")!, IPNetwork("192.0.2.1")!],
                        duration: .seconds(600), reason: "keys lost")))
        #expect(order.actor.description == "uid:1000 (claims bob)")
        let path = "/api/v1/break-glass"
        #expect(
            try router.decide(AdminRequest(method: "GET", path: path), from: .local(user: 1)).command == .breakGlass)
        #expect(
            try router.decide(AdminRequest(method: "DELETE", path: path + "/%2Fadmin"), from: .local(user: 1)).command
                == .endBreakGlass(route: "/admin"))
    }

    @Test(arguments: [
        #"{}"#, #"{"route":"/a","duration_seconds":600,"allow":"10.9.0.0/16"}"#,
        #"{"route":"/a","duration_seconds":600,"allow":"10.9.0.0/16","reason":""}"#,
        #"{"route":"/a","duration_seconds":600,"reason":"r"}"#,
        #"{"route":"/a","duration_seconds":600,"allow":"","reason":"r"}"#,
        #"{"route":"/a","duration_seconds":600,"allow":"0.0.0.0/0","reason":"r"}"#,
        #"{"route":"/a","duration_seconds":600,"allow":"10.9.0.0/16 ::/0","reason":"r"}"#,
        #"{"route":"/a","duration_seconds":3601,"allow":"10.9.0.0/16","reason":"r"}"#,
        #"{"route":"/a","duration_seconds":0,"allow":"10.9.0.0/16","reason":"r"}"#,
        #"{"route":"/a","duration_seconds":null,"allow":"10.9.0.0/16","reason":"r"}"#,
        #"{"route":"/a","allow":"10.9.0.0/16","reason":"r"}"#,
        #"{"duration_seconds":600,"allow":"10.9.0.0/16","reason":"r"}"#,
    ])
    func `takes nothing that is not whole`(_ body: String) {
        #expect(problem(post(body))?.status == 422)
    }

    @Test func `takes no order from the network, whoever has the token`() {
        var request = post(whole)
        #expect(problem(request, from: .network)?.status == 401)
        request.authorization = Array("Bearer a token of the admin listener".utf8)
        #expect(problem(request, from: .network) == .breakGlassIsLocal)
    }
}
