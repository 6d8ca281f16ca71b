internal import Ledger
internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    func revoke(
        _ order: RevocationOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        let record = order.record(actor: actor.description, at: .now(), wall: .now())
        // Whoever revokes never means to give something back.
        if let known = gateway.ledger.revocation(of: record.target), !record.covers(known) {
            return completion(AdminProblem.revokedMore(known).response)
        }
        gateway.ledger.revoke(record) { [unowned self] decider in
            whenInForce {
                completion(
                    .json(
                        [
                            "revocation": AdminReports.revocation(record, now: .now(), wall: .now()),
                            "decided_by": .string(decider.rawValue), "note": JSONValue(self.note(on: record.target)),
                        ], status: 201))
            }
        }
    }

    /// What the operator may not have thought of.
    private func note(on target: RevocationTarget) -> String? {
        switch target.kind {
        case .key:
            let ring = KeyRing(gateway.keys.keys, revocations: [], used: [])
            guard ring.keys(named: target.text).isEmpty else { return nil }
            let labels = ring.keys.keys.map(\.label)
            return "no key of that name is here now; there are \(labels.joined(separator: ", "))"
        case .role: return "roles are looked for in the claim \(gateway.configuration.tokens.rolesClaim)"
        case .token, .subject, .issuer: return nil
        }
    }

    func unrevoke(
        _ target: RevocationTarget, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        gateway.ledger.unrevoke(target, actor: actor.description) { [unowned self] lifted, decider in
            if lifted == nil {
                self.record("unrevoke", "\(target) was not revoked", actor, of: target.description)
            }
            whenInForce {
                completion(
                    .json([
                        "lifted": lifted.map { AdminReports.revocation($0, now: .now(), wall: .now()) } ?? .null,
                        "decided_by": .string(decider.rawValue),
                    ]))
            }
        }
    }
}

extension AdminProblem {
    static func revokedMore(_ known: RevocationRecord) -> AdminProblem {
        AdminProblem(
            409, .malformedRequest, "More than that is revoked",
            "\(known.description) are refused already, and some of them would be accepted again; gateway unrevoke takes "
                + "that back first, if it is meant")
    }
}

extension AdminReports {
    /// The newest first; of many only the first `limit`.
    static func revocations(_ records: [RevocationRecord], limit: Int, now: Instant, wall: WallTime) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.since == b.since ? a.target.name.lexicographicallyPrecedes(b.target.name) : b.since < a.since
        }
        return [
            "count": .integer(records.count), "truncated": .boolean(records.count > limit),
            "revocations": .array(sorted.prefix(limit).map { revocation($0, now: now, wall: wall) }),
        ]
    }

    static func revocation(_ record: RevocationRecord, now: Instant, wall: WallTime) -> JSONValue {
        let remaining = record.remaining(at: now)
        var before: WallTime?
        if case .issuedBefore(let time) = record.cutoff { before = time }
        return [
            "kind": .string(record.target.kind.rawValue), "name": .string(record.target.text),
            "issued_before": JSONValue(before?.text), "from": JSONValue(record.from?.text),
            "reason": .string(record.reason), "actor": .string(record.actor),
            "origin": record.origin == .command ? "command" : "by_hand", "since": .string(record.since.text),
            "expires_at": JSONValue(remaining.map { (wall + $0).text }),
            "ttl_seconds": JSONValue(remaining.map(\.secondsRoundedUp)),
        ]
    }
}
