internal import Crypto
internal import Settings
package import Wire

/// Decides about requests, one worker's worth: a straight line of stages from the bytes of a head to a verdict. It sees
/// no socket and no clock; `now` and the bytes come in, a value goes out.
///
/// `prepare` writes the request for the upstream and belongs to the `decide` right before it: what was found out about
/// the head in between is kept here and not found out twice.
package final class Gatekeeper {
    private(set) var rules: GatekeeperRules
    /// The addresses that are blocked now; the worker applies the Ledger's changes to it.
    package var blocks = BlockTable()
    /// Lists of addresses, as long as these are the newest; the same.
    package var feeds = FeedPlan()
    /// Whom none of them holds back at the moment; the same.
    package var allowances = BlockTable()
    /// The routes that are closed now; the worker applies their changes to it.
    package var lockdowns: LockdownTable
    /// The routes that may be used without a good token now; the same.
    package var breakGlass: BreakGlassTable
    /// Where requests are counted; nil: nowhere, since there has been no limit yet.
    package var rateMeter: (any RateMeter)?
    /// Where it is noted what was taken, for other replicas; nil: they need not know.
    package var rateTakings: RateTakings?
    var rates: RatePlan
    var rateOverrides = RateOverrides()
    /// How the request that was decided last stands with the limit that refused it, or that its answer tells of. Not among
    /// the notes of the head: what is counted would be copied with them.
    package internal(set) var rateStanding: RateStanding?

    /// What the next refusal that is written says of a challenge.
    var posed: PosedChallenge?

    var fields: FieldTable
    var classes: [FieldClass]
    /// The canonical path, where the client wrote another spelling.
    var rewrittenPath: [UInt8] = []
    var head = HeadNotes()
    var knownHost = KnownHost()
    let lastRefusal = RefusalText()
    var identifiers = IDGenerator()
    private let authenticator: Authenticator
    /// Nil: nothing is signed for backends.
    private(set) var asserter: Asserter?
    /// When the request was decided.
    private(set) var decidedAt = WallTime(milliseconds: 0)
    /// The verified token of the request that was decided last.
    package private(set) var identity: VerifiedToken?
    /// The protocol that its connection may change to.
    package private(set) var protocolChange: Upgrade?
    /// What the token of the last refused request claimed; for the audit record, marked there as unverified.
    package private(set) var tokenRefusal: TokenRefusal?
    /// Where that token stands in the head.
    package private(set) var refusedToken: Range<Int>?

    package init(_ rules: GatekeeperRules) {
        self.rules = rules
        let names = rules.configuration.routes.map(\.name)
        lockdowns = LockdownTable(names: names)
        breakGlass = BreakGlassTable(names: names)
        rates = RatePlan(rules.configuration)
        fields = FieldTable(capacity: rules.fieldLimit)
        classes = Array(repeating: .endToEnd, count: rules.fieldLimit)
        authenticator = Authenticator(
            keys: rules.keys, policy: rules.tokenPolicy, routes: rules.configuration.routes)
        asserter = Gatekeeper.asserter(rules)
    }

    private static func asserter(_ rules: GatekeeperRules) -> Asserter? {
        guard let assertions = rules.assertions, let keys = rules.assertionKeys else { return nil }
        return Asserter(assertions, keys)
    }

    /// Takes over new rules; the blocks stay in force, remembered tokens do not.
    package func adopt(_ rules: GatekeeperRules) {
        self.rules = rules
        lastRefusal.clear()
        fields = FieldTable(capacity: rules.fieldLimit)
        classes = Array(repeating: .endToEnd, count: rules.fieldLimit)
        let names = rules.configuration.routes.map(\.name)
        lockdowns.adopt(names: names)
        breakGlass.adopt(names: names)
        rates = RatePlan(rules.configuration, rateOverrides)
        authenticator.update(keys: rules.keys, policy: rules.tokenPolicy, routes: rules.configuration.routes)
        asserter = Gatekeeper.asserter(rules)
    }

    /// Takes over new keys under the same rules. Remembered tokens are judged again at their next use, so a key that is gone
    /// stops at once.
    package func adopt(_ keys: KeySet) { authenticator.update(keys: keys) }

    /// What was seen of tokens, by key.
    package func keyUsage(at now: WallTime) -> [KeyUsage] { authenticator.usage(at: now) }

    /// What a request with this token would be told, before any route is asked.
    package func judge(token: Span<UInt8>, at now: WallTime) -> TokenOutcome { authenticator.judge(token, at: now) }

    /// Takes over a change of the revocations; the next request meets it.
    package func apply(_ delta: RevocationDelta) { authenticator.apply(delta) }

    /// Whether the token that has opened something which goes on is worth nothing any more: it is revoked, or its key is
    /// gone.
    package func isDead(_ token: VerifiedToken, at now: WallTime) -> Bool { authenticator.isDead(token, at: now) }

    /// Takes note of the time. True: a revocation that was announced for later has come into force.
    package func advance(to now: WallTime) -> Bool { authenticator.advance(to: now) }

    /// Takes over other keys to sign assertions with, under the same rules.
    package func adopt(_ keys: AssertionKeyring) { asserter?.adopt(keys) }

    /// Assertions that were signed since the last call.
    package func countAssertions() -> Int { asserter?.takeCount() ?? 0 }

    /// The token of the last request named a key that is not here, and might be fetched.
    package var missesKey: Bool {
        authenticator.hasProviders && (tokenRefusal?.reason == .unknownKid || tokenRefusal?.reason == .jwksUnavailable)
    }

    /// How far ahead of ours the clocks of sources of keys were since the last call, in milliseconds; those that were.
    package func takeLeads() -> [String: Int64] { authenticator.takeLeads() }

    /// A provider's keys are not here.
    package var lacksKeys: Bool { authenticator.lacksKeys }

    /// The life of a request up to the moment it may be forwarded. `bytes` begin with its head and may hold more.
    /// - Parameters:
    ///   - link: of a connection with TLS.
    ///   - passage: who forwards the request if it may go on.
    ///   - facts: what was found out of the request, whatever the verdict; nothing while its head is incomplete.
    package func decide(
        _ bytes: Span<UInt8>, peer: IPAddress, link: ClientLink? = nil, passage: Passage = .ours, now: Instant,
        wall: WallTime, facts: inout RequestFacts
    ) -> Verdict {
        let rules = rules
        let counted = facts.counted
        facts = RequestFacts(client: peer)
        facts.counted = counted
        facts.isSecure = link != nil
        // What is known of the last head points into bytes that are gone; of a head that is refused at its first line
        // nothing must be known (places of another client's token or trace, its path in a log line).
        forget()
        head.passage = passage
        decidedAt = wall
        do throws(Refusal) {
            guard try read(bytes, &facts) else {
                facts = RequestFacts(client: peer)
                return .incomplete
            }
            identify(bytes, peer, &facts)
            if !facts.isSecure { facts.isSecure = isVouchedSecure(bytes, peer) }
            try screen(facts, now)
            if let rule = rates.address { try countAddress(rule, .addressRateLimited, facts, now) }
            // Beside a proxy the path is its own.
            if passage == .ours, isHealthCheck(bytes) { return .answer(.health) }
            if !facts.isSecure, mustBeSecure(bytes) {
                guard !facts.host.isEmpty else { throw .misdirected }
                return .answer(.redirect(location: secureLocation(facts, bytes)))
            }
            if passage == .ours, try isForAssertionKeys(bytes) { return .answer(.assertionKeys) }
            let route = try route(bytes, &facts)
            // Before any token is looked at: who is let through says an address alone.
            if !lockdowns.isEmpty, lockdowns.end(ofRoute: route, for: facts.client, at: now) != nil {
                throw .lockedDown
            }
            if !rates.routes.isEmpty, let rule = rates.routes[route], rule.kind == .routeAddress {
                try countAddress(rule, .addressRateLimitedOnRoute, facts, now)
            }
            // Asked here: handed on, the facts would be copied.
            if authenticator.looksForTokens(route: route) {
                // Known from here on, also of who is refused.
                self.identity = try authenticate(bytes, facts, route, now, wall)
            }
            let identity = self.identity
            try authorize(identity, route, wall)
            if let hops = head.hopsLeft, hops < 0 {
                return .answer(.options(allow: rules.routes.allowedMethods(ofRoute: route)))
            }
            let path = canonicalPath(bytes)
            var plan = Plan(
                upstream: rules.configuration.routes[route].upstream,
                loginRows: rules.logins.rows(method: bytes.extracting(facts.method), path: path),
                isIdempotent: Methods.isIdempotent(bytes.extracting(facts.method)))
            plan.tokenIsInQuery = head.queryCut != nil
            plan.grace = head.grace
            if let glass = head.glass { plan.glassEnds = glass.deadline }
            plan.responseTimeout = rules.configuration.routes[route].responseTimeout
            plan.closesAtExpiry = rules.configuration.routes[route].closesAtExpiry
            // A login is judged by its answer, and a 101 is none.
            if case .at = head.upgrade, !plan.isLogin {
                protocolChange = try upgrade(bytes, facts, route)
                plan.changesProtocol = protocolChange != nil
            }
            if passage == .theirs { try admitUnchanged(plan, bytes) }
            if rates.countsLast {
                try countLast(identity, facts, route, &plan, now, looks: plan.isLogin && passage == .ours)
            }
            return .forward(plan)
        } catch {
            // Not refused yet: the same head is decided again when the issuer has answered.
            guard let token = refusedToken, tokenRefusal?.isPending == true else { return .refuse(error) }
            forget()
            if facts.counted == .nothing { facts.counted = .address }
            return .introspect(token: token)
        }
    }

    /// The issuer of a token has answered. The answer holds for all that is decided until `forgetAnswer`, and longer where it
    /// may be kept.
    package func learn(_ answer: IntrospectionAnswer, about token: [UInt8], at now: WallTime) {
        authenticator.learn(answer, about: token, at: now)
    }

    package func forgetAnswer() { authenticator.forgetAnswer() }

    /// What was learned last, until `forgetAnswer`.
    package var justAnswered: KnownAnswer? { authenticator.justAnswered }

    /// As `learn`, of what was learned before, for the same request.
    package func recall(_ known: KnownAnswer, at now: WallTime) { authenticator.recall(known, at: now) }

    /// Forgets the request that was decided last; to be called, too, before an answer to what no stage has seen.
    package func forget() {
        head = HeadNotes()
        refusedToken = nil
        // Nearly always there is none, and to look costs less than to store.
        if identity != nil { identity = nil }
        if protocolChange != nil { protocolChange = nil }
        if tokenRefusal != nil { tokenRefusal = nil }
        if rateStanding != nil { rateStanding = nil }
    }

    // MARK: identify

    /// Who is the client? The peer, or whom trusted proxies vouch for.
    private func identify(_ bytes: Span<UInt8>, _ peer: IPAddress, _ facts: inout RequestFacts) {
        guard head.forwardedForCount > 0 else { return }
        var walk = ClientAddress(peer: peer, trusted: rules.trusted)
        var index = fields.count - 1
        while index >= 0, walk.wantsMore {
            if classes[index] == .xForwardedFor { walk.take(bytes.extracting(fields[index].value)) }
            index -= 1
        }
        facts.client = walk.address
    }

    /// The request that was decided last names a client, believed or not.
    package var hasForwardedFor: Bool { head.forwardedForCount > 0 }

    /// Whether the address is a proxy whose word about clients is believed.
    package func trusts(_ address: IPAddress) -> Bool { rules.trusted.contains(address) }

    // MARK: screen

    /// Checked before anything is looked up for the request, so that it holds for everything the listener serves.
    private func screen(_ facts: borrowing RequestFacts, _ now: Instant) throws(Refusal) {
        if isBlocked(facts.client, at: now) { throw .addressBlocked }
    }

    /// The list of those who are never blocked wins, and that of those who are not for a while, also over a block that was set by hand: blocking a trusted proxy
    /// would lock out everybody behind it.
    package func isBlocked(_ address: IPAddress, at now: Instant) -> Bool {
        (blocks.match(address, at: now) != nil || !feeds.blocking.isEmpty && feed(holding: address) != nil)
            && !isSpared(address, at: now)
    }

    /// The network whose block holds the address; nil: it has a block of its own, or none.
    package func blockedNetwork(of address: IPAddress, at now: Instant) -> IPNetwork? {
        blocks.match(address, at: now).flatMap { $0.network.isSingleAddress ? nil : $0.network }
    }

    /// Trusted proxies, and whoever is never blocked, or not for a while: they speak for many, so no limit of one address
    /// is theirs.
    package func isSpared(_ address: IPAddress, at now: Instant) -> Bool {
        rules.neverBlocked.contains(address) || !allowances.isEmpty && allowances.match(address, at: now) != nil
    }

    // MARK: route

    private func isHealthCheck(_ bytes: Span<UInt8>) -> Bool {
        guard canonicalPath(bytes).equals("/health") else { return false }
        let method = bytes.extracting(head.line.method)
        return method.equals("GET") || method.equals("HEAD")
    }

    /// On every host, and on no route: whoever verifies need not be anybody's client.
    private func isForAssertionKeys(_ bytes: Span<UInt8>) throws(Refusal) -> Bool {
        guard let path = rules.assertions?.jwksPath, !path.isEmpty, Bytes.equal(path.span, canonicalPath(bytes))
        else { return false }
        let method = bytes.extracting(head.line.method)
        guard method.equals("GET") || method.equals("HEAD") else {
            head.allow = .reading
            throw .methodNotAllowed
        }
        return true
    }

    private func route(_ bytes: Span<UInt8>, _ facts: inout RequestFacts) throws(Refusal) -> Int {
        let found = rules.routes.match(
            host: bytes.extracting(facts.host), path: canonicalPath(bytes),
            method: bytes.extracting(head.requestedMethod ?? facts.method))
        switch found {
        case .route(let index):
            facts.route = index
            return index
        case .methodNotAllowed(let place):
            head.allow = .place(place)
            throw .methodNotAllowed
        case .noRoute: throw .noRoute
        }
    }

    // MARK: authenticate, authorize

    /// The token of the request that was decided last was verified for the first time by this worker.
    package var isNewToken: Bool { identity != nil && !authenticator.lastWasRemembered }

    /// For a route that looks for tokens.
    private func authenticate(
        _ bytes: Span<UInt8>, _ facts: borrowing RequestFacts, _ route: Int, _ now: Instant, _ wall: WallTime
    ) throws(Refusal) -> VerifiedToken? {
        let places = rules.tokenPlaces[route]
        var credentials = Credentials(places)
        if places.isExposed { findExposed(&credentials, bytes, facts, route) }
        // A preflight carries no credentials by design (Fetch §3.2.2); the request behind it does. But both have one query.
        if head.isPreflight {
            if credentials.place == .malformed { throw .malformedCredentials }
            return nil
        }
        for index in 0..<fields.count {
            switch classes[index] {
            case .authorization: credentials.takeAuthorization(fields[index].value, of: bytes)
            case .cookie: credentials.takeCookie(fields[index].value, of: bytes)
            default: continue
            }
        }
        // The word that goes with it cannot be given to a backend that another proxy asks.
        let grace = head.passage == .ours ? grace(bytes, facts, route) : .zero
        switch authenticator.authenticate(credentials.place, in: bytes, route: route, at: wall, grace: grace) {
        case .anonymous: return nil
        case .identified(let token):
            head.tokenIsFromCookie = credentials.isCookie
            if grace > .zero, authenticator.isInGrace(token, at: wall) { head.grace = grace }
            return token
        case .refused(let refusal, let details):
            tokenRefusal = details
            if case .at(let range) = credentials.place { refusedToken = range }
            // Whoever can still be asked about the token is asked first.
            if details?.isPending != true, let pass = breaksGlass(refusal, bytes, facts, route, now) {
                head.glass = pass
                return nil
            }
            throw refusal
        }
    }

    /// A request without a token got here because its route allows that; rules about claims then do not apply either,
    /// unless the route has some.
    private func authorize(_ identity: VerifiedToken?, _ route: Int, _ wall: WallTime) throws(Refusal) {
        guard let identity else {
            if rules.routesWithClaims[route], !head.isPreflight, head.glass == nil { throw .missingToken }
            return
        }
        if let refusal = authenticator.authorize(identity, route: route, at: wall) { throw refusal }
    }

    /// How the request that was decided last got through without a good token.
    package var brokenGlass: BreakGlassPass? { head.glass }

    /// The path for log lines: canonical where that is known, else `path`, which is as it was sent.
    @_lifetime(copy bytes, borrow self)
    package func pathForLogs(_ bytes: Span<UInt8>, _ path: Range<Int>) -> Span<UInt8> {
        guard head.pathIsRewritten else { return bytes.extracting(path) }
        return canonicalPath(bytes)
    }

    /// The canonical path of the head that was read last, without the query.
    @_lifetime(copy bytes, borrow self)
    func canonicalPath(_ bytes: Span<UInt8>) -> Span<UInt8> {
        guard head.pathIsRewritten else { return bytes.extracting(head.path) }
        // The array stays until the next head is decided, and what is known of this one ends there too.
        let rewritten = rewrittenPath.withUnsafeBufferPointer { $0 }
        return unsafe _overrideLifetime(Span(_unsafeElements: rewritten), borrowing: self)
    }
}
