internal import Ledger
internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    /// What there is of keys at this moment, and what every worker has seen of them.
    private func withKeys(_ then: @escaping (KeyRing, [String: KeyCensus]) -> Void) {
        gateway.keyDesk.ask(.usage) { [unowned self] answers in
            let census = KeyCensus.sum(answers)
            let used = census.filter { $0.value.requests > 0 }.map(\.key)
            then(KeyRing(gateway.keys.keys, revocations: gateway.ledger.revocations(), used: Set(used)), census)
        }
    }

    func keys(_ completion: @escaping (AdminResponse) -> Void) {
        withKeys { ring, census in
            let wall = WallTime.now()
            completion(
                .json([
                    "keys": .array(
                        ring.keys.keys.map { KeyReports.key($0, ring, census[$0.label] ?? KeyCensus(), at: wall) }),
                    "hidden": .array(self.gateway.keys.hidden.map { .string($0) }),
                    "unreadable": .array(self.gateway.keys.unreadable.map { .string($0) }),
                    "added": .array(
                        Set(ring.keys.keys.map(\.source)).filter(self.gateway.keys.isAdded).sorted().map { .string($0) }
                    ),
                ]))
        }
    }

    // MARK: Steps

    func add(_ key: AddedKey, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        if let problem = gateway.keys.problem(with: key) { return completion(AdminProblem.keyStep(problem).response) }
        // What was said of the name would hold for it as well.
        if let known = RevocationTarget(.key, key.id).flatMap(gateway.ledger.revocation) {
            return completion(
                AdminProblem.keyStep(
                    "\(known.description) are refused since \(known.since.text): take another name, or take that back "
                        + "first with gateway unrevoke --key \(key.id)"
                ).response)
        }
        guard let seal = gateway.keys.seal else {
            let why =
                gateway.configuration.redis == nil
                ? "state_dir/ring.key, which it would be sealed with, cannot be used: it has 32 bytes and mode 600"
                : "replicas share added keys through Redis, sealed with tokens.ring_secret, and that is not set"
            return completion(AdminProblem.keyStep(why).response)
        }
        let sealed = key.sealed(with: seal)
        guard sealed.utf8.count <= longestSharedText else {
            return completion(AdminProblem.keyStep("it is too long: put it into the configuration").response)
        }
        // The router lets no other names through.
        guard let name = SharedName(.key, key.id) else { return }
        gateway.ledger.share(name, SharedText(sealed)) { [unowned self] decider in
            record("key_added", "key \(key.id) is accepted from now on", actor, of: key.id)
            withKeys { ring, census in
                let rows = ring.keys(named: key.id).map {
                    KeyReports.key($0, ring, census[$0.label] ?? KeyCensus(), at: .now())
                }
                completion(.json(["key": rows.first ?? .null, "decided_by": .string(decider.rawValue)], status: 201))
            }
        }
    }

    func carryOut(_ step: KeyStep, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        withKeys { [unowned self] ring, census in
            do throws(AdminProblem) {
                let wall = WallTime.now()
                let own = ring.keys(named: step.name)
                guard !own.isEmpty || step.action == .remove && gateway.keys.wasAdded(step.name) else {
                    throw .noSuchKey(step.name, ring.keys.keys.map(\.label))
                }
                let live = own.reduce(into: Set<LiveToken>()) { $0.formUnion(census[$1.label]?.live ?? []) }
                let keys = gateway.keys
                var end = try KeyDecision.end(of: step, ring, at: wall)
                if step.action == .remove {
                    let isAccepted = own.isEmpty || own.contains { ring.state(of: $0, at: wall).isAccepted(at: wall) }
                    let hindrance = KeyDecision.hindrance(
                        toRemove: step, isAccepted: isAccepted, wasAdded: keys.wasAdded(step.name))
                    if let hindrance { throw hindrance }
                    // Here it goes on.
                    if keys.isConfigured(step.name) { end = nil }
                }
                let effect = KeyReports.Effect(step, ring, live: live, end: end, at: wall)
                if step.isDry { return completion(.json(effect.report(decider: nil, isDry: true))) }
                // The workers were asked meanwhile, and another process may have begun to take over.
                guard gateway.ownsState else { throw .stateIsLeaving }
                perform(step, end, actor) { [unowned self] decider in
                    whenInForce { completion(.json(effect.report(decider: decider, isDry: false))) }
                }
            } catch {
                completion(error.response)
            }
        }
    }

    /// - Parameter end: when tokens of the key are refused from; nil: never.
    private func perform(
        _ step: KeyStep, _ end: WallTime?, _ actor: AdminActor, done: @escaping (Decider) -> Void
    ) {
        if step.action == .remove, let name = SharedName(.key, step.name) {
            // Of no use where it cannot be opened, and of use to others: who says so means it.
            record("key_removed", "key \(step.name) was taken out of the ring: \(step.reason)", actor, of: step.name)
            return gateway.ledger.share(name, nil, completion: done)
        }
        // Names that a key cannot have never came this far.
        guard let target = RevocationTarget(.key, step.name) else { return }
        guard let end else {
            return gateway.ledger.unrevoke(target, actor: actor.description) { done($1) }
        }
        let isAtOnce = step.action == .revoke
        gateway.ledger.revoke(
            RevocationRecord(
                target: target, cutoff: .everyToken, from: isAtOnce ? nil : end, origin: .command, reason: step.reason,
                actor: actor.description, since: .now(), deadline: .never), completion: done)
    }

    // MARK: Proof

    func verifyKeys(_ token: [UInt8]?, _ completion: @escaping (AdminResponse) -> Void) {
        if let token {
            return gateway.keyDesk.ask(.judge([token])) { [unowned self] answers in
                let verdict = KeyReports.agreed(answers, 0, workers: gateway.workers.running)
                completion(.json(["verdict": KeyReports.verdict(verdict)]))
            }
        }
        let wall = WallTime.now()
        let keys = gateway.keys.keys.keys
        let probes = keys.map { ProbeToken.make($0, for: gateway.configuration.tokens, at: wall) }
        gateway.keyDesk.ask(.judge(probes.compactMap(\.self))) { [unowned self] answers in
            withKeys { ring, _ in
                var rows: [JSONValue] = []
                var next = 0
                for (key, probe) in zip(keys, probes) {
                    let verdict = probe.map { _ in
                        KeyReports.agreed(answers, next, workers: self.gateway.workers.running)
                    }
                    if probe != nil { next += 1 }
                    rows.append(KeyReports.proof(key, ring.state(of: key, at: wall), verdict, at: wall))
                }
                completion(.json(["proofs": .array(rows)]))
            }
        }
    }
}

