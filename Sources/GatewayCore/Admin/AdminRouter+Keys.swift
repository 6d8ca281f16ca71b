internal import Policy
internal import Settings
internal import Wire

/// A step in the life of a key, as an operator orders it.
struct KeyStep: Hashable, Sendable {
    enum Action: Hashable, Sendable {
        case retire(Deadline)
        case revoke
        /// Takes back what was said of it last.
        case rollback
        /// Takes a key away that was added.
        case remove
    }

    enum Deadline: Hashable, Sendable {
        case after(Interval)
        case at(WallTime)

        func time(from now: WallTime) -> WallTime {
            switch self {
            case .after(let interval): now + interval
            case .at(let time): time
            }
        }
    }

    /// Of one key, or of an entry with all its keys.
    var name: String
    var action: Action
    var reason: String
    /// Also when no other key is accepted afterwards.
    var mayBeLast = false
    /// Also when tokens of it are in use.
    var mayBeInUse = false
    /// Only says what would come of it.
    var isDry = false
}

extension AdminRouter {
    static let keyPrefix = "/api/v1/keys/"

    /// `/api/v1/keys/<name>/retire`, the name percent-encoded.
    func keyStep(_ request: AdminRequest) throws(AdminProblem) -> KeyStep {
        let parts = request.path.dropFirst(AdminRouter.keyPrefix.count).split(
            separator: "/", omittingEmptySubsequences: false)
        let members = ["retire": ["in_seconds", "at", "last"], "revoke": [], "rollback": [], "remove": ["in_use"]]
        guard parts.count <= 2 else { throw .unusable("a slash in the name of a key is written as %2F") }
        guard parts.count == 2, let own = members[String(parts[1])] else { throw .noSuchPath }
        guard request.method == "POST" else { throw .methodNotAllowed(["POST"]) }
        guard let name = AdminRequestReader.percentDecoded(parts[0]), RevocationTarget(.key, name) != nil else {
            throw .unusable("the name of a key has 1 to \(RevocationTarget.longestName) bytes, percent-encoded")
        }
        guard request.query.isEmpty else { throw AdminRouter.queryMeansNothing }
        let body: JSONValue =
            request.body.isEmpty
            ? [:]
            : try self.members(of: request, allowed: own + ["reason", "dry_run"])
        var step = KeyStep(name: name, action: .rollback, reason: try reason(in: body))
        switch parts[1] {
        case "retire": step.action = .retire(try deadline(in: body))
        case "revoke": step.action = .revoke
        case "remove": step.action = .remove
        default: break
        }
        step.mayBeLast = try flag("last", in: body)
        step.mayBeInUse = try flag("in_use", in: body)
        step.isDry = try flag("dry_run", in: body)
        return step
    }

    /// Whoever writes `?dry_run=true` means it.
    private static let queryMeansNothing = AdminProblem.unusable(
        "what is asked for stands in the body, not behind a question mark")

    private func deadline(in body: JSONValue) throws(AdminProblem) -> KeyStep.Deadline {
        switch (body["in_seconds"], body["at"]) {
        case (.integer(let seconds)?, nil) where (1...31_536_000).contains(seconds): return .after(.seconds(seconds))
        case (nil, .string(let text)?):
            if let time = WallTime(text: text) { return .at(time) }
        default: break
        }
        throw .unusable(
            "either in_seconds, a whole number from 1 to 31536000, or at, a time such as 2026-11-29T07:00:00Z")
    }

    func flag(_ name: String, in body: JSONValue) throws(AdminProblem) -> Bool {
        switch body[name] {
        case nil, .null: return false
        case .boolean(let value): return value
        default: throw .unusable("\(name) is true or false")
        }
    }

    func keyToAdd(_ request: AdminRequest) throws(AdminProblem) -> AddedKey {
        let body = try members(of: request, allowed: ["id", "secret", "pem", "algorithms", "issuer"])
        guard let id = try string("id", in: body), SharedKeyName.isSound(id) else {
            throw .unusable("id is 1 to 128 letters, digits, dots, hyphens and underscores")
        }
        let source: AddedKey.Source
        let algorithms = try string("algorithms", in: body)?.split(separator: " ").map(String.init) ?? []
        switch (try string("secret", in: body), try string("pem", in: body)) {
        case (let secret?, nil): source = .secret(Secret(Array(secret.utf8)))
        case (nil, let pem?):
            guard !algorithms.isEmpty else {
                throw .unusable("algorithms is missing: RS256 for an RSA key, ES256 for P-256, EdDSA for Ed25519")
            }
            source = .pem(Secret(Array(pem.utf8)))
        default: throw .unusable("either secret or pem holds the key")
        }
        return AddedKey(id: id, source: source, algorithms: algorithms, issuer: try string("issuer", in: body))
    }

    /// Nil: the gateway makes tokens itself.
    func tokenToVerify(_ request: AdminRequest) throws(AdminProblem) -> [UInt8]? {
        guard request.query.isEmpty else { throw AdminRouter.queryMeansNothing }
        guard !request.body.isEmpty else { return nil }
        let body = try members(of: request, allowed: ["token"])
        guard let token = try string("token", in: body) else { return nil }
        guard !token.isEmpty, token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw .unusable("token is a JWT in its compact form")
        }
        return Array(token.utf8)
    }
}
