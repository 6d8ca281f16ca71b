import Ledger
import Policy
import Settings
import Telemetry
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The admin router` {
    private static let token = "an admin token, long enough"
    private let router = AdminRouter(token: Secret(token))
    private let withoutToken = AdminRouter(token: nil)
    private let bearer = Array("Bearer \(token)".utf8)
    private let local = AdminPeer.local(user: 1000)

    private func request(_ method: String, _ path: String, body: String = "") -> AdminRequest {
        AdminRequest(method: method, path: path, body: Array(body.utf8))
    }

    /// What a trusted caller's request means.
    private func command(_ request: AdminRequest) throws(AdminProblem) -> AdminCommand {
        try router.decide(request, from: local).command
    }

    private func problem(_ request: AdminRequest, from peer: AdminPeer? = nil) -> AdminProblem? {
        do throws(AdminProblem) {
            _ = try router.decide(request, from: peer ?? local)
            return nil
        } catch {
            return error
        }
    }

    // MARK: Who

    @Test(arguments: ["/health", "/health/detailed", "/ready", "/live", "/metrics", "/.well-known/jwks.json"])
    func `answers probes and Prometheus without a token`(path: String) throws {
        let order = try withoutToken.decide(request("GET", path), from: .network)
        #expect(order.actor.description == "anonymous")
    }

    @Test func `trusts the socket and names the user the kernel named`() throws {
        let order = try withoutToken.decide(request("POST", "/api/v1/reload"), from: local)
        #expect(order.command == .reload)
        #expect(order.actor.description == "uid:1000")
    }

    @Test func `takes the right token over the network`() throws {
        var reload = request("POST", "/api/v1/reload")
        reload.authorization = bearer
        #expect(try router.decide(reload, from: .network).actor.description == "admin-token")
        reload.authorization = Array("bEARER \(Self.token)".utf8)
        #expect(try router.decide(reload, from: .network).command == .reload)
    }

    @Test func `asks for a token where there is none`() {
        let found = problem(request("GET", "/api/v1/status"), from: .network)
        #expect(found?.status == 401)
        #expect(found?.code == "AUTH_001")
        #expect(found?.fields == [.init(name: "WWW-Authenticate", value: "Bearer realm=\"gateway-admin\"")])
    }

    @Test(arguments: ["Bearer wrong", "Bearer an admin token, long enoug", "Bearer an admin token, long enough "])
    func `refuses another token`(authorization: String) {
        var status = request("GET", "/api/v1/status")
        status.authorization = Array(authorization.utf8)
        let found = problem(status, from: .network)
        #expect(found?.status == 401)
        #expect(found?.fields.first?.value == "Bearer realm=\"gateway-admin\", error=\"invalid_token\"")
    }

    @Test(arguments: ["", "Bearer", "Bearer ", "Basic YTpi"])
    func `takes what is no bearer token for none`(authorization: String) {
        var status = request("GET", "/api/v1/status")
        status.authorization = Array(authorization.utf8)
        #expect(problem(status, from: .network) == .unauthorized(isMissing: true))
    }

    @Test func `points to the socket where no token is configured`() {
        #expect(throws: AdminProblem.socketOnly) {
            var status = request("GET", "/api/v1/status")
            status.authorization = bearer
            _ = try withoutToken.decide(status, from: .network)
        }
        #expect(AdminProblem.socketOnly.status == 403)
        #expect(AdminProblem.socketOnly.detail.contains("admin socket"))
    }

    @Test func `does not tell strangers which paths there are`() {
        #expect(problem(request("GET", "/api/v1/nothing"), from: .network)?.status == 401)
        #expect(problem(request("GET", "/api/v1/nothing"))?.status == 404)
        #expect(problem(request("DELETE", "/api/v1/status"), from: .network)?.status == 401)
        #expect(problem(request("DELETE", "/api/v1/status"))?.status == 405)
    }

    @Test func `writes a claimed name down as claimed`() throws {
        var reload = request("POST", "/api/v1/reload")
        reload.claimedActor = "alice"
        #expect(try router.decide(reload, from: local).actor.description == "uid:1000 (claims alice)")
        let block = request("POST", "/api/v1/blocks", body: #"{"network":"192.0.2.1","actor":"bob\n\u0007"}"#)
        #expect(try router.decide(block, from: local).actor.description == "uid:1000 (claims bob)")
        #expect(AdminActor(proved: "x", claimed: String(repeating: "a", count: 100)).claimed?.count == 64)
        #expect(AdminActor(proved: "x", claimed: "\n").description == "x")
    }

    // MARK: What

    @Test func `reads a block`() throws {
        let network = try #require(IPNetwork("192.0.2.0/24"))
        let full = #"{"network":"192.0.2.0/24","duration_seconds":300,"reason":"scan"}"#
        #expect(
            try command(request("POST", "/api/v1/blocks", body: full))
                == .block(network, duration: .length(.seconds(300)), reason: "scan"))
    }

    @Test func `never blocks for ever by leaving something out`() throws {
        let network = try #require(IPNetwork("192.0.2.1"))
        #expect(
            try command(request("POST", "/api/v1/blocks", body: #"{"network":"192.0.2.1"}"#))
                == .block(network, duration: .byRule, reason: "operator"))
        let permanent = #"{"network":"192.0.2.1","duration_seconds":null}"#
        #expect(
            try command(request("POST", "/api/v1/blocks", body: permanent))
                == .block(network, duration: .permanent, reason: "operator"))
    }

    @Test(arguments: [
        (#"{"network":"192.0.2.1","duration_seconds":0}"#, 422),
        (#"{"network":"192.0.2.1","duration_seconds":-5}"#, 422),
        (#"{"network":"192.0.2.1","duration_seconds":1.5}"#, 422),
        (#"{"network":"192.0.2.1","duration_seconds":"300"}"#, 422),
        (#"{"network":"192.0.2.1","duration_seconds":315360001}"#, 422),
        (#"{"network":"192.0.2.1","duration":300}"#, 422),
        (#"{"network":"192.0.2.1","reason":7}"#, 422),
        (#"{"network":"10.1.2.3/8"}"#, 422),
        (#"{"network":"example.org"}"#, 422),
        (#"{"reason":"x"}"#, 422),
        (#"{"network":{"a":1}}"#, 400),
        (#"{"network":"192.0.2.1","network":"192.0.2.2"}"#, 400),
        (#"["192.0.2.1"]"#, 400),
        ("", 400),
    ])
    func `refuses a block that could be meant in two ways`(body: String, status: Int) {
        #expect(problem(request("POST", "/api/v1/blocks", body: body))?.status == status)
    }

    @Test func `lifts one block, with the slash as it is or encoded`() throws {
        let network = try #require(IPNetwork("192.0.2.0/24"))
        #expect(try command(request("DELETE", "/api/v1/blocks/192.0.2.0/24")) == .unblock(.network(network)))
        #expect(try command(request("DELETE", "/api/v1/blocks/192.0.2.0%2F24")) == .unblock(.network(network)))
        let v6 = try #require(IPNetwork("2001:db8::1"))
        #expect(try command(request("DELETE", "/api/v1/blocks/2001%3adb8::1")) == .unblock(.network(v6)))
        #expect(problem(request("DELETE", "/api/v1/blocks/"))?.status == 422)
        #expect(problem(request("GET", "/api/v1/blocks/192.0.2.1"))?.status == 405)
    }

    @Test func `lifts all blocks only when asked in so many words`() throws {
        var all = request("DELETE", "/api/v1/blocks")
        #expect(problem(all)?.status == 422)
        all.query = ["all": "yes"]
        #expect(problem(all)?.status == 422)
        all.query = ["all": "true"]
        #expect(try command(all) == .unblock(.all))
    }

    @Test func `lists a thousand blocks unless told otherwise`() throws {
        var list = request("GET", "/api/v1/blocks")
        #expect(try command(list) == .blocks(limit: 1000))
        list.query = ["limit": "10000"]
        #expect(try command(list) == .blocks(limit: 10_000))
        list.query = ["limit": "10001"]
        #expect(problem(list)?.status == 422)
    }

    @Test func `knows four log levels`() throws {
        #expect(
            try command(request("PUT", "/api/v1/log-level", body: #"{"level":"debug"}"#))
                == .logLevel(LogLevelOrder(level: .debug)))
        let full = #"{"level":"error","scope":"ledger","duration_seconds":86400,"actor":"bob"}"#
        #expect(
            try command(request("PUT", "/api/v1/log-level", body: full))
                == .logLevel(LogLevelOrder(level: .error, scope: .ledger, duration: .seconds(86_400))))
        for body in [
            #"{"level":"info","duration_seconds":0}"#, #"{"level":"info","duration_seconds":86401}"#,
            #"{"level":"info","scope":"redis"}"#, #"{"level":"info","scope":""}"#, #"{"level":"info","for":"1h"}"#,
        ] { #expect(problem(request("PUT", "/api/v1/log-level", body: body))?.status == 422) }
        #expect(problem(request("PUT", "/api/v1/log-level", body: #"{"level":"loud"}"#))?.status == 422)
        #expect(problem(request("PUT", "/api/v1/log-level", body: "{}"))?.status == 422)
    }

    @Test func `updates all feeds or one, whatever its size only where that is said`() throws {
        func update(_ body: String) throws(AdminProblem) -> AdminCommand {
            try command(request("POST", "/admin/threat-intel/update", body: body))
        }
        #expect(try update("") == .updateFeeds(FeedOrder()))
        #expect(try update("{}") == .updateFeeds(FeedOrder()))
        #expect(try update(#"{"feed":"drop"}"#) == .updateFeeds(FeedOrder(feed: "drop")))
        #expect(
            try update(#"{"feed":"drop","may_shrink":true}"#) == .updateFeeds(FeedOrder(feed: "drop", mayShrink: true)))
        for body in [#"{"feed":1}"#, #"{"may_shrink":"yes"}"#, #"{"name":"drop"}"#] {
            #expect(problem(request("POST", "/admin/threat-intel/update", body: body))?.status == 422)
        }
        #expect(problem(request("POST", "/admin/threat-intel/update"), from: .network)?.status == 401)
    }

    @Test func `tells of threats where the runbooks ask, with a token alone`() throws {
        #expect(try command(request("GET", "/security/threats/metrics")) == .threats)
        #expect(problem(request("POST", "/security/threats/metrics"))?.status == 405)
        #expect(try command(request("POST", "/api/v1/threats/webhook-test")) == .testWebhook)
        #expect(problem(request("POST", "/api/v1/threats/webhook-test"), from: .network)?.status == 401)
        #expect(problem(request("GET", "/security/threats/metrics"), from: .network)?.status == 401)
    }

    @Test func `rotates keys gently unless they are said to be compromised`() throws {
        func rotation(_ body: String) throws(AdminProblem) -> AdminCommand {
            try command(request("POST", "/admin/keys/rotate", body: body))
        }
        #expect(try rotation("") == .rotateAssertionKey(isCompromised: false))
        #expect(try rotation("{}") == .rotateAssertionKey(isCompromised: false))
        #expect(try rotation(#"{"compromised":false}"#) == .rotateAssertionKey(isCompromised: false))
        #expect(try rotation(#"{"compromised":true}"#) == .rotateAssertionKey(isCompromised: true))
        for body in [#"{"compromised":1}"#, #"{"compromised":"true"}"#, #"{"comprimised":true}"#] {
            #expect(problem(request("POST", "/admin/keys/rotate", body: body))?.status == 422, "\(body)")
        }
        #expect(problem(request("POST", "/admin/keys/rotate", body: "true"))?.status == 400)
        #expect(problem(request("GET", "/admin/keys/rotate"))?.status == 405)
        #expect(problem(request("POST", "/admin/keys/rotate"), from: .network)?.status == 401)
    }

    @Test func `unlocks one account, by its name or hash, or all, for one network or wherever`() throws {
        func unlock(_ body: String) throws(AdminProblem) -> AdminCommand {
            try command(request("POST", "/api/v1/account-locks/unlock", body: body))
        }
        let mark = AccountMark("0123456789abcdef0000000000000001")!
        #expect(try unlock(#"{"account":"alice"}"#) == .unlock(UnlockOrder(accounts: .named("alice"))))
        #expect(try unlock(#"{"hash":"\#(mark)"}"#) == .unlock(UnlockOrder(accounts: .hashed(mark))))
        #expect(
            try unlock(#"{"all":true,"from":"203.0.113.0/24"}"#)
                == .unlock(UnlockOrder(accounts: .all, network: IPNetwork("203.0.113.0/24"))))
        for body in [
            "{}", #"{"account":"a","all":true}"#, #"{"hash":"alice"}"#, #"{"all":1}"#, #"{"account":"a","from":"x"}"#,
            #"{"account":1}"#, #"{"acount":"a"}"#,
        ] {
            #expect(problem(request("POST", "/api/v1/account-locks/unlock", body: body))?.status == 422, "\(body)")
        }
        #expect(try command(request("GET", "/api/v1/account-locks")) == .locks(limit: 1_000))
        #expect(problem(request("GET", "/api/v1/account-locks"), from: .network)?.status == 401)
        #expect(problem(request("GET", "/api/v1/account-locks/unlock"))?.status == 405)
    }

    @Test func `names the methods a path allows`() {
        let found = problem(request("POST", "/metrics"))
        #expect(found?.status == 405)
        #expect(found?.fields == [.init(name: "Allow", value: "GET, HEAD")])
    }
}
