import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

private let now = Instant(nanoseconds: 50_000_000_000)
private let wall = WallTime(seconds: 1_795_262_400)
private let strict = RateLimit(Rate(count: 20, per: .min), burst: 5)

@Suite struct `The desk of rate limits` {
    private let loop = EventLoop()
    private let mailbox = Mailbox<WorkerMessage>()
    private let desk: RateLimitDesk
    private let told = Told()
    private let configuration = RateLimitHouse.configuration

    private final class Told {
        var changes: [LedgerChange] = []
        var tables = 0
    }

    init() throws { try self.init(RateLimitHouse.configuration) }

    private init(_ configuration: Configuration) throws {
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        let broadcast = LedgerBroadcast([mailbox], on: loop)
        let told = told
        broadcast.follower = { told.changes.append($0) }
        desk = RateLimitDesk(
            configuration, broadcast: broadcast, audit: AuditLog(logs), log: OperationalLog(logs, level: .error),
            on: loop, announce: { _ in told.tables += 1 })
    }

    private func set(_ limit: RateLimit?, _ name: RateLimitName = .perAddress, for seconds: Int = 60) {
        desk.set(
            RateOverride(
                name: name, limit: limit, deadline: now + .seconds(seconds), reason: "attack", actor: "uid:0",
                since: wall), at: now, wall: wall)
    }

    private func change(_ limits: [RateLimitName: RateLimit?]) -> LedgerChange {
        var overrides = RateOverrides()
        overrides.limits = limits
        return .rateLimits(overrides)
    }

    @Test func `has no tables until there is a limit, and then one set of them`() throws {
        var configuration = configuration
        configuration.routes = []
        let suite = try Self(configuration)
        #expect(suite.desk.tables == nil)
        suite.set(nil)
        #expect(suite.desk.tables == nil, "none is needed for no limit")
        suite.set(strict)
        suite.set(strict, .perIdentity)
        #expect(suite.desk.tables != nil && suite.told.tables == 1)
        #expect(desk.tables != nil && told.tables == 0, "workers are born with those of the first configuration")
    }

    @Test func `tells the workers of all that is set, and ends each at its time and not before`() {
        set(strict, for: 60)
        set(nil, .perIdentity, for: 30)
        #expect(told.changes.last == change([.perAddress: strict, .perIdentity: nil]))
        desk.expire(at: now + .milliseconds(29_999))
        #expect(desk.inForce.map(\.name) == [.perAddress, .perIdentity])
        desk.expire(at: now + .seconds(30))
        #expect(told.changes.last == change([.perAddress: strict]))
        desk.expire(at: now + .seconds(60))
        #expect(told.changes.last == change([:]) && desk.inForce.isEmpty)
    }

    @Test func `restores what is set, once`() {
        set(strict)
        #expect(desk.restore(.perAddress, by: "uid:0", because: "command"))
        #expect(!desk.restore(.perAddress, by: "uid:0", because: "command"))
        #expect(told.changes == [change([.perAddress: strict]), change([:])])
    }

    @Test func `keeps over a reload what there is still something to count by`() {
        set(strict)
        set(strict, .route("/search"))
        desk.adopt(configuration)
        #expect(desk.inForce.count == 2)
        var next = configuration
        next.routes[1].rateLimit = nil
        desk.adopt(next)
        #expect(desk.inForce.map(\.name) == [.perAddress])
    }

    @Test func `tells what is configured and what is in force`() throws {
        var other = configuration
        other.rateLimits.perIdentity = RateLimit(Rate(count: 600, per: .min), burst: 50)
        set(nil, .perIdentity)
        let report = AdminReports.rateLimits(other, desk.overrides, now: now, wall: wall)
        let rows = try #require(report.array)
        #expect(rows.map { $0["limit"]?.string } == ["per_address", "per_identity", "/search"])
        #expect(rows.map { $0["configured"]?.string } == ["off", "600/min, burst 50", "10/s, burst 3"])
        #expect(rows.map { $0["in_force"]?.string } == ["off", "off", "10/s, burst 3"])
        #expect(rows[1]["override"]?["expires_at"] == "2026-11-21T12:01:00.000Z")
        #expect(rows[2]["per"] == "route" && rows[2]["override"] == .null)
    }
}

