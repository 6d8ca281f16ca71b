package import Wire

/// What is known of a request once its head has been read: places in the head's bytes, and what was settled about it.
/// Filled stage by stage; a request that is refused early leaves the rest at its defaults. It is large, so it stays where
/// its owner has it and is handed on by reference.
package struct RequestFacts: Sendable {
    /// Bytes of the head with its empty line; 0 when it never became complete.
    package var headLength = 0
    package var method: Range<Int> = 0..<0
    /// The path of the target as the client wrote it, without the query.
    package var path: Range<Int> = 0..<0
    /// The host that routes, without its port.
    package var host: Range<Int> = 0..<0
    /// The host and port that were asked for.
    package var authority: Range<Int> = 0..<0
    package var userAgent: Range<Int> = 0..<0
    package var origin: Range<Int> = 0..<0
    package var minorVersion: UInt8 = 1
    package var isHead = false
    /// The client asked for the connection to be kept, and nothing about the request forbids it.
    package var keepAlive = false
    /// The client's own connection is secure, by our TLS or by the word of a trusted proxy.
    package var isSecure = false
    package var framing = BodyFraming.none
    /// The client may wait for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    package var expectsContinue = false
    /// The true client (stage *identify*); the peer until then.
    package var client: IPAddress
    /// What it was counted for when it was decided before: now that its token's issuer has answered, or a login has its place,
    /// it is decided again.
    package var counted = RateCount.nothing
    /// Index of the route, once found.
    package var route: Int?

    package init(client: IPAddress) { self.client = client }
}

/// How far a request has got with the rate limits.
package enum RateCount: Hashable, Sendable {
    case nothing
    /// The limits by address.
    case address
}

/// What the gateway answers by itself, without a refusal.
package enum LocalAnswer: Sendable {
    /// GET or HEAD of `/health` on the public listener.
    case health
    /// GET or HEAD of the keys that assertions are verified with.
    case assertionKeys
    /// OPTIONS that may travel no further (RFC 9110 §7.6.2), with the methods of its route; empty: any.
    case options(allow: String)
    /// 308 to the https address, which is ASCII.
    case redirect(location: [UInt8])
}

/// A request that may go on: where to, and what must be remembered until its answer is back.
package struct Plan: Sendable {
    package var upstream: Int
    /// The rules by which the request is a guess at a password or the like: the answer is judged by them.
    package let loginRows: LoginRows
    /// There are some. Kept, because who asks of another module would copy the plan for it.
    package let isLogin: Bool
    /// RFC 9110 §9.2.2: repeating it does no more than doing it once.
    package var isIdempotent: Bool
    /// The connection may change to the protocol that is `Gatekeeper.protocolChange`. Here it would be counted each time
    /// the plan is handed on.
    package var changesProtocol = false
    /// In place of `timeouts.response`.
    package var responseTimeout: Interval?
    /// The token came in the query: caches must not keep the answer for others (RFC 6750 §2.3).
    package var tokenIsInQuery = false
    /// The token has expired, and is good for so long after its end, beyond the leeway; 0: it has not.
    package var grace = Interval.zero
    /// A tunnel or event stream ends with the token.
    package var closesAtExpiry = true
    /// The request goes on by break-glass, which ends then; `never`: it needs none.
    package var glassEnds = Instant.never
    /// The answer tells how the request stands with `Gatekeeper.rateStanding`.
    package var tellsRate = false
    package var isByBreakGlass: Bool { glassEnds != .never }

    package init(upstream: Int, loginRows: LoginRows, isIdempotent: Bool) {
        self.upstream = upstream
        self.loginRows = loginRows
        isLogin = !loginRows.isEmpty
        self.isIdempotent = isIdempotent
    }
}

/// The Gatekeeper's word on the bytes so far.
package enum Verdict: Sendable {
    /// The head is not complete, and nothing is wrong with it yet.
    case incomplete
    case refuse(Refusal)
    /// Only the issuer of the token there knows: to be asked, and this to be decided again.
    case introspect(token: Range<Int>)
    case answer(LocalAnswer)
    case forward(Plan)
}
