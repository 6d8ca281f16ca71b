internal import Policy

/// One request and its answer, from the moment it may go to an upstream: what happened comes in, what to do goes out.
/// No sockets, no clock, no bytes; the connections act on its steps.
///
/// ```
/// leasing ─connected→ sending ─requestEnded→ awaiting ─responseHead→ relaying ─responseEnded→ finished
///    │                   │                      │  └─(failed login)→ judging ─judged→ relaying
///    └──── retry ────────┴── upstreamLost ──────┘
/// ```
struct Exchange: ~Copyable {
    enum Event {
        /// The upstream connection is established, or a pooled one was taken.
        case connected
        /// No connection to the chosen server, or the kept one was gone before anything had left.
        case connectFailed
        /// No secured connection to it; what the client is told when no other server is left to try.
        case handshakeFailed(Refusal)
        /// There is no server to connect to, or none may be.
        case notLeased(Refusal)
        /// After `retry`: too much is sent again already.
        case retryDenied
        /// The last byte of the request has been handed to the upstream connection.
        case requestEnded
        /// A final response head. `failedLogin`: the answer of a login endpoint that counts as a failure.
        case responseHead(failedLogin: Bool)
        /// The server has changed to the protocol that was asked for.
        case switched
        /// The Ledger has counted the failure, and every worker knows of a block that came of it.
        case judged
        /// The last byte of the response was read. `reusable`: nothing followed it and neither side said close.
        case responseEnded(reusable: Bool)
        /// The answer cannot be understood.
        case responseMalformed
        /// The answer of a login endpoint cannot be understood, except that it counts as a failure.
        case failedLoginMalformed
        /// The upstream connection ended or broke where it may not.
        case upstreamLost
        /// So it did, behind the first bytes of an answer: the request has been acted on.
        case answerLost
        /// The body of the request cannot be understood.
        case requestMalformed
        /// The body of the request is larger than allowed.
        case requestTooLarge
        /// The server has taken nothing of the request's body for as long as it may.
        case requestStuck
        /// The client is gone, or its body stopped in the middle.
        case clientLost
        /// The deadline of the present state is over.
        case timedOut
    }

    enum Step: Equatable {
        case none
        /// Take a connection of another server (or a fresh one) and send the same bytes again.
        case retry
        /// Answer the client ourselves; the upstream connection is closed.
        case refuse(Refusal)
        /// Hold the response and tell the Ledger of the failure.
        case report
        /// Pass the response head on, then its body.
        case relay
        case finish(keepClient: Bool, keepUpstream: Bool)
        /// Both connections become a tunnel, which has its own rules (`Tunnel`).
        case tunnel
        /// Cut both sides off: the client must see that its answer is not whole.
        case abort
        /// The client is gone; the upstream connection is closed.
        case abandon
    }

    private enum State {
        /// Waiting for a connection. Nothing has been sent. → `sending`, `awaiting`
        case leasing
        /// The head is out, the body under way. → `awaiting`, `judging`, `relaying`
        case sending
        /// The whole request is out. → `judging`, `relaying`, `finished`
        case awaiting
        /// A failed login is held until the Ledger has spoken. → `relaying`
        case judging(requestEnded: Bool)
        /// As `judging`, but the answer cannot be passed on. → `finished`
        case judgingMalformed
        /// The response head went to the client. → `finished`
        case relaying(requestEnded: Bool)
        /// Nothing more will happen.
        case finished
    }

    private var state = State.leasing
    /// The whole request was at hand when the lease began: there is no body to come.
    private let bodiless: Bool
    /// The request can be sent again without harm: its method is idempotent (RFC 9110 §9.2.2), it has no body, and its
    /// bytes were kept.
    private let replayable: Bool
    /// The verdict on a login counts even when nobody waits for it any more.
    private let isLogin: Bool
    private var attemptsLeft: Int
    /// What the client is told if the attempt under way cannot be made; nil before the second one.
    private var failure: Refusal?
    private var clientIsGone = false

    /// - Parameter attempts: connections that may be tried in all, at least 1.
    init(bodiless: Bool, replayable: Bool, isLogin: Bool, attempts: Int) {
        self.bodiless = bodiless
        self.replayable = replayable
        self.isLogin = isLogin
        attemptsLeft = attempts - 1
    }

    /// The head of a final response has been passed on.
    var isRelaying: Bool {
        if case .relaying = state { return true }
        return false
    }

    /// The answer began before the request had ended, which it has not yet.
    var owesRequest: Bool {
        if case .relaying(requestEnded: false) = state { return true }
        return false
    }

