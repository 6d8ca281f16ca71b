internal import Crypto
internal import Ledger
internal import Policy
internal import Settings
internal import Wire

/// What an operator asks for, read and checked: only the doing is left.
enum AdminCommand: Hashable, Sendable {
    case health
    case detailedHealth
    case status
    case metrics
    case ready
    case live
    /// At most `limit` of them, the newest first.
    case blocks(limit: Int)
    /// - Parameter duration: nil: permanent.
    case block(IPNetwork, duration: BlockDuration, reason: String)
    case unblock(UnblockTarget)
    /// At most `limit` of them, the newest first.
    case revocations(limit: Int)
    case revoke(RevocationOrder)
    case unrevoke(RevocationTarget)
    case allowances
    case allow(AllowanceOrder)
    case disallow(IPNetwork)
    case feeds
    case updateFeeds(FeedOrder)
    case threats
    case testWebhook
    /// At most `limit` of them, the newest first.
    case locks(limit: Int)
    case unlock(UnlockOrder)
    case lockdowns
    case lockDown(LockdownOrder)
    /// `name` is of a lockdown.
    case unlockRoute(SharedName)
    case breakGlass
    case openByBreakGlass(BreakGlassOrder)
    case endBreakGlass(route: String)
    case rateLimits
    case setRateLimit(RateLimitOrder)
    case restoreRateLimit(RateLimitName)
    case keys
    case addKey(AddedKey)
    case keyStep(KeyStep)
    /// Nil: with tokens that the gateway makes itself.
    case verifyKeys(token: [UInt8]?)
    case reload
    case upgrade
    case logLevel(LogLevelOrder)
    case assertionKeys
    case rotateAssertionKey(isCompromised: Bool)
}

extension AdminCommand {
    /// Whether it changes what is kept in the state directory or shared by replicas.
    var changesState: Bool {
        switch self {
        case .block, .unblock, .unlock, .revoke, .unrevoke, .addKey, .keyStep, .lockDown, .unlockRoute,
            .openByBreakGlass, .allow, .disallow, .rotateAssertionKey:
            true
        case .health, .detailedHealth, .status, .metrics, .ready, .live, .blocks, .locks, .revocations, .lockdowns,
            .allowances, .feeds, .updateFeeds, .threats, .testWebhook, .keys, .breakGlass, .endBreakGlass, .rateLimits,
            .setRateLimit, .restoreRateLimit, .verifyKeys, .reload, .upgrade,
            .assertionKeys, .logLevel:
            false
        }
    }
}

enum BlockDuration: Hashable, Sendable {
    /// As long as the rule for failed logins blocks.
    case byRule
    case length(Interval)
    /// Only when asked for in so many words.
    case permanent
}

/// Who is behind a command, for the audit record: what the kernel or the token proves, and what the caller says.
struct AdminActor: Hashable, Sendable, CustomStringConvertible {
    private static let longestClaim = 64
    let proved: String
    let claimed: String?

    init(proved: String, claimed: String?) {
        self.proved = proved
        let visible = claimed?.unicodeScalars.filter { $0.value > 0x20 && $0.value != 0x7f || $0 == " " } ?? []
        self.claimed = visible.isEmpty ? nil : String(String.UnicodeScalarView(visible.prefix(AdminActor.longestClaim)))
    }

    /// `uid:1000`, `admin-token (claims alice)`.
    var description: String { claimed.map { "\(proved) (claims \($0))" } ?? proved }
}

/// Decides about a request to the admin server: whether its sender may, and what is meant. Pure.
struct AdminRouter {
    /// Of `admin.token`; nil: none is configured.
    var token: Secret?

    struct Order: Hashable, Sendable {
        var command: AdminCommand
        var actor: AdminActor
    }

