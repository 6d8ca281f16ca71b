internal import Ledger
internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// What the control thread tells a worker. Applied in the order in which it was sent.
enum WorkerMessage: Sendable {
    /// The worker answers with `ControlMessage.applied` when the change is in force on all its connections.
    case ledger(LedgerChange, sequence: Int)
    /// With the servers of all its upstreams: what the rules before it let through must not reach the servers of these.
    case generation(Generation, MetricShard, [UpstreamStanding])
    /// What tokens are verified with from now on.
    case keys(KeySet)
    /// What assertions are signed with from now on.
    case assertionKeys(AssertionKeyring)
    /// Where requests are counted from now on.
    case rateTables(RateTables)
    /// For connections that are accepted from now on.
    case certificates(TLSServerContext)
    /// All sockets to listen on from now on: those that it has already go on, others are closed.
    case listeners([PublicListener])
    /// The servers of an upstream of the generation in force, and which of them may have requests.
    case standing(UpstreamStanding)
    /// The failure behind this ticket is counted; its answer may go.
    case judged(ticket: Int)
    /// Whether the guess behind this ticket may go. A block that stands in its way has been told before.
    case reserved(ticket: Int, LoginAttempt, GuessAnswer)
    /// What the issuer of a token says of it, or that it says nothing.
    case introspected(IntrospectionAnswer, token: [UInt8])
    /// The worker answers with `ControlMessage.keysInspected`.
    case inspectKeys(KeyQuestion, ticket: Int)
    case health(HealthState)
    /// No new connections; answers say `Connection: close`. A connection that waits for a request is closed when it has
    /// waited for `quiet`. The worker answers `drained` when the last one is gone, or at the deadline.
    case drain(deadline: Instant, quiet: Interval)
}

/// What a worker tells the control thread.
enum ControlMessage: Sendable {
    case loginFailed(LoginReport)
    /// A login is whole; answered with `reserved`.
    case reserve(GuessRequest)
    /// `isReturned`: its place is free; else nobody knows what became of it.
    case guessEnded(LoginAttempt, isReturned: Bool)
    /// Whoever waited for a place has gone, and leaves the line.
    case guessWithdrawn(LoginAttempt)
    case applied(worker: Int, sequence: Int)
    /// The attempt has its places still; nil: it needed none.
    case loginSucceeded(AuditRequest, LoginAttempt?)
    /// The backend redirected it: who logs in by a form is sent on, when it was right or, with many, when it was not.
    case loginRedirected(AuditRequest, LoginAttempt?)
    /// TLS with a server failed, for another reason than the last time, or succeeds again (nil).
    case handshake(upstream: String, server: String, problem: String?)
    /// A connection of a peer that announces clients did not begin with a sound PROXY header.
    case headerRefused(IPAddress, reason: String, untold: Int)
    /// A proxy does not say of a request what it must, or somebody asks who may not.
    case callerProblem(IPAddress, CallerProblem, untold: Int)
    /// An open route whose backend refuses requests that no rule counts.
    case unwatchedLogins(route: String, generation: Int)
    /// Nearly all requests of a worker come from one address that may speak for many.
    case oneAddress(TrafficShare.Finding)
    case upstream(UpstreamReport)
    /// Only its issuer knows what this token is worth. Told once until `introspected` comes.
    case tokenUnknown([UInt8])
    /// A token named a key that is not here. Told at most once a second by each worker.
    case keyMissed(isIncomplete: Bool)
    case keysInspected(KeyAnswer, ticket: Int)
    /// Tokens that these sources of keys have signed came from the future, by so many milliseconds at most.
    case clocksAhead([String: Int64])
    /// What was taken from buckets that replicas share, since the last time.
    case taken(RateTakings.Batch)
    /// The worker's thread ends; so many connections were cut off.
    case drained(cut: Int)
}

/// What the control thread asks every worker about keys.
enum KeyQuestion: Sendable {
    /// What was seen of their tokens.
    case usage
    /// What requests with these tokens would be told.
    case judge([[UInt8]])
}

enum KeyAnswer: Sendable {
    case usage([KeyUsage])
    case verdicts([TokenVerdict])
}

/// What became of a token, as an operator may know it.
struct TokenVerdict: Hashable, Sendable {
    /// Nil: it is good.
    var reason: Reason?
    /// The label of the key that signed it, where that was found out; of a refused one its `kid`, or what it claims to be.
    var key: String?
    var subject: String?
    var expiresAt: WallTime?

    init(_ outcome: TokenOutcome) {
        switch outcome {
        case .verified(let token):
            key = token.keyLabel
            subject = String(decoding: token.subject, as: UTF8.self)
            expiresAt = token.expiresAt
        case .refused(let refusal):
            reason = refusal.reason
            key = refusal.keyID
            subject = refusal.subject
            expiresAt = refusal.expiresAt
        }
    }
}

/// A failed login whose answer a worker is holding.
struct LoginReport: Sendable {
    let worker: Int
    /// The worker's number for the held answer.
    let ticket: Int
    /// With the rules by which it failed.
    let attempt: LoginAttempt
    /// Rules that it was for, and by which it has not failed.
    let others: [String]
    let request: AuditRequest
}

/// What /health says of the parts behind the gateway.
struct HealthState: Hashable, Sendable {
    /// `LedgerState.word`.
    var ledger: String
    var isReady: Bool
    var isHealthy: Bool { isReady && ledger != "degraded" }
}
