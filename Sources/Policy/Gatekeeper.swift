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

    var fields: FieldTable
    var classes: [FieldClass]
    /// The canonical path, where the client wrote another spelling.
    var rewrittenPath: [UInt8] = []
    var head = HeadNotes()
    var identifiers = IDGenerator()
    private let authenticator: Authenticator
    /// What the token of the last refused request claimed; for the audit record, marked there as unverified.
    package private(set) var tokenRefusal: TokenRefusal?
    /// Where that token stands in the head.
    package private(set) var refusedToken: Range<Int>?

    package init(_ rules: GatekeeperRules) {
        self.rules = rules
        fields = FieldTable(capacity: rules.fieldLimit)
        classes = Array(repeating: .endToEnd, count: rules.fieldLimit)
        authenticator = Authenticator(
            keys: rules.keys, policy: rules.tokenPolicy, routes: rules.configuration.routes)
    }

    /// Takes over new rules; the blocks stay in force, remembered tokens do not.
    package func adopt(_ rules: GatekeeperRules) {
        self.rules = rules
        fields = FieldTable(capacity: rules.fieldLimit)
        classes = Array(repeating: .endToEnd, count: rules.fieldLimit)
        authenticator.update(keys: rules.keys, policy: rules.tokenPolicy, routes: rules.configuration.routes)
    }

    /// The life of a request up to the moment it may be forwarded. `bytes` begin with its head and may hold more.
    /// - Parameters:
    ///   - link: of a connection with TLS.
    ///   - facts: what was found out of the request, whatever the verdict; nothing while its head is incomplete.
    package func decide(
        _ bytes: Span<UInt8>, peer: IPAddress, link: ClientLink? = nil, now: Instant, wall: WallTime,
        facts: inout RequestFacts
    ) -> Verdict {
        facts = RequestFacts(client: peer)
        facts.isSecure = link != nil
        // What is known of the last head points into bytes that are gone; of a head that is refused at its first line
        // nothing must be known (places of another client's token or trace, its path in a log line).
        head = HeadNotes()
        tokenRefusal = nil
        refusedToken = nil
        do throws(Refusal) {
            guard try read(bytes, &facts) else {
                facts = RequestFacts(client: peer)
                return .incomplete
            }
            identify(bytes, peer, &facts)
            if !facts.isSecure { facts.isSecure = isVouchedSecure(bytes, peer) }
            try screen(facts, now)
            if isHealthCheck(bytes, facts) { return .answer(.health) }
            if mustBeSecure(bytes, facts) {
                guard !facts.host.isEmpty else { throw .misdirected }
                return .answer(.redirect(location: secureLocation(facts, bytes)))
            }
            let route = try route(bytes, &facts)
            let identity = try authenticate(bytes, route, wall)
            try authorize(identity, route)
            head.identity = identity
            if let hops = head.hopsLeft, hops < 0 {
                return .answer(.options(allow: rules.routes.allowedMethods(ofRoute: route)))
            }
            let path = canonicalPath(bytes)
            var plan = Plan(
                upstream: rules.configuration.routes[route].upstream,
                isLogin: rules.logins.contains(method: bytes.extracting(facts.method), path: path),
                isIdempotent: Methods.isIdempotent(bytes.extracting(facts.method)))
            plan.responseTimeout = rules.configuration.routes[route].responseTimeout
            plan.closesAtExpiry = rules.configuration.routes[route].closesAtExpiry
            // A login is judged by its answer, and a 101 is none.
            if case .at = head.upgrade, !plan.isLogin { plan.upgrade = try upgrade(bytes, facts, route) }
            return .forward(plan)
        } catch {
            return .refuse(error)
        }
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

    // MARK: screen

    /// Checked before anything is looked up for the request, so that it holds for everything the listener serves.
    private func screen(_ facts: RequestFacts, _ now: Instant) throws(Refusal) {
        if isBlocked(facts.client, at: now) { throw .addressBlocked }
    }

    /// The list of those who are never blocked wins, also over a block that was set by hand: blocking a trusted proxy
    /// would lock out everybody behind it.
    package func isBlocked(_ address: IPAddress, at now: Instant) -> Bool {
        blocks.match(address, at: now) != nil && !isSpared(address)
    }

    /// Trusted proxies, and whoever is never blocked: they speak for many, so no limit of one address is theirs.
    package func isSpared(_ address: IPAddress) -> Bool { rules.neverBlocked.contains(address) }

    // MARK: route

    private func isHealthCheck(_ bytes: Span<UInt8>, _ facts: RequestFacts) -> Bool {
        guard canonicalPath(bytes).equals("/health") else { return false }
        let method = bytes.extracting(facts.method)
        return method.equals("GET") || method.equals("HEAD")
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
            head.allow = rules.routes.allowedMethods(at: place)
            throw .methodNotAllowed
        case .noRoute: throw .noRoute
        }
    }

    // MARK: authenticate, authorize

    /// The token of the request that was decided last was verified for the first time by this worker.
    package var isNewToken: Bool { head.identity != nil && !authenticator.lastWasRemembered }

    private func authenticate(
        _ bytes: Span<UInt8>, _ route: Int, _ wall: WallTime
    ) throws(Refusal) -> VerifiedToken? {
        // A preflight carries no credentials by design (Fetch §3.2.2); the request behind it does.
        if head.isPreflight || !authenticator.looksForTokens(route: route) { return nil }
        var credentials = Credentials(cookieName: authenticator.cookieName(ofRoute: route))
        for index in 0..<fields.count {
            switch classes[index] {
            case .authorization: credentials.takeAuthorization(fields[index].value, of: bytes)
            case .cookie: credentials.takeCookie(fields[index].value, of: bytes)
            default: continue
            }
        }
        switch authenticator.authenticate(credentials.place, in: bytes, route: route, at: wall) {
        case .anonymous: return nil
        case .identified(let token):
            head.tokenIsFromCookie = credentials.isCookie
            return token
        case .refused(let refusal, let details):
            tokenRefusal = details
            if case .at(let range) = credentials.place { refusedToken = range }
            throw refusal
        }
    }

    /// A request without a token got here because its route allows that; rules about claims then do not apply either,
    /// unless the route has some.
    private func authorize(_ identity: VerifiedToken?, _ route: Int) throws(Refusal) {
        guard let identity else {
            if rules.routesWithClaims[route], !head.isPreflight { throw .missingToken }
            return
        }
        if let refusal = authenticator.authorize(identity, route: route) { throw refusal }
    }

    /// The verified token of the request that was decided last.
    package var identity: VerifiedToken? { head.identity }

    /// Calls `body` with the path for log lines: canonical where that is known, else as it was sent.
    package func withPathForLogs<Result>(
        _ bytes: Span<UInt8>, _ facts: RequestFacts, _ body: (Span<UInt8>) -> Result
    ) -> Result {
        guard head.pathIsRewritten else { return body(bytes.extracting(facts.path)) }
        let path = rewrittenPath
        return body(path.span)
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
