import Settings
import Synchronization
import Testing
import Wire

@testable import Policy

/// Buckets in a dictionary, for one thread at a time.
final class DictionaryMeter: RateMeter {
    private let buckets = Mutex<[Int: Int]>([:])
    let taken = Mutex<[RateRule.Kind]>([])

    func look(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        buckets.withLock { buckets in
            switch bucket.take(from: buckets[key] ?? 0, at: now) {
            case .refused(let level), .lowered(_, let level): RateAnswer(isAllowed: false, level: level)
            case .taken(_, let level): RateAnswer(isAllowed: true, level: level)
            }
        }
    }

    func take(_ kind: RateRule.Kind, key: Int, _ bucket: TokenBucket, at now: Instant) -> RateAnswer {
        taken.withLock { $0.append(kind) }
        return buckets.withLock { buckets in
            switch bucket.take(from: buckets[key] ?? 0, at: now) {
            case .refused(let level), .lowered(_, let level): return RateAnswer(isAllowed: false, level: level)
            case .taken(let fullAt, let level):
                buckets[key] = fullAt
                return RateAnswer(isAllowed: true, level: level)
            }
        }
    }
}

private final class Guard {
    let meter = DictionaryMeter()
    let gatekeeper: Gatekeeper
    var facts = RequestFacts(client: House.client)

    init(_ change: (inout Configuration) -> Void) {
        var configuration = House.configuration()
        change(&configuration)
        gatekeeper = House.gatekeeper(configuration)
        gatekeeper.rateMeter = meter
    }

    /// Nil: it may go on.
    func refusal(
        _ path: String, from peer: String = "203.0.113.9", token: String? = nil, at now: Instant = House.now,
        fields: String = ""
    ) -> Refusal? {
        let bearer = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        let text = "GET \(path) HTTP/1.1\r\nHost: a\r\n\(bearer)\(fields)\r\n"
        facts.counted = .nothing
        let verdict = gatekeeper.decide(
            Array(text.utf8).span, peer: IPAddress(peer)!, now: now, wall: Mint.now, facts: &facts)
        if case .refuse(let refusal) = verdict { return refusal }
        return nil
    }

    func answer(_ refusal: Refusal) -> String {
        var out = ByteWriter(capacity: 4_096)
        gatekeeper.write(
            refusal, facts, origin: Span(), requestID: Span(), date: Array(House.date.utf8).span,
            retryAfter: gatekeeper.rateStanding?.retryAfter ?? 0, keepAlive: true, into: &out)
        return out.bytes.text
    }
}

private func limit(_ count: Int, burst: Int) -> RateLimit { RateLimit(Rate(count: count, per: .min), burst: burst) }

@Suite struct `Rate limits` {
    @Test func `ask nothing while there are none`() {
        let house = Guard { _ in }
        #expect(house.refusal("/") == nil)
        #expect(house.meter.taken.withLock { $0 }.isEmpty)
    }

    @Test func `count each address, and an IPv6 network of 64 bits as one`() {
        let house = Guard { $0.rateLimits.perAddress = limit(60, burst: 2) }
        #expect(house.refusal("/") == nil)
        #expect(house.refusal("/nowhere") == nil)
        #expect(house.refusal("/") == .addressRateLimited)
        #expect(house.refusal("/", from: "203.0.113.10") == nil)
        #expect(house.refusal("/", at: House.now + .seconds(1)) == nil)
        #expect(house.refusal("/", from: "2001:db8:7::1") == nil)
        #expect(house.refusal("/", from: "2001:db8:7:0:ffff::2") == nil)
        #expect(house.refusal("/", from: "2001:db8:7::3") == .addressRateLimited)
        #expect(house.refusal("/", from: "2001:db8:7:1::1") == nil)
    }

