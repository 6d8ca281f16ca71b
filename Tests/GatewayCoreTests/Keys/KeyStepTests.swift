import Settings
import Testing
import Wire

@testable import GatewayCore

@Suite struct `The admin router, asked about keys,` {
    private let router = AdminRouter(token: nil)

    private func request(_ method: String, _ path: String, _ body: String = "") -> AdminRequest {
        AdminRequest(method: method, path: path, body: Array(body.utf8))
    }

    private func command(_ request: AdminRequest) throws(AdminProblem) -> AdminCommand {
        try router.decide(request, from: .local(user: 1000)).command
    }

    private func step(_ path: String, _ body: String = "") throws -> KeyStep? {
        if case .keyStep(let step) = try command(request("POST", "/api/v1/keys/\(path)", body)) { step } else { nil }
    }

    private func problem(_ request: AdminRequest) -> AdminProblem? {
        do throws(AdminProblem) {
            _ = try command(request)
            return nil
        } catch {
            return error
        }
    }

    // MARK: What is understood

    @Test func `lists them, and proves`() throws {
        #expect(try command(request("GET", "/api/v1/keys")) == .keys)
        #expect(try command(request("HEAD", "/api/v1/keys")) == .keys)
        #expect(try command(request("POST", "/api/v1/keys/verify")) == .verifyKeys(token: nil))
        #expect(try command(request("POST", "/api/v1/keys/verify", "{}")) == .verifyKeys(token: nil))
        #expect(
            try command(request("POST", "/api/v1/keys/verify", #"{"token":"a.b.c"}"#))
                == .verifyKeys(token: Array("a.b.c".utf8)))
    }

    @Test func `retires after seconds, or at a time`() throws {
        #expect(
            try step("main/retire", #"{"in_seconds":86400}"#)
                == KeyStep(name: "main", action: .retire(.after(.seconds(86_400))), reason: "operator"))
        #expect(
            try step("main/retire", #"{"at":"2026-11-29T12:01:00Z","reason":"due","last":true,"dry_run":true}"#)
                == KeyStep(
                    name: "main", action: .retire(.at(KeyHouse.soon)), reason: "due", mayBeLast: true, isDry: true))
    }

    @Test func `revokes and rolls back, with a body or without one`() throws {
        #expect(try step("main/revoke") == KeyStep(name: "main", action: .revoke, reason: "operator"))
        #expect(try step("main/revoke", "{}") == KeyStep(name: "main", action: .revoke, reason: "operator"))
        #expect(
            try step("main/revoke", #"{"reason":"it leaked","dry_run":true}"#)
                == KeyStep(name: "main", action: .revoke, reason: "it leaked", isDry: true))
        #expect(
            try step("main/rollback", #"{"dry_run":false}"#)
                == KeyStep(name: "main", action: .rollback, reason: "operator"))
    }

    @Test func `takes a key's name in percent-encoding`() throws {
        #expect(try step("idp%2F2024-05/revoke")?.name == "idp/2024-05")
        #expect(try step("a%20%C3%A9%25/revoke")?.name == "a é%")
        #expect(try step("verify/revoke")?.name == "verify")
        #expect(try step("\(String(repeating: "k", count: 512))/revoke")?.name.utf8.count == 512)
    }

    // MARK: What is not

    @Test(arguments: ["main", "main/", "main/delete", "main/Retire", ""])
    func `knows no other path`(path: String) {
        #expect(problem(request("POST", "/api/v1/keys/\(path)")) == .noSuchPath)
    }

    @Test(arguments: ["idp/2024-05/revoke", "main/revoke/"])
    func `says how a slash is written`(path: String) {
        #expect(
            problem(request("POST", "/api/v1/keys/\(path)"))?.detail == "a slash in the name of a key is written as %2F"
        )
    }

    @Test(arguments: ["GET", "PUT", "DELETE"])
    func `changes nothing with another method`(method: String) {
        #expect(problem(request(method, "/api/v1/keys/main/revoke")) == .methodNotAllowed(["POST"]))
        #expect(problem(request(method, "/api/v1/keys/verify")) == .methodNotAllowed(["POST"]))
    }

