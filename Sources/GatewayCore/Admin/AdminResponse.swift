internal import Policy
internal import Wire

/// What the admin server answers; decided as a value, turned into bytes at the end.
struct AdminResponse: Hashable, Sendable {
    var status: Int
    var contentType: String
    /// Answers are about this moment, so nobody may keep them, unless it is said otherwise.
    var cacheControl = "no-store"
    /// Further fields, as name and value.
    var fields: [Field] = []
    var body: [UInt8]

    struct Field: Hashable, Sendable {
        var name: String
        var value: String
    }

    /// A JSON document with a newline behind it, which terminals like.
    static func json(_ value: JSONValue, status: Int = 200) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: value.bytes + [10])
    }

    static func text(_ body: [UInt8], contentType: String) -> AdminResponse {
        AdminResponse(status: 200, contentType: contentType, body: body)
    }

    /// The whole message.
    func bytes(keepAlive: Bool, toHead: Bool, at wall: WallTime) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(phrase)\r\nDate: \(wall.httpDate)\r\nContent-Type: \(contentType)\r\n"
        head += "Content-Length: \(body.count)\r\nCache-Control: \(cacheControl)\r\nX-Content-Type-Options: nosniff\r\n"
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        if !keepAlive { head += "Connection: close\r\n" }
        head += "\r\n"
        return Array(head.utf8) + (toHead ? [] : body)
    }

    private var phrase: String {
        switch status {
        case 201: "Created"
        case 422: "Unprocessable Content"
        default: "\(StatusPhrase.of(status))"
        }
    }
}

/// An error for an operator: an RFC 9457 body whose `code` is one of the closed list, and says what to do.
struct AdminProblem: Error, Hashable, Sendable {
    var status: Int
    /// As in `ErrorCode`; `CONF_001` is the one that only operators can meet: the configuration has mistakes.
    var code: String
    var title: String
    var detail: String
    var fields: [AdminResponse.Field] = []
    var extra: [JSONValue.Member] = []

    init(_ status: Int, _ code: ErrorCode, _ title: String, _ detail: String) {
        self.status = status
        self.code = code.rawValue
        self.title = title
        self.detail = detail
    }

    var response: AdminResponse {
        let members: [JSONValue.Member] = [
            .init("type", "about:blank"), .init("title", .string(title)), .init("status", .integer(status)),
            .init("detail", .string(detail)), .init("code", .string(code)),
        ]
        var response = AdminResponse.json(.object(members + extra), status: status)
        response.contentType = "application/problem+json"
        response.fields = fields
        return response
    }

    static func malformed(_ detail: String) -> AdminProblem {
        AdminProblem(400, .malformedRequest, "The request is malformed", detail)
    }

    /// A request that can be read, with a value that cannot be used.
    static func unusable(_ detail: String) -> AdminProblem {
        AdminProblem(422, .malformedRequest, "A value cannot be used", detail)
    }

    static func neverBlocked(_ network: IPNetwork, _ wider: IPNetwork) -> AdminProblem {
        let place = network == wider ? "\(network) is" : "\(network) lies within \(wider), which is"
        return unusable(
            "\(place) in never_block or trusted_proxies, or this host's own address: no block would hold")
    }

    static func tooLarge(_ detail: String) -> AdminProblem {
        AdminProblem(413, .requestTooLarge, "The request is larger than allowed", detail)
    }

    static let noSuchPath = AdminProblem(
        404, .noRoute, "There is no such path", "the paths of this server are listed in docs/admin-api.md")

    static func methodNotAllowed(_ allowed: [String]) -> AdminProblem {
        let list = allowed.joined(separator: ", ")
        var problem = AdminProblem(405, .noRoute, "The path does not allow the method", "allowed: \(list)")
        problem.fields = [.init(name: "Allow", value: list)]
        return problem
    }

    /// RFC 6750 §3.1: nothing was presented, or it is wrong.
    static func unauthorized(isMissing: Bool) -> AdminProblem {
        var problem = AdminProblem(
            401, .invalidToken, isMissing ? "A token is required" : "The token is invalid",
            "send Authorization: Bearer with the value of admin.token, or use the admin socket")
        let challenge = "Bearer realm=\"gateway-admin\"" + (isMissing ? "" : ", error=\"invalid_token\"")
        problem.fields = [.init(name: "WWW-Authenticate", value: challenge)]
        return problem
    }

    static let socketOnly = AdminProblem(
        403, .forbidden, "The path is served on the admin socket only",
        "no admin.token is configured; use the admin socket, or set admin.token_file")

    static let notServing = AdminProblem(
        503, .unavailable, "The gateway is not serving", "it is starting or shutting down; try again")

    static let stateIsLeaving = AdminProblem(
        503, .unavailable, "Another process takes over", "ask again: it answers on the same socket")

    static let nothingIsSigned = AdminProblem(
        404, .noRoute, "No assertions are signed",
        "assertion.header is not set (docs/assertions.md); keys that tokens are checked with: gateway keys")

    static func assertionKeyIsInFile(_ path: String) -> AdminProblem {
        unusable("the key that signs is in \(path): put another one in front of it, and the gateway follows")
    }

    static func rotationIsUnderWay(_ id: String, until time: WallTime) -> AdminProblem {
        AdminProblem(
            503, .unavailable, "A rotation is under way",
            "the key \(id) signs from \(time.text); ask again then, or say that the keys are compromised")
    }

    static func rotationFailed(_ reason: String) -> AdminProblem {
        AdminProblem(503, .unavailable, "There is no new key, and the one before goes on", reason)
    }

    static let upgradeIsUnderWay = AdminProblem(
        503, .unavailable, "An upgrade is under way", "there is one at a time; try again")

    /// - Parameter reason: Its first line is the detail, the others are findings.
    static func upgradeFailed(_ reason: String) -> AdminProblem {
        let lines = reason.split(separator: "\n", maxSplits: 1).map(String.init)
        var problem = AdminProblem(
            503, .unavailable, "The new program did not take over, and the running one goes on", lines.first ?? "")
        if lines.count > 1 {
            problem.extra = [.init("diagnostics", .array([.object([.init("text", .string(lines[1]))])]))]
        }
        return problem
    }

    static func configurationHasMistakes(_ diagnostics: JSONValue) -> AdminProblem {
        var problem = AdminProblem(
            422, .malformedRequest, "The new configuration has mistakes", "the old one stays in force")
        problem.code = "CONF_001"
        problem.extra = [.init("diagnostics", diagnostics)]
        return problem
    }
}
