internal import Wire

/// Tokens that only their issuer can judge: what is known of them, and what is made of an answer.
extension TokenVerifier {
    /// What is known of an opaque token; it is pending where nobody has said anything lately.
    func introspected(_ token: Span<UInt8>, at now: WallTime, _ grace: Interval) -> TokenOutcome {
        // What else there may be in a head is never sent on.
        guard Credentials.isToken68(token) else { return .refused(TokenRefusal(.invalidToken)) }
        let token = token.withUnsafeBufferPointer { Array($0) }
        let entry: IntrospectionCache.Entry
        switch introspections.fresh {
        case .answer(token, let answer): entry = answer
        case .silence(token): return .refused(TokenRefusal(.introspectionUnavailable))
        case .none, .answer, .silence:
            guard let known = introspections.find(token, at: now) else {
                var refusal = TokenRefusal(.introspectionUnavailable)
                refusal.isPending = true
                return .refused(refusal)
            }
            entry = known
        }
        switch entry.finding {
        case .bad(let refusal): return .refused(refusal)
        case .good(let verified):
            if isRevoked(verified, at: now) { return .refused(TokenVerifier.refusal(.revoked, of: verified)) }
            let leeway = policy.leewayMilliseconds
            if verified.dates.isExpired(at: now, leeway: leeway + grace.milliseconds) {
                return .refused(TokenVerifier.refusal(.tokenExpired, of: verified))
            }
            lastWasRemembered = entry.isTold
            introspections.noteUse(of: token)
            return .verified(verified)
        }
    }

    /// An answer has come. Until `forgetAnswer` it holds for whoever waited for it, also where it may not be kept.
    func learn(_ answer: IntrospectionAnswer, about token: [UInt8], at now: WallTime) {
        guard let rules = policy.introspection else { return }
        let finding: IntrospectionCache.Finding
        switch answer {
        case .unavailable:
            introspections.fresh = .silence(token)
            return
        case .inactive: finding = .bad(TokenRefusal(.tokenInactive))
        case .active(let json):
            guard let found = judge(json, rules, at: now) else {
                introspections.fresh = .silence(token)
                return
            }
            finding = found
        }
        var life = rules.badFor
        if case .good = finding { life = rules.goodFor }
        introspections.insert(
            token,
            IntrospectionCache.Entry(
                finding: finding, since: now, until: WallTime(milliseconds: now.milliseconds + life.milliseconds)))
    }

    func forgetAnswer() { introspections.fresh = .none }

    /// The members of an answer are judged as the claims of a payload are (RFC 7662 §2.2 names them alike). Whether the token has
    /// expired depends on the route and the time, so that is asked with each request. Nil: it cannot be read, which a reload
    /// may have brought about.
    private func judge(
        _ json: [UInt8], _ rules: IntrospectionRules, at now: WallTime
    ) -> IntrospectionCache.Finding? {
        guard claims.scan(json: json.span, policy.plan) else { return nil }
        var refusal = TokenRefusal(.invalidToken)
        // Its issuer has said all this.
        refusal.isSigned = true
        let voucher = Voucher(
            algorithm: nil, label: IntrospectionRules.label, keyIndex: -1, keyStamp: rules.stamp, marks: rules.marks,
            issuer: nil, mayBeEndless: true)
        switch accept(voucher, refusal, at: now, grace: .seconds(10 * 366 * 86_400)) {
        case .verified(let verified): return .good(verified)
        case .refused(let refusal): return .bad(refusal)
        }
    }
}