    /// The paths, their methods, and whether a Prometheus or a load balancer may ask without a token.
    private enum Path: String, CaseIterable {
        case health = "/health"
        case detailedHealth = "/health/detailed"
        case ready = "/ready"
        case live = "/live"
        case metrics = "/metrics"
        case status = "/api/v1/status"
        case blocks = "/api/v1/blocks"
        case locks = "/api/v1/account-locks"
        case unlock = "/api/v1/account-locks/unlock"
        case revocations = "/api/v1/revocations"
        case lockdowns = "/api/v1/lockdowns"
        case allowances = "/api/v1/allowances"
        case feeds = "/api/v1/feeds"
        case feedUpdate = "/admin/threat-intel/update"
        case threats = "/security/threats/metrics"
        case webhookTest = "/api/v1/threats/webhook-test"
        case breakGlass = "/api/v1/break-glass"
        case rateLimits = "/api/v1/rate-limits"
        case keys = "/api/v1/keys"
        case verifyKeys = "/api/v1/keys/verify"
        case reload = "/api/v1/reload"
        case upgrade = "/api/v1/upgrade"
        case logLevel = "/api/v1/log-level"
        case assertionKeys = "/.well-known/jwks.json"
        case rotation = "/admin/keys/rotate"

        var methods: [String] {
            switch self {
            case .health, .detailedHealth, .ready, .live, .metrics, .status, .assertionKeys, .feeds, .locks, .threats:
                ["GET", "HEAD"]
            case .keys: ["GET", "HEAD", "POST"]
            case .blocks: ["GET", "HEAD", "POST", "DELETE"]
            case .revocations, .lockdowns, .allowances, .breakGlass, .rateLimits: ["GET", "HEAD", "POST"]
            case .reload, .upgrade, .verifyKeys, .rotation, .feedUpdate, .unlock, .webhookTest: ["POST"]
            case .logLevel: ["PUT"]
            }
        }

        var isOpen: Bool {
            switch self {
            case .health, .detailedHealth, .ready, .live, .metrics, .assertionKeys: true
            case .status, .blocks, .locks, .unlock, .revocations, .lockdowns, .allowances, .feeds, .feedUpdate,
                .threats, .webhookTest, .breakGlass, .rateLimits, .keys, .verifyKeys, .reload, .upgrade, .logLevel,
                .rotation:
                false
            }
        }
    }

    private static let oneBlock = "/api/v1/blocks/"
    private static let oneRevocation = "/api/v1/revocations/"
    private static let oneLockdown = "/api/v1/lockdowns/"
    private static let oneAllowance = "/api/v1/allowances/"
    private static let oneBreakGlass = "/api/v1/break-glass/"
    private static let oneRateLimit = "/api/v1/rate-limits/"

    func decide(_ request: AdminRequest, from peer: AdminPeer) throws(AdminProblem) -> Order {
        let path = Path(rawValue: request.path)
        // Before anything is said of the path: who may not ask does not learn what there is.
        let proved = try authenticate(request, from: peer, isOpen: path?.isOpen ?? false)
        var actor = AdminActor(proved: proved, claimed: request.claimedActor)
        if let path {
            guard path.methods.contains(request.method) else { throw .methodNotAllowed(path.methods) }
            if path == .breakGlass, request.method == "POST" { try mustBeLocal(peer) }
            let command = try command(path, request, &actor)
            return Order(command: command, actor: actor)
        }
        if request.path.hasPrefix(AdminRouter.keyPrefix) {
            return Order(command: .keyStep(try keyStep(request)), actor: actor)
        }
        let ofRoute = "a route, percent-encoded, and nothing behind it"
        if let place = try deleted(
            AdminRouter.oneRevocation, request, "the name is percent-encoded: a question mark in it is %3F")
        {
            return Order(command: .unrevoke(try revocationTarget(inPath: place)), actor: actor)
        }
        if let place = try deleted(AdminRouter.oneLockdown, request, ofRoute) {
            return Order(command: .unlockRoute(try lockdownName(inPath: place)), actor: actor)
        }
        if let place = try deleted(AdminRouter.oneBreakGlass, request, ofRoute) {
            return Order(
                command: .endBreakGlass(route: AdminRequestReader.percentDecoded(place) ?? ""), actor: actor)
        }
        if let place = try deleted(AdminRouter.oneRateLimit, request, "a limit, percent-encoded, and nothing behind it")
        {
            return Order(command: .restoreRateLimit(try rateLimitName(inPath: place)), actor: actor)
        }
        if let place = try deleted(
            AdminRouter.oneAllowance, request, "a network, percent-encoded, and nothing behind it")
        {
            return Order(command: .disallow(try network(AdminRequestReader.percentDecoded(place) ?? "")), actor: actor)
        }
        guard let place = try deleted(AdminRouter.oneBlock, request, "either a network or ?all=true") else {
            throw .noSuchPath
        }
        let network = try network(AdminRequestReader.percentDecoded(place) ?? "")
        return Order(command: .unblock(.network(network)), actor: actor)
    }

