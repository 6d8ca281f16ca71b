@testable import Policy
@testable import Settings
@testable import Wire

/// The gateway that the conversations and the suites of the stages talk to; Tests/Conversations/README.md describes it
/// for readers.
enum House {
    /// The monotonic time of every test that does not say otherwise.
    static let now = Instant(nanoseconds: 1_000_000_000)
    static let date = "Tue, 14 Nov 2023 22:13:20 GMT"
    static let client = IPAddress("203.0.113.9")!

    static func route(
        _ path: String, name: String? = nil, host: String? = nil, methods: [String] = [], upstream: Int = 0,
        _ authentication: Configuration.Authentication = .none, cookie: String? = nil,
        claims: [Configuration.RequiredClaim] = [], roles: [String] = [], cors: Configuration.CORS? = nil,
        paths: PathRules = PathRules(), upgrades: [String] = ["websocket"]
    ) -> Configuration.Route {
        .init(
            name: name ?? path, host: host, path: path, methods: methods, upstream: upstream,
            authentication: authentication, cookie: cookie, requiredClaims: claims, requiredRoles: roles, cors: cors,
            paths: paths, upgrades: upgrades)
    }

    static let routes: [Configuration.Route] = [
        route("/"),
        route("/private", .required, cookie: "access", cors: .init(allowedOrigins: ["https://app.example.org"])),
        route("/optional", .optional),
        route("/admin", upstream: 1, .required, roles: ["admin"]),
        route("/gold", .required, claims: [.init(name: "tier", oneOf: ["gold"])]),
        route("/claims-without-token", .none, roles: ["admin"]),
        route("/read", methods: ["GET", "POST"], .required),
        route("/only", host: "only.example.org", upstream: 1),
        route("/objects", paths: rules(.keep)),
        route("/objects/private", .required, paths: rules(.keep)),
        route("/web", paths: rules(.normalise)),
        route("/still", upgrades: []),
        route("/mqtt", upgrades: ["mqtt/3.1", "x-chat"]),
    ]

    /// Every spelling handled alike.
    static func rules(_ handling: PathRules.Handling) -> PathRules {
        var rules = PathRules()
        rules.encodedSlash = handling
        rules.backslash = handling
        rules.semicolon = handling
        rules.emptySegments = handling
        rules.dotSegments = handling
        return rules
    }

    static func configuration(routes: [Configuration.Route] = House.routes) -> Configuration {
        Configuration(
            listeners: [], workers: 1,
            admin: .init(listen: nil, socketPath: "state/admin.sock", token: nil), stateDirectory: "state",
            trustedProxies: [IPNetwork("10.0.0.0/8")!, IPNetwork("2001:db8:1::/48")!], neverBlock: [],
            limits: .init(headBytes: 32_768, fields: 100, targetBytes: 8_192, bodyBytes: 0, connections: 10_000),
            timeouts: .init(
                head: .seconds(10), body: .seconds(30), idle: .seconds(60), connect: .seconds(2),
                response: .seconds(60), drain: .seconds(20)),
            forwarding: .init(viaName: "gateway", forwarded: true),
            upstreams: [
                .init(name: "api", servers: [], keepAlive: 64, idleTimeout: .seconds(30)),
                .init(name: "staff", servers: [], keepAlive: 64, idleTimeout: .seconds(30)),
            ],
            routes: routes,
            login: .init(
                endpoints: [.init(method: "POST", path: "/auth/login")], limit: 5, window: .seconds(86_400),
                block: .seconds(300), failureStatuses: [401]),
            redis: nil, tokens: Mint.tokens(), identityHeaders: Mint.headers,
            logs: .init(access: .off, audit: .off, level: .info), metrics: .init(prefix: "gateway"))
    }

    static func rules(_ configuration: Configuration, signing: AssertionKeyring? = nil) -> GatekeeperRules {
        GatekeeperRules(
            configuration, keys: KeySet.build(from: configuration.tokens).keys, assertionKeys: signing)
    }

    /// A gatekeeper whose identifiers are those of xoshiro256** with the seed 1, 2, 3, 4. 198.51.100.7 and the network
    /// 2001:db8:bad::/48 are blocked for a minute.
    static func gatekeeper(
        _ configuration: Configuration = House.configuration(), signing: AssertionKeyring? = nil
    ) -> Gatekeeper {
        let gatekeeper = Gatekeeper(rules(configuration, signing: signing))
        gatekeeper.identifiers = IDGenerator(seed: (1, 2, 3, 4))
        let entries = ["198.51.100.7/32", "2001:db8:bad::/48"].map {
            BlockEntry(network: IPNetwork($0)!, deadline: now + .seconds(60))
        }
        gatekeeper.blocks.replaceAll(entries, at: now)
        return gatekeeper
    }