    @Test(arguments: ["", "%", "%zz", "%00%ff", String(repeating: "k", count: 513)])
    func `refuses a name that no key has`(name: String) {
        #expect(
            problem(request("POST", "/api/v1/keys/\(name)/revoke"))
                == .unusable("the name of a key has 1 to 512 bytes, percent-encoded"))
    }

    @Test(arguments: [
        "", "{}", #"{"in_seconds":0}"#, #"{"in_seconds":-1}"#, #"{"in_seconds":31536001}"#, #"{"in_seconds":1.5}"#,
        #"{"in_seconds":"60"}"#, #"{"in_seconds":null}"#, #"{"at":1795953660}"#, #"{"at":"tomorrow"}"#,
        #"{"at":"2026-02-30T00:00:00Z"}"#, #"{"in_seconds":60,"at":"2026-11-29T12:01:00Z"}"#,
    ])
    func `refuses to guess when a key is to go`(body: String) {
        #expect(
            problem(request("POST", "/api/v1/keys/main/retire", body))
                == .unusable(
                    "either in_seconds, a whole number from 1 to 31536000, or at, a time such as 2026-11-29T07:00:00Z"))
    }

    @Test func `takes the longest and the shortest time`() throws {
        #expect(try step("main/retire", #"{"in_seconds":1}"#)?.action == .retire(.after(.seconds(1))))
        #expect(try step("main/retire", #"{"in_seconds":31536000}"#)?.action == .retire(.after(.seconds(31_536_000))))
    }

    @Test(arguments: [
        ("main/revoke", #"{"in_seconds":60}"#, "there is no member \"in_seconds\"; there are reason, dry_run"),
        ("main/rollback", #"{"last":true}"#, "there is no member \"last\"; there are reason, dry_run"),
        (
            "main/retire", #"{"in_second":60}"#,
            "there is no member \"in_second\"; there are in_seconds, at, last, reason, dry_run"
        ),
        ("main/revoke", #"{"dry_run":"true"}"#, "dry_run is true or false"),
        ("main/revoke", #"{"dry_run":1}"#, "dry_run is true or false"),
        ("main/retire", #"{"in_seconds":60,"last":"yes"}"#, "last is true or false"),
        ("main/revoke", #"{"reason":7}"#, "reason is a string"),
        ("verify", #"{"token":7}"#, "token is a string"),
        ("verify", #"{"token":""}"#, "token is a JWT in its compact form"),
        ("verify", #"{"token":"a b"}"#, "token is a JWT in its compact form"),
        ("verify", #"{"token":"é"}"#, "token is a JWT in its compact form"),
        ("verify", #"{"key":"main"}"#, "there is no member \"key\"; there are token"),
    ])
    func `refuses a member that means nothing`(path: String, body: String, detail: String) {
        #expect(problem(request("POST", "/api/v1/keys/\(path)", body)) == .unusable(detail))
    }

    @Test(arguments: ["[]", "main", "{", #"{"dry_run":true,"dry_run":false}"#])
    func `refuses a body that is no flat object`(body: String) {
        for path in ["main/revoke", "main/retire", "main/rollback", "verify"] {
            #expect(problem(request("POST", "/api/v1/keys/\(path)", body))?.status == 400)
        }
    }

    /// Whoever writes `?dry_run=true` means it.
    @Test(arguments: ["main/revoke", "main/retire", "main/rollback", "verify"])
    func `refuses what stands behind a question mark`(path: String) {
        var asked = request("POST", "/api/v1/keys/\(path)", path.hasSuffix("retire") ? #"{"in_seconds":60}"# : "")
        asked.query = ["dry_run": "true"]
        #expect(problem(asked) == .unusable("what is asked for stands in the body, not behind a question mark"))
    }

    @Test func `asks strangers for a token first`() {
        let withToken = AdminRouter(token: Secret("an admin token, long enough"))
        for path in ["", "/main/revoke", "/main/delete", "/verify"] {
            #expect(throws: AdminProblem.unauthorized(isMissing: true)) {
                try withToken.decide(request("POST", "/api/v1/keys\(path)"), from: .network)
            }
        }
    }
}