    /// What stands behind `prefix` in the path, where one of several is deleted; nil: the path is another one.
    /// - Parameter form: said of a query, which none of them has.
    private func deleted(
        _ prefix: String, _ request: AdminRequest, _ form: String
    ) throws(AdminProblem) -> Substring? {
        guard request.path.hasPrefix(prefix) else { return nil }
        guard request.method == "DELETE" else { throw .methodNotAllowed(["DELETE"]) }
        guard request.query.isEmpty else { throw .unusable(form) }
        return request.path.dropFirst(prefix.count)
    }

    // MARK: Who

    /// What is proved of the caller.
    private func authenticate(
        _ request: AdminRequest, from peer: AdminPeer, isOpen: Bool
    ) throws(AdminProblem) -> String {
        if case .local(let user) = peer { return "uid:\(user)" }
        if isOpen { return "anonymous" }
        guard let token else { throw .socketOnly }
        guard let authorization = request.authorization else { throw .unauthorized(isMissing: true) }
        let scheme = "bearer "
        guard authorization.count > scheme.utf8.count,
            authorization.prefix(scheme.utf8.count).map(Characters.lowercased).elementsEqual(scheme.utf8)
        else { throw .unauthorized(isMissing: true) }
        let presented = Array(authorization.dropFirst(scheme.utf8.count))
        // Of digests, so that not even the length of the token shows in the time.
        let given = Bytes.sha256(presented.span)
        let wanted = Bytes.sha256(token.revealed.span)
        guard Bytes.constantTimeEqual(given.span, wanted.span) else { throw .unauthorized(isMissing: false) }
        return "admin-token"
    }

    // MARK: What

    private func command(
        _ path: Path, _ request: AdminRequest, _ actor: inout AdminActor
    ) throws(AdminProblem) -> AdminCommand {
        switch (path, request.method) {
        case (.health, _): return .health
        case (.detailedHealth, _): return .detailedHealth
        case (.status, _): return .status
        case (.metrics, _): return .metrics
        case (.ready, _): return .ready
        case (.live, _): return .live
        case (.blocks, "POST"):
            let body = try members(of: request, allowed: ["network", "duration_seconds", "reason", "actor"], &actor)
            return try block(body)
        case (.blocks, "DELETE"):
            // Never by leaving something out: all blocks are lifted only by a word that says so.
            guard request.query == ["all": "true"] else {
                throw .unusable("name a network in the path, or ask for all blocks with ?all=true")
            }
            return .unblock(.all)
        case (.blocks, _):
            return .blocks(limit: try limit(request))
        case (.locks, _): return .locks(limit: try limit(request))
        case (.unlock, _): return .unlock(try unlock(try members(of: request, allowed: UnlockOrder.members, &actor)))
        case (.revocations, "POST"):
            let body = try members(of: request, allowed: RevocationOrder.members, &actor)
            return .revoke(try revocation(body))
        case (.revocations, _): return .revocations(limit: try limit(request))
        case (.lockdowns, "POST"):
            let body = try members(of: request, allowed: LockdownOrder.members, &actor)
            return .lockDown(try lockdown(body))
        case (.lockdowns, _): return .lockdowns
        case (.allowances, "POST"):
            let body = try members(of: request, allowed: AllowanceOrder.members, &actor)
            return .allow(try allowance(body))
        case (.allowances, _): return .allowances
        case (.feeds, _): return .feeds
        case (.threats, _): return .threats
        case (.webhookTest, _): return .testWebhook
        case (.feedUpdate, _):
            guard !request.body.isEmpty else { return .updateFeeds(FeedOrder()) }
            let body = try members(of: request, allowed: FeedOrder.members, &actor)
            return .updateFeeds(
                FeedOrder(
                    feed: try string("feed", in: body), mayShrink: try flag("may_shrink", in: body)))
        case (.breakGlass, "POST"):
            let body = try members(of: request, allowed: BreakGlassOrder.members, &actor)
            return .openByBreakGlass(try breakGlass(body))
        case (.breakGlass, _): return .breakGlass
        case (.rateLimits, "POST"):
            let body = try members(of: request, allowed: RateLimitOrder.members, &actor)
            return .setRateLimit(try rateLimit(body))
        case (.rateLimits, _): return .rateLimits
        case (.keys, "POST"): return .addKey(try keyToAdd(request))
        case (.keys, _): return .keys
        case (.verifyKeys, _): return .verifyKeys(token: try tokenToVerify(request))
        case (.reload, _): return .reload
        case (.upgrade, _): return .upgrade
        case (.assertionKeys, _): return .assertionKeys
        case (.rotation, _):
            guard !request.body.isEmpty else { return .rotateAssertionKey(isCompromised: false) }
            let body = try members(of: request, allowed: ["compromised", "actor"], &actor)
            switch body["compromised"] {
            case nil, .null: return .rotateAssertionKey(isCompromised: false)
            case .boolean(let flag): return .rotateAssertionKey(isCompromised: flag)
            default: throw .unusable("compromised is true or false")
            }
        case (.logLevel, _):
            let body = try members(of: request, allowed: LogLevelOrder.members, &actor)
            return .logLevel(try logLevel(body))
        }
    }