    mutating func handle(_ event: Event) -> Step {
        switch (state, event) {
        case (.finished, _): return .none

        case (.leasing, .connected):
            state = bodiless ? .awaiting : .sending
            return .none
        case (.leasing, .connectFailed), (.leasing, .upstreamLost):
            return retry(orRefuse: .upstreamUnreachable)
        case (.leasing, .handshakeFailed(let refusal)): return retry(orRefuse: refusal)
        case (.leasing, .timedOut), (.leasing, .requestStuck):
            return retry(orRefuse: .connectTimeout)
        case (.leasing, .notLeased(let refusal)): return end(.refuse(refusal))
        case (.leasing, .retryDenied): return end(.refuse(failure ?? .upstreamUnreachable))

        case (.sending, .requestEnded):
            state = .awaiting
            return .none
        case (.relaying, .requestEnded):
            state = .relaying(requestEnded: true)
            return .none
        case (.judging, .requestEnded):
            state = .judging(requestEnded: true)
            return .none

        case (.sending, .responseHead(let failedLogin)): return respond(requestEnded: false, failedLogin)
        case (.awaiting, .responseHead(let failedLogin)): return respond(requestEnded: true, failedLogin)
        case (.awaiting, .switched): return end(.tunnel)
        case (.judging(let requestEnded), .judged):
            if clientIsGone { return end(.abandon) }
            state = .relaying(requestEnded: requestEnded)
            return .relay

        case (.relaying(let requestEnded), .responseEnded(let reusable)):
            // An answer before the end of the request: what is left of the body cannot be told from the next request.
            return end(.finish(keepClient: requestEnded, keepUpstream: requestEnded && reusable))

        case (.sending, .upstreamLost), (.awaiting, .upstreamLost):
            if clientIsGone { return end(.abandon) }
            return replayable ? retry(orRefuse: .upstreamFailed) : end(.refuse(.upstreamFailed))
        case (.sending, .answerLost), (.awaiting, .answerLost):
            return end(clientIsGone ? .abandon : .refuse(.upstreamFailed))
        case (.sending, .connectFailed), (.awaiting, .connectFailed):
            return clientIsGone ? end(.abandon) : retry(orRefuse: .upstreamFailed)
        // Told behind the handshake: the server has looked at our certificate and taken nothing of the request.
        case (.sending, .handshakeFailed(let refusal)), (.awaiting, .handshakeFailed(let refusal)):
            return end(clientIsGone ? .abandon : .refuse(refusal))
        case (.sending, .responseMalformed), (.awaiting, .responseMalformed), (.judging, .responseMalformed):
            return end(clientIsGone ? .abandon : .refuse(.badResponse))
        case (.sending, .failedLoginMalformed), (.awaiting, .failedLoginMalformed):
            state = .judgingMalformed
            return .report
        case (.judgingMalformed, .judged): return end(clientIsGone ? .abandon : .refuse(.badResponse))
        case (.sending, .timedOut): return end(.refuse(.bodyTimeout))
        case (.sending, .requestStuck): return end(.refuse(.responseTimeout))
        case (.awaiting, .timedOut): return end(clientIsGone ? .abandon : .refuse(.responseTimeout))
        case (.sending, .requestMalformed), (.leasing, .requestMalformed), (.judging, .requestMalformed),
            (.judgingMalformed, .requestMalformed):
            return end(.refuse(.malformedBody))
        case (.sending, .requestTooLarge), (.leasing, .requestTooLarge), (.judging, .requestTooLarge),
            (.judgingMalformed, .requestTooLarge):
            return end(.refuse(.bodyTooLarge))
        case (.relaying, .requestMalformed), (.relaying, .requestTooLarge), (.relaying, .upstreamLost),
            (.relaying, .responseMalformed), (.relaying, .timedOut), (.relaying, .requestStuck):
            return end(.abort)

        // The upstream may close behind its answer while the answer is held.
        case (.judging, .upstreamLost), (.judging, .timedOut), (.judging, .requestStuck): return .none

        case (.awaiting, .clientLost) where isLogin, (.judging, .clientLost), (.judgingMalformed, .clientLost):
            clientIsGone = true
            return .none
        case (.judgingMalformed, _): return .none
        case (_, .clientLost): return end(.abandon)

        case (.leasing, .requestEnded), (.leasing, .responseHead), (.leasing, .judged), (.leasing, .responseEnded),
            (.leasing, .responseMalformed), (_, .failedLoginMalformed), (_, .connected), (_, .connectFailed),
            (_, .handshakeFailed), (_, .notLeased), (_, .retryDenied), (.awaiting, .requestEnded), (.sending, .judged),
            (.awaiting, .judged), (.relaying, .judged), (.judging, .responseHead), (.relaying, .responseHead),
            (.sending, .responseEnded), (.awaiting, .responseEnded), (.judging, .responseEnded),
            (.awaiting, .requestMalformed), (.awaiting, .requestTooLarge), (_, .requestStuck), (_, .switched),
            (_, .answerLost):
            // The connections cannot produce these; one that did must not bring the other exchanges down.
            return end(.abort)
        }
    }

    private mutating func respond(requestEnded: Bool, _ failedLogin: Bool) -> Step {
        if failedLogin {
            state = .judging(requestEnded: requestEnded)
            return .report
        }
        if clientIsGone { return end(.abandon) }
        state = .relaying(requestEnded: requestEnded)
        return .relay
    }

    private mutating func retry(orRefuse refusal: Refusal) -> Step {
        guard attemptsLeft > 0 else { return end(.refuse(refusal)) }
        attemptsLeft -= 1
        failure = refusal
        state = .leasing
        return .retry
    }

    private mutating func end(_ step: Step) -> Step {
        state = .finished
        return step
    }
}