/// What a step comes to, decided without doing it. Pure.
enum KeyDecision {
    /// Why a key is not removed; nil: it may be.
    /// - Parameters:
    ///   - isAccepted: its tokens are good now, here or on another replica. Who uses it there is not known here.
    ///   - wasAdded: at run time, whether the configuration has it by now or not.
    static func hindrance(toRemove step: KeyStep, isAccepted: Bool, wasAdded: Bool) -> AdminProblem? {
        guard wasAdded else {
            return .keyStep("\(step.name) was not added, it is in the configuration: take it out there, and reload")
        }
        guard isAccepted, !step.mayBeInUse else { return nil }
        return .keyStep(
            "its tokens are accepted, and who uses them on other replicas is not known here: retire or revoke it first; or, "
                + "when the configuration of every replica has it, say --in-use")
    }

    /// When tokens of the key are refused from; nil: never.
    static func end(of step: KeyStep, _ ring: KeyRing, at now: WallTime) throws(AdminProblem) -> WallTime? {
        let name = step.name
        let own = ring.record(of: name)
        // What was said of the entry that it is one key of.
        let entry = ring.keys(named: name).lazy.map(\.source).filter { $0 != name }.compactMap(ring.record).first
        func isOver(_ record: RevocationRecord) -> Bool { record.from ?? now <= now }
        switch step.action {
        // What would hinder a removal is told by `hindrance`.
        case .revoke, .remove: return now
        case .rollback:
            if let entry, own == nil || isOver(entry) {
                throw .keyStep("\(name) stands and falls with \(entry.target.text): roll that back")
            }
            guard own != nil else {
                guard let time = ring.cutoff(of: name) else {
                    throw .keyStep("nothing was said of \(name) that could be taken back")
                }
                throw .keyStep(
                    "tokens of \(name) issued before \(time.text) are revoked; gateway unrevoke --key \(name) takes that back"
                )
            }
            return nil
        case .retire(let deadline):
            let end = deadline.time(from: now)
            guard end > now else { throw .keyStep("\(end.text) is over; gateway keys revoke refuses it at once") }
            if let revoked = [entry, own].compactMap(\.self).first(where: isOver) {
                throw .keyStep("\(revoked.target.text) is revoked; gateway keys rollback takes that back")
            }
            if let entry, let from = entry.from, from <= end {
                throw .keyStep("\(name) goes with \(entry.target.text), at \(from.text) already")
            }
            // One target has one revocation: this one would take its place.
            if let time = ring.cutoff(of: name) {
                throw .keyStep(
                    "tokens of \(name) issued before \(time.text) are revoked, and would be good again until then; "
                        + "gateway unrevoke --key \(name) comes first if that is what you want")
            }
            guard step.mayBeLast || !ring.others(than: name, acceptedAt: end, now: now).isEmpty else {
                throw .keyStep(
                    "no other key would be accepted then, and everybody would be logged out; add the new key first, or "
                        + "give --last if that is what you want")
            }
            return end
        }
    }
}
