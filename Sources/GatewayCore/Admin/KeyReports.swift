internal import Crypto
internal import Ledger
internal import Policy
internal import Wire

/// Keys as the admin server tells of them: never their bytes, secrets by their fingerprint only.
enum KeyReports {
    static func key(_ key: KeySet.Key, _ ring: KeyRing, _ census: KeyCensus, at wall: WallTime) -> JSONValue {
        let state = ring.state(of: key, at: wall)
        let expiries = [census.lastExpiry, census.live.map(\.expiresAt).max()].compactMap { $0 }
        let cutoffs = [ring.cutoff(of: key.label), ring.cutoff(of: key.source)].compactMap { $0 }
        return [
            "key": .string(key.label), "source": .string(key.source), "state": .string(state.word),
            "until": JSONValue(end(of: state)?.text), "issued_before": JSONValue(cutoffs.max()?.text),
            "kind": .string(key.material.description),
            "algorithms": .array(key.algorithms.members.map { .string($0.name) }),
            "fingerprint": .string(key.material.fingerprint),
            "issuer": JSONValue(key.issuer.map { String(decoding: $0, as: UTF8.self) }),
            "requests": .integer(census.requests), "last_used": JSONValue(census.lastUsed?.text),
            "tokens": .integer(census.live.count), "users": .integer(census.live.users),
            "last_expiry": JSONValue(expiries.max()?.text),
        ]
    }

    private static func end(of state: KeyState) -> WallTime? {
        switch state {
        case .retiring(let end), .revoked(let end): end
        case .verifyOnly, .active: nil
        }
    }

    /// What a step does to whom.
    struct Effect {
        let step: KeyStep
        /// When tokens of the key are refused from; nil: never.
        let end: WallTime?
        /// Tokens that it logs out before they expire.
        let cut: Set<LiveToken>
        let lastExpiry: WallTime?
        let others: [String]
        /// When each of them will be refused, as far as that is known.
        let othersUntil: [WallTime?]
        /// Tokens issued until then were revoked before; the step takes the place of that.
        let replaces: WallTime?
        let twins: [String]
        /// Keys of an entry that is taken back, of which something was said by themselves.
        let left: [String]

        init(_ step: KeyStep, _ ring: KeyRing, live: Set<LiveToken>, end: WallTime?, at now: WallTime) {
            self.step = step
            self.end = end
            cut = end.map { live.outliving($0) } ?? []
            lastExpiry = live.map(\.expiresAt).max()
            let others = ring.others(than: step.name, acceptedAt: end ?? now, now: now)
            self.others = others.map(\.label)
            othersUntil = others.map { KeyReports.end(of: ring.state(of: $0, at: now)) }
            replaces = step.action == .revoke ? ring.cutoff(of: step.name) : nil
            twins = end == nil ? [] : ring.twins(of: step.name)
            let own = ring.keys(named: step.name).map(\.label)
            left = end == nil ? own.filter { $0 != step.name && ring.record(of: $0) != nil } : []
        }

        func report(decider: Decider?, isDry: Bool) -> JSONValue {
            [
                "key": .string(step.name), "refused_from": JSONValue(end?.text),
                "tokens_cut": .integer(cut.count), "users_cut": .integer(cut.users),
                "last_expiry": JSONValue(lastExpiry?.text), "other_keys": .array(others.map { .string($0) }),
                "other_keys_until": .array(othersUntil.map { JSONValue($0?.text) }),
                "replaces_issued_before": JSONValue(replaces?.text),
                "same_material": .array(twins.map { .string($0) }),
                "not_taken_back": .array(left.map { .string($0) }),
                "stays": .boolean(step.action == .remove && end == nil), "dry_run": .boolean(isDry),
                "decided_by": JSONValue(decider?.rawValue),
            ]
        }
    }

    // MARK: Proofs

    /// What all workers say alike; nil: they do not, or one of them does not answer.
    static func agreed(_ answers: [KeyAnswer], _ index: Int, workers: Int) -> TokenVerdict? {
        var verdicts: [TokenVerdict] = []
        for case .verdicts(let one) in answers where index < one.count { verdicts.append(one[index]) }
        return verdicts.count == workers && Set(verdicts).count == 1 ? verdicts.first : nil
    }

    static func verdict(_ verdict: TokenVerdict?) -> JSONValue {
        guard let verdict else { return ["result": "unknown", "detail": "the workers do not agree, or do not answer"] }
        return [
            "result": verdict.reason == nil ? "accepted" : "refused", "reason": JSONValue(verdict.reason?.rawValue),
            "key": JSONValue(verdict.key), "subject": JSONValue(verdict.subject),
            "expires_at": JSONValue(verdict.expiresAt?.text),
        ]
    }

    /// - Parameter verdict: outer nil: no token can be made with this key here.
    static func proof(
        _ key: KeySet.Key, _ state: KeyState, _ verdict: TokenVerdict??, at now: WallTime
    ) -> JSONValue {
        let wanted = state.isAccepted(at: now) ? "accepted" : "refused"
        var result = "not_tried"
        var reason: Reason?
        if let verdict {
            result = verdict.map { $0.reason == nil ? "accepted" : "refused" } ?? "unknown"
            reason = verdict?.reason
        }
        return [
            "key": .string(key.label), "state": .string(state.word), "result": .string(result),
            "reason": JSONValue(reason?.rawValue),
            "as_expected": verdict == nil ? .null : .boolean(result == wanted && (reason == nil || reason == .revoked)),
        ]
    }
}

extension AdminProblem {
    static func noSuchKey(_ name: String, _ labels: [String]) -> AdminProblem {
        let there = labels.isEmpty ? "there are none" : "there are \(labels.joined(separator: ", "))"
        return AdminProblem(404, .noRoute, "There is no such key", "no key is called \"\(name.prefix(64))\"; \(there)")
    }

    /// A step that makes no sense now.
    static func keyStep(_ detail: String) -> AdminProblem {
        AdminProblem(409, .malformedRequest, "The step is not possible", detail)
    }
}