    /// A token for alice with the claims in `more` (with a comma in front), valid at `Mint.now`.
    static func token(_ more: String = "") -> String { Mint.token(Mint.claims(more)) }
}

/// The house's gatekeeper, asked with text.
final class Gate {
    private let gatekeeper: Gatekeeper

    init(_ configuration: Configuration = House.configuration(), signing: AssertionKeyring? = nil) {
        gatekeeper = House.gatekeeper(configuration, signing: signing)
    }

    func decide(
        _ text: String, from peer: String = "203.0.113.9", at now: Instant = House.now, wall: WallTime = Mint.now
    ) -> Decision {
        var facts = RequestFacts(client: House.client)
        let verdict = gatekeeper.decide(
            Array(text.utf8).span, peer: IPAddress(peer)!, now: now, wall: wall, facts: &facts)
        return Decision(verdict: verdict, facts: facts)
    }

    /// What goes to the upstream; nil when the request does not get that far, or is too long for `capacity`.
    func forwarded(_ text: String, capacity: Int = 65_536, at wall: WallTime = Mint.now) -> String? {
        let bytes = Array(text.utf8)
        var facts = RequestFacts(client: House.client)
        let verdict = gatekeeper.decide(
            bytes.span, peer: House.client, now: House.now, wall: wall, facts: &facts)
        guard case .forward(let plan) = verdict else { return nil }
        let trace = RequestTrace()
        gatekeeper.name(trace, bytes.span, peer: House.client)
        var out = ByteWriter(capacity: capacity)
        gatekeeper.prepare(plan, facts, bytes.span, trace, peer: House.client, into: &out)
        return out.overflowed ? nil : out.bytes.text
    }

    /// The gateway's own answer to a head without an origin, unless one is given.
    func answer(
        _ refusal: Refusal, requestID: String = "", keepAlive: Bool = true, isHead: Bool = false,
        isSecure: Bool = false, date: String = House.date, origin: String = "", retryAfter: Int = 1
    ) -> String {
        var facts = RequestFacts(client: House.client)
        facts.isHead = isHead
        facts.isSecure = isSecure
        facts.route = origin.isEmpty ? nil : House.routes.firstIndex { $0.cors != nil }
        var out = ByteWriter(capacity: 4_096)
        gatekeeper.write(
            refusal, facts, origin: Array(origin.utf8).span, requestID: Array(requestID.utf8).span,
            date: Array(date.utf8).span, retryAfter: retryAfter, keepAlive: keepAlive, into: &out)
        return out.bytes.text
    }

    func adopt(_ keys: AssertionKeyring) { gatekeeper.adopt(keys) }
    func countAssertions() -> Int { gatekeeper.countAssertions() }
    func adopt(_ configuration: Configuration) { gatekeeper.adopt(House.rules(configuration)) }
    func apply(_ delta: BlockDelta) { gatekeeper.blocks.apply(delta, at: House.now) }

    func trace(_ text: String, from peer: String = "203.0.113.9") -> RequestTrace {
        let trace = RequestTrace()
        gatekeeper.name(trace, Array(text.utf8).span, peer: IPAddress(peer)!)
        return trace
    }

    func pathForLogs(_ text: String, _ facts: RequestFacts) -> String {
        let (gatekeeper, bytes) = (gatekeeper, Array(text.utf8))
        return gatekeeper.pathForLogs(bytes.span, facts.path).text
    }

    var identity: VerifiedToken? { gatekeeper.identity }
    var protocolChange: Upgrade? { gatekeeper.protocolChange }
    var tokenRefusal: TokenRefusal? { gatekeeper.tokenRefusal }
    var refusedToken: Range<Int>? { gatekeeper.refusedToken }
}

/// A verdict, and what was found out of the request.
struct Decision {
    let verdict: Verdict
    let facts: RequestFacts

    /// Nil unless the request is refused.
    var refusal: Refusal? {
        if case .refuse(let refusal) = verdict { return refusal }
        return nil
    }

    var plan: Plan? {
        if case .forward(let plan) = verdict { return plan }
        return nil
    }
}
