internal import Ledger
internal import Policy
internal import Wire

extension AdminDesk {
    func allow(_ order: AllowanceOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        guard let name = SharedName(.allowance, order.network.description) else {
            return completion(AdminProblem.tooWideToAllow(order.network).response)
        }
        let known = gateway.allowances.records
        guard known.count < AllowanceDesk.most || known[name.id] != nil else {
            return completion(AdminProblem.unusable("there are \(AllowanceDesk.most) of them already").response)
        }
        let (now, wall) = (Instant.now(), WallTime.now())
        let record = AllowanceRecord(
            order.network, until: now + order.duration, reason: order.reason, actor: actor.description, since: wall)
        let text = SharedText(record.text(until: wall + order.duration), until: record.deadline)
        gateway.ledger.share(name, text) { [unowned self] decider in
            whenInForce {
                let overridden = self.gateway.ledger.blocks().map(\.network).filter { $0.covers(order.network) }
                completion(
                    .json(
                        [
                            "allowance": record.report(now: .now(), wall: .now()),
                            "overrides": .array(overridden.map { .string($0.description) }),
                            "decided_by": .string(decider.rawValue),
                        ], status: 201))
            }
        }
    }

    /// Ends it in whatever spelling it is there.
    func disallow(_ network: IPNetwork, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let desk = gateway.allowances
        let names = desk.names(of: network)
        let former = names.lazy.compactMap { desk.records[$0.id] }.first
        if former == nil { record("disallow", "\(network) was not allowed", actor, of: network.description) }
        var waiting = names.count
        var isLocal = false
        for name in names {
            desk.lifting(name.id, by: actor.description) {
                gateway.ledger.share(name, nil) { [unowned self] decider in
                    waiting -= 1
                    isLocal = isLocal || decider == .local
                    guard waiting == 0 else { return }
                    let decider = isLocal ? Decider.local : .authority
                    whenInForce {
                        completion(
                            .json([
                                "lifted": former?.report(now: .now(), wall: .now()) ?? .null,
                                "decided_by": .string(decider.rawValue),
                            ]))
                    }
                }
            }
        }
        if names.isEmpty { completion(AdminProblem.tooWideToAllow(network).response) }
    }
}

extension AdminProblem {
    static func tooWideToAllow(_ network: IPNetwork) -> AdminProblem {
        unusable("\(network) is too wide: at most an IPv4 /8 or an IPv6 /32, or no block would mean anything")
    }
}

extension AdminReports {
    /// In the order of their ends.
    static func allowances(_ records: some Sequence<AllowanceRecord>, now: Instant, wall: WallTime) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.deadline == b.deadline ? a.network.base < b.network.base : a.deadline < b.deadline
        }
        return .array(sorted.map { $0.report(now: now, wall: wall) })
    }
}
