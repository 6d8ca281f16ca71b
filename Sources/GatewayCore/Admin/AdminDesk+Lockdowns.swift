internal import Ledger
internal import Policy
internal import Settings
internal import Wire

extension AdminDesk {
    func lockDown(
        _ order: LockdownOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void
    ) {
        let names = gateway.configuration.routes.map(\.name)
        guard names.contains(order.name.id) else {
            return completion(AdminProblem.noSuchRoute(order.name.id, names).response)
        }
        let (now, wall) = (Instant.now(), WallTime.now())
        let lockdown = Lockdown(route: order.name.id, allowed: order.allowed, until: now + order.duration)
        let record = LockdownRecord(lockdown, reason: order.reason, actor: actor.description, since: wall)
        let text = record.text(until: wall + order.duration)
        guard text.utf8.count <= longestSharedText else {
            return completion(AdminProblem.unusable("allow and reason are too long together").response)
        }
        gateway.ledger.share(order.name, SharedText(text, until: lockdown.deadline)) { [unowned self] decider in
            whenInForce {
                completion(
                    .json(
                        [
                            "lockdown": record.report(now: .now(), wall: .now()),
                            "decided_by": .string(decider.rawValue),
                        ], status: 201))
            }
        }
    }

    func unlock(_ name: SharedName, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let former = gateway.lockdowns.records[name.id]
        if former == nil { record("unlock_route", "\(name.id) was not closed", actor, of: name.id) }
        gateway.lockdowns.lifting(name.id, by: actor.description) {
            gateway.ledger.share(name, nil) { [unowned self] decider in
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
}

extension AdminProblem {
    static func noSuchRoute(_ name: String, _ names: [String]) -> AdminProblem {
        let list = Set(names).sorted().prefix(20).joined(separator: ", ")
        return AdminProblem(
            404, .noRoute, "There is no such route", "no route is called \"\(name.prefix(64))\"; there are \(list)")
    }
}

extension AdminReports {
    /// In the order of their ends.
    static func lockdowns(_ records: some Sequence<LockdownRecord>, now: Instant, wall: WallTime) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.lockdown.deadline == b.lockdown.deadline
                ? a.lockdown.route < b.lockdown.route : a.lockdown.deadline < b.lockdown.deadline
        }
        return .array(sorted.map { $0.report(now: now, wall: wall) })
    }
}