enum RateLimitHouse {
    /// Two routes, the second with a limit.
    static var configuration: Configuration {
        func route(_ path: String, _ own: Configuration.RouteRateLimit? = nil) -> Configuration.Route {
            var route = Configuration.Route(
                name: path, path: path, methods: [], upstream: 0, authentication: .none, requiredClaims: [],
                requiredRoles: [])
            route.rateLimit = own
            return route
        }
        return Configuration(
            listeners: [], workers: 1, admin: .init(listen: nil, socketPath: "", token: nil), stateDirectory: "",
            trustedProxies: [], neverBlock: [],
            limits: .init(headBytes: 32_768, fields: 100, targetBytes: 8_192, bodyBytes: 0, connections: 10),
            timeouts: .init(
                head: .seconds(10), body: .seconds(30), idle: .seconds(60), connect: .seconds(2),
                response: .seconds(60), drain: .seconds(20)),
            forwarding: .init(viaName: "gateway", forwarded: true), upstreams: [],
            routes: [
                route("/"), route("/search", .init(per: .route, RateLimit(Rate(count: 10, per: .s), burst: 3))),
            ],
            login: .init(
                endpoints: [], limit: 5, window: .seconds(60), block: .seconds(60), failureStatuses: [401]),
            redis: nil,
            tokens: .init(
                keys: [], issuers: [], audiences: [], leeway: .zero, maximumBytes: 1_000, cacheEntries: 0,
                rolesClaim: "roles"),
            identityHeaders: [], logs: .init(access: .off, audit: .off, level: .info),
            metrics: .init(prefix: "gateway"))
    }
}

@Suite struct `The admin router, about rate limits` {
    private let router = AdminRouter(token: nil)
    private let path = "/api/v1/rate-limits"

    private func command(_ method: String, _ path: String, _ body: String = "") throws(AdminProblem) -> AdminCommand {
        let request = AdminRequest(method: method, path: path, body: Array(body.utf8))
        return try router.decide(request, from: .local(user: 1000)).command
    }

    private func detail(_ body: String) -> String? {
        do throws(AdminProblem) {
            _ = try command("POST", path, body)
            return nil
        } catch {
            return error.detail
        }
    }

    @Test func `reads what is to be set`() throws {
        func order(_ rest: String) throws -> AdminCommand {
            try command("POST", path, #"{"limit":"per_address","duration_seconds":60,"reason":"attack",\#(rest)}"#)
        }
        func wanted(_ limit: RateLimit?) -> AdminCommand {
            .setRateLimit(
                RateLimitOrder(name: .perAddress, limit: limit, duration: .seconds(60), reason: "attack"))
        }
        #expect(try order(#""rate":"20/min","burst":5"#) == wanted(strict))
        #expect(try order(#""rate":"20/min""#) == wanted(RateLimit(Rate(count: 20, per: .min), burst: 10)))
        #expect(try order(#""rate":"off""#) == wanted(nil))
        #expect(try command("GET", path) == .rateLimits)
        #expect(try command("DELETE", "\(path)/per_identity") == .restoreRateLimit(.perIdentity))
        #expect(try command("DELETE", "\(path)/%2Fsearch") == .restoreRateLimit(.route("/search")))
    }

    @Test func `asks for a limit, a rate and an end`() {
        #expect(detail(#"{"rate":"20/min","duration_seconds":60}"#)?.hasPrefix("limit is ") == true)
        for rate in [#""20""#, #""0/s""#, #""1/w""#, #""""#, #""1000001/s""#, #"" 1/s""#, "null"] {
            let text = detail(#"{"limit":"per_address","rate":\#(rate),"duration_seconds":60}"#)
            #expect(text?.hasPrefix("rate is ") == true, "\(rate)")
        }
        for duration in ["0", "604801", "null", "1.5"] {
            let text = detail(#"{"limit":"per_address","rate":"1/s","duration_seconds":\#(duration)}"#)
            #expect(text != nil, "\(duration)")
        }
        #expect(detail(#"{"limit":"per_address","rate":"1/s"}"#)?.hasPrefix("duration_seconds is ") == true)
        for rest in [#""rate":"off","burst":5"#, #""rate":"1/s","burst":0"#, #""rate":"1/s","burst":"5""#] {
            let text = detail(#"{"limit":"per_address","duration_seconds":60,\#(rest)}"#)
            #expect(text?.hasPrefix("burst ") == true, "\(rest)")
        }
    }
}