    @Test func `come behind the block, and before the health check`() {
        let house = Guard { $0.rateLimits.perAddress = limit(60, burst: 1) }
        for _ in 0..<3 { #expect(house.refusal("/", from: "198.51.100.7") == .addressBlocked) }
        #expect(house.meter.taken.withLock { $0 }.isEmpty)
        #expect(house.refusal("/health") == nil)
        #expect(house.refusal("/health") == .addressRateLimited)
    }

    @Test func `spare trusted proxies, and count those whom they speak for`() {
        let house = Guard { $0.rateLimits.perAddress = limit(60, burst: 1) }
        for _ in 0..<3 { #expect(house.refusal("/", from: "10.0.0.1") == nil) }
        #expect(house.refusal("/", from: "10.0.0.1", fields: "X-Forwarded-For: 192.0.2.1\r\n") == nil)
        #expect(
            house.refusal("/", from: "10.0.0.2", fields: "X-Forwarded-For: 192.0.2.1\r\n") == .addressRateLimited)
    }

    @Test func `count an identity wherever it comes from, and not what is refused anyway`() {
        let house = Guard { $0.rateLimits.perIdentity = limit(60, burst: 2) }
        let alice = House.token()
        let bob = Mint.token(#"{"sub":"bob","iat":1699999990,"exp":1700003600}"#)
        for _ in 0..<3 { #expect(house.refusal("/admin", token: alice) == .missingRole) }
        #expect(house.refusal("/private", from: "192.0.2.1", token: alice) == nil)
        #expect(house.refusal("/optional", from: "192.0.2.2", token: alice) == nil)
        #expect(house.refusal("/private", from: "192.0.2.3", token: alice) == .identityRateLimited)
        #expect(house.refusal("/private", from: "192.0.2.3", token: bob) == nil)
        #expect(house.refusal("/private", from: "192.0.2.3") == .missingToken)
        for _ in 0..<3 { #expect(house.refusal("/optional", from: "192.0.2.3") == nil, "nobody's") }
    }

    private static func routes(_ path: String, _ own: Configuration.RouteRateLimit) -> [Configuration.Route] {
        House.routes.map { route in
            var route = route
            if route.path == path { route.rateLimit = own }
            return route
        }
    }

    @Test func `of a route by address are asked before any token`() {
        let house = Guard {
            $0.routes = Self.routes("/private", .init(per: .address, limit(60, burst: 1)))
        }
        #expect(house.refusal("/private") == .missingToken)
        #expect(house.refusal("/private") == .addressRateLimitedOnRoute)
        #expect(house.refusal("/") == nil)
        #expect(house.refusal("/private", from: "192.0.2.1", token: House.token()) == nil)
    }

    @Test func `of a route by identity take the address of who has none`() {
        let house = Guard {
            $0.routes = Self.routes("/optional", .init(per: .identity, limit(60, burst: 1)))
        }
        #expect(house.refusal("/optional", token: House.token()) == nil)
        #expect(house.refusal("/optional", from: "192.0.2.1", token: House.token()) == .identityRateLimited)
        #expect(house.refusal("/optional") == nil)
        #expect(house.refusal("/optional") == .identityRateLimited)
        #expect(house.refusal("/optional", from: "192.0.2.1") == nil)
    }

    @Test func `of a whole route take from requests that may go on alone`() {
        let house = Guard { $0.routes = Self.routes("/private", .init(per: .route, limit(60, burst: 1))) }
        for _ in 0..<3 { #expect(house.refusal("/private") == .missingToken) }
        #expect(house.refusal("/private", from: "192.0.2.1", token: House.token()) == nil)
        #expect(house.refusal("/private", from: "192.0.2.2", token: House.token()) == .routeRateLimited)
    }

    @Test func `tell what they are, when there is more, and in the old words where that is asked for`() {
        let house = Guard {
            $0.rateLimits.perAddress = limit(20, burst: 1)
            $0.rateLimits.legacyFields = true
        }
        #expect(house.refusal("/") == nil)
        #expect(house.refusal("/", at: House.now + .milliseconds(500)) == .addressRateLimited)
        let answer = house.answer(.addressRateLimited)
        #expect(answer.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
        #expect(
            answer.contains(
                """
                \r\nRetry-After: 3\r\nRateLimit-Policy: "per_address";q=20;w=60\r\nRateLimit: "per_address";r=0;t=3\r
                X-RateLimit-Limit: 20\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 3\r\n
                """))
        #expect(answer.contains("\"code\":\"RATE_001\""))
        #expect(house.refusal("/", at: House.now + .milliseconds(3_500)) == nil, "when Retry-After said")
    }

    @Test func `are told in answers of the backend where the route says so`() {
        func left(_ own: Configuration.RouteRateLimit) -> Int? {
            let house = Guard {
                $0.rateLimits.perAddress = limit(60, burst: 50)
                $0.rateLimits.perIdentity = limit(60, burst: 40)
                $0.routes = Self.routes("/private", own)
            }
            let text = "GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(House.token())\r\n\r\n"
            let verdict = house.gatekeeper.decide(
                Array(text.utf8).span, peer: House.client, now: House.now, wall: Mint.now, facts: &house.facts)
            guard case .forward(let plan) = verdict else { return -1 }
            return plan.tellsRate ? house.gatekeeper.rateStanding?.level.left : nil
        }
        for subject in Configuration.RouteRateLimit.Subject.allCases {
            #expect(left(.init(per: subject, limit(60, burst: 7), isTold: true)) == 6)
            #expect(left(.init(per: subject, limit(60, burst: 7))) == nil)
        }
    }

    @Test func `are what an operator has set, over a reload, until that is taken back`() {
        let house = Guard {
            $0.rateLimits.perAddress = limit(60, burst: 1)
            $0.routes = Self.routes("/private", .init(per: .address, limit(60, burst: 1)))
        }
        var overrides = RateOverrides()
        overrides.limits[.perAddress] = .some(nil)
        overrides.limits[.route("/private")] = limit(60, burst: 2)
        overrides.limits[.route("/")] = limit(1, burst: 1)
        house.gatekeeper.adopt(overrides)
        house.gatekeeper.adopt(house.gatekeeper.rules)
        for _ in 0..<3 { #expect(house.refusal("/") == nil, "a route without a limit gets none") }
        #expect(house.refusal("/private") == .missingToken)
        #expect(house.refusal("/private") == .missingToken)
        #expect(house.refusal("/private") == .addressRateLimitedOnRoute)
        house.gatekeeper.adopt(RateOverrides())
        #expect(house.refusal("/") == nil)
        #expect(house.refusal("/") == .addressRateLimited)
    }

    @Test func `take from an identity and a route when a login goes on, and not before`() {
        let house = Guard {
            $0.rateLimits.perIdentity = limit(60, burst: 9)
            $0.routes = Self.routes("/optional", .init(per: .route, limit(60, burst: 2), isTold: true))
            $0.login.endpoints = [.init(method: "GET", path: "/optional")]
        }
        let takings = RateTakings {}
        house.gatekeeper.rateTakings = takings
        let text = "GET /optional HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(House.token())\r\n\r\n"
        func decide() -> Verdict {
            house.gatekeeper.decide(
                Array(text.utf8).span, peer: House.client, now: House.now, wall: Mint.now, facts: &house.facts)
        }
        for left in [1, 0] {
            for _ in 0..<3 {
                guard case .forward(let plan) = decide() else {
                    Issue.record("it only looks")
                    return
                }
                #expect(!plan.tellsRate && house.gatekeeper.rateStanding == nil)
            }
            guard case .forward(var plan) = decide() else { return }
            #expect(house.gatekeeper.countLogin(&plan, house.facts, at: House.now) == nil)
            #expect(plan.tellsRate && house.gatekeeper.rateStanding?.level.left == left)
        }
        #expect(house.meter.taken.withLock { $0 } == [.perIdentity, .route, .perIdentity, .route])
        guard case .refuse(.routeRateLimited) = decide() else {
            Issue.record("there is no token left to look at")
            return
        }
        #expect(house.gatekeeper.rateStanding?.retryAfter == 1)
        #expect(takings.takeAll().takings.map(\.requests) == [2, 2])
    }

    @Test func `take from an address once where the issuer of its token is asked`() {
        let house = Guard { $0.rateLimits.perAddress = limit(60, burst: 1) }
        let text = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        house.facts.counted = .address
        for _ in 0..<3 {
            let verdict = house.gatekeeper.decide(
                text.span, peer: House.client, now: House.now, wall: Mint.now, facts: &house.facts)
            guard case .forward = verdict else {
                Issue.record("refused")
                return
            }
        }
        #expect(house.meter.taken.withLock { $0 }.isEmpty)
    }
}
