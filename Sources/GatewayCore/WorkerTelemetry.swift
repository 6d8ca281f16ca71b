internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// What a worker counts and records. Counting is a few stores; an audit record allocates, and is made for refusals and
/// logins only.
final class WorkerTelemetry {
    let audit: AuditLog
    private(set) var metrics: MetricShard

    init(audit: AuditLog, metrics: MetricShard) {
        self.audit = audit
        self.metrics = metrics
    }

    func adopt(_ metrics: MetricShard) { self.metrics = metrics }

    /// A refusal was decided.
    func count(_ refusal: Refusal) {
        let metrics = metrics
        let label = refusal.labels
        metrics.countRefusal(stage: label.stage, code: label.code)
        guard let reason = label.reason else { return }
        // Whoever cannot say what they want has not failed to say who they are, nor has a connection without a request.
        if case .malformedRequest? = refusal.reason { return }
        if case .admit = refusal.stage { return }
        metrics.countAuthFailure(reason: reason)
    }

    /// Counts and records a request that was one too many. In a flood each address has a record now and then.
    func record(
        tooMany kind: RateRule.Kind, of client: IPAddress, _ request: @autoclosure () -> AuditRequest,
        _ refusal: Refusal, identity: VerifiedToken?, now: Instant
    ) {
        metrics.countRateLimited(kind.index)
        guard let suppressed = audit.admitLimitedRequest(from: client, at: now) else { return }
        audit.record(
            request().event(
                .rateLimited(limit: kind.rawValue, suppressed: suppressed), stage: refusal.stage, code: refusal.code,
                user: identity.map { .verified(String(decoding: $0.subject, as: UTF8.self)) }))
    }

    /// Records that a token was accepted: once per token and worker, when its signature was checked. A line per request
    /// would tell no more, and the access log names the user of each.
    func record(_ identity: VerifiedToken, _ request: @autoclosure () -> AuditRequest) {
        guard audit.isOn else { return }
        audit.record(
            request().event(
                .authenticated(
                    token: AuditToken(Span(), issuedAt: identity.issuedAt, expiresAt: identity.expiresAt)),
                stage: .authenticate, code: nil,
                user: .verified(String(decoding: identity.subject, as: UTF8.self))))
    }

    /// Counts and records that an expired token was accepted in its grace: each time, since it is an exception.
    func record(
        inGrace identity: VerifiedToken, at now: WallTime, _ request: @autoclosure () -> AuditRequest
    ) {
        let expiry = AuditExpiry(
            at: now.milliseconds, expiresAt: identity.expiresAt.milliseconds, issuedAt: identity.issuedAt?.milliseconds)
        metrics.countExpiredToken(.inGrace, expiry.age)
        guard audit.isOn else { return }
        var token = AuditToken(Span(), issuedAt: identity.issuedAt, expiresAt: identity.expiresAt)
        token.expiry = expiry
        audit.record(
            request().event(
                .authenticatedInGrace(token: token), stage: .authenticate, code: nil,
                user: .verified(String(decoding: identity.subject, as: UTF8.self))))
    }

    /// Counts and records that a request went on by break-glass: each one, since nobody else will know who it was.
    func record(
        _ pass: BreakGlassPass, token: AuditToken?, claimed: TokenRefusal?, _ request: @autoclosure () -> AuditRequest
    ) {
        metrics.countBreakGlass(Reason.allCases.firstIndex(of: pass.reason)!)
        guard audit.isOn else { return }
        audit.record(
            request().event(
                .brokenGlass(reason: pass.reason.rawValue, token: token), stage: .authenticate, code: nil,
                user: claimed?.subject.map(AuditUser.claimed)))
    }

    /// Records that a login of a locked account was refused: the first, and then one in a while with the number of the others.
    func record(
        tried account: AccountMark, _ request: @autoclosure () -> AuditRequest, _ refusal: Refusal, at now: Instant
    ) {
        guard let suppressed = audit.admitLockedLogin(of: account.high, account.low, at: now) else { return }
        var lock = AuditAccountLock(.tried, account.description)
        lock.suppressed = suppressed
        audit.record(request().event(.accountLock(lock), stage: refusal.stage, code: refusal.code))
    }

    /// Records that a login was answered with a challenge. It costs a program nothing to be answered so.
    func record(
        challengeOf client: IPAddress, _ request: @autoclosure () -> AuditRequest, _ refusal: Refusal, now: Instant
    ) {
        guard let suppressed = audit.admitChallenge(to: client, at: now) else { return }
        audit.record(
            request().event(.challenged(suppressed: suppressed), stage: refusal.stage, code: refusal.code))
    }

    /// Writes the audit record of a connection that was one too many of its address.
    func record(refusedConnectionOf peer: IPAddress, port: UInt16, now: Instant) {
        guard let suppressed = audit.admitRefusedConnection(from: peer, at: now) else { return }
        var event = AuditEvent(.connectionRefused(suppressed: suppressed), client: peer)
        event.peer = peer
        event.peerPort = port
        event.stage = Stage.admit.rawValue
        event.code = ErrorCode.rateLimited.rawValue
        audit.record(event)
    }

    /// As `AuditLog.admitBlockedRequest`.
    func admitBlockedRequest(from client: IPAddress, at now: Instant) -> Int? {
        audit.admitBlockedRequest(from: client, at: now)
    }

    /// Writes the audit record of a blocked client's request.
    /// - Parameters:
    ///   - network: the block is of; nil: of the client alone.
    ///   - feed: that names the client.
    func record(
        blocked refusal: Refusal, suppressed: Int, network: IPNetwork?, feed: String?, _ request: AuditRequest
    ) {
        var event = request.event(.blockedRequest(suppressed: suppressed), stage: .screen, code: refusal.code)
        event.countedFor = network
        event.feed = feed
        audit.record(event)
    }

    /// Writes the audit record that any other refusal deserves. Most refusals are no security matter and get none.
    /// - Parameters:
    ///   - token: the refused token; only its prefix is kept.
    ///   - claimed: what it said of itself.
    ///   - identity: of a verified token, which does not allow the request.
    func record(
        _ refusal: Refusal, _ request: @autoclosure () -> AuditRequest, token: AuditToken?, claimed: TokenRefusal?,
        identity: VerifiedToken?
    ) {
        guard audit.isOn, let reason = refusal.reason else { return }
        switch refusal.stage {
        case .authenticate:
            audit.record(
                request().event(
                    .authenticationFailed(reason: reason.rawValue, token: token), stage: .authenticate,
                    code: refusal.code, user: claimed?.subject.map(AuditUser.claimed)))
        case .authorize:
            audit.record(
                request().event(
                    .authorizationFailed(reason: reason.rawValue), stage: .authorize, code: refusal.code,
                    user: identity.map { .verified(String(decoding: $0.subject, as: UTF8.self)) }))
        default: break
        }
    }
}

extension AuditExpiry {
    /// Nil: the token was not refused for its end, or nobody has signed it, so that its dates mean nothing.
    init?(_ refusal: TokenRefusal, at now: WallTime) {
        guard refusal.isSigned, refusal.reason == .tokenExpired, let end = refusal.expiresAt else { return nil }
        self.init(
            at: now.milliseconds, expiresAt: end.milliseconds, issuedAt: refusal.issuedAt?.milliseconds)
    }
}