    /// The same, of a body that may say who the caller is.
    private func members(
        of request: AdminRequest, allowed: [String], _ actor: inout AdminActor
    ) throws(AdminProblem) -> JSONValue {
        let body = try members(of: request, allowed: allowed)
        if let claim = try string("actor", in: body) { actor = AdminActor(proved: actor.proved, claimed: claim) }
        return body
    }

    private func limit(_ request: AdminRequest) throws(AdminProblem) -> Int {
        guard let number = Int(request.query["limit"] ?? "1000"), (1...10_000).contains(number) else {
            throw .unusable("limit is a number from 1 to 10000")
        }
        return number
    }

    private func block(_ body: JSONValue) throws(AdminProblem) -> AdminCommand {
        guard let name = try string("network", in: body) else { throw .unusable("network is missing") }
        let network = try network(name)
        let reason = try reason(in: body)
        let duration: BlockDuration
        switch body["duration_seconds"] {
        case nil: duration = .byRule
        case .null: duration = .permanent
        case .integer(let seconds) where (1...315_360_000).contains(seconds): duration = .length(.seconds(seconds))
        default: throw .unusable("duration_seconds is a whole number from 1 to 315360000, or null for ever")
        }
        return .block(network, duration: duration, reason: reason)
    }

    /// `operator` when none is given.
    func reason(in body: JSONValue) throws(AdminProblem) -> String {
        let reason = try string("reason", in: body) ?? ""
        guard reason.utf8.count <= 256 else { throw .unusable("reason may have 256 bytes") }
        return reason.isEmpty ? "operator" : reason
    }

    func network(_ text: String) throws(AdminProblem) -> IPNetwork {
        guard let network = IPNetwork(text) else {
            throw .unusable("\"\(text.prefix(64))\" is no address or network such as 203.0.113.7 or 203.0.113.0/24")
        }
        return network
    }

    func members(of request: AdminRequest, allowed: [String]) throws(AdminProblem) -> JSONValue {
        let value: JSONValue
        do throws(JSONFault) {
            value = try JSONValue.read(request.body, depth: 1)
        } catch {
            throw .malformed("the body is not a flat JSON object: \(error)")
        }
        guard case .object(let members) = value else { throw .malformed("the body is not a JSON object") }
        for member in members where !allowed.contains(member.name) {
            let names = allowed.joined(separator: ", ")
            throw .unusable("there is no member \"\(member.name.prefix(64))\"; there are \(names)")
        }
        return value
    }

    /// Nil when it is missing or null.
    func string(_ name: String, in body: JSONValue) throws(AdminProblem) -> String? {
        switch body[name] {
        case nil, .null: return nil
        case .string(let text): return text
        default: throw .unusable("\(name) is a string")
        }
    }
}
