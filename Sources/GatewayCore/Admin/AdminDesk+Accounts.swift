internal import Ledger
internal import Policy
internal import Wire

extension AdminDesk {
    func unlock(_ order: UnlockOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let mark: AccountMark?
        switch order.accounts {
        case .named(let name):
            guard let rule = gateway.generation.rules.accounts else {
                return completion(AdminProblem.accountsAreNotCounted.response)
            }
            guard let found = rule.mark(of: name) else {
                return completion(AdminProblem.unusable("account is the name of none").response)
            }
            mark = found
        case .hashed(let given): mark = given
        case .all: mark = nil
        }
        // As failures are counted: an address of IPv6 stands for its prefix.
        let network = order.network.map { $0.isSingleAddress ? gateway.loginRules.plain.subject(of: $0.base) : $0 }
        let target = UnblockTarget.accounts(mark, from: network)
        gateway.ledger.unblock(target, actor: actor.description) { [unowned self] outcome in
            if outcome.lifted.isEmpty {
                let sentence = mark.map { "the account \($0) was not locked" } ?? "no account was locked"
                record("unlock", sentence, actor, of: mark?.description)
            }
            completion(
                .json([
                    "account": JSONValue(mark?.description), "count": .integer(outcome.lifted.count),
                    "unlocked": .array(
                        outcome.lifted.map {
                            AdminReports.lock($0, now: .now(), wall: .now())
                        }),
                    "decided_by": .string(outcome.decider.rawValue),
                ]))
        }
    }
}

extension AdminProblem {
    static let accountsAreNotCounted = AdminProblem.unusable(
        "accounts are not looked at (accounts.member), so no name can be hashed: give hash instead")
}

extension AdminReports {
    /// The newest first.
    static func locks(
        _ records: [BlockRecord], under rules: LoginRules, limit: Int, now: Instant, wall: WallTime
    ) -> JSONValue {
        let sorted = records.sorted { a, b in
            a.since == b.since ? a.subject.description < b.subject.description : b.since < a.since
        }
        return [
            "count": .integer(records.count), "truncated": .boolean(records.count > limit),
            "locks": .array(
                sorted.prefix(limit).map {
                    lock($0, now: now, wall: wall, .init("in_force", .boolean(rules.hold($0.subject))))
                }),
        ]
    }

    static func lock(
        _ record: BlockRecord, now: Instant, wall: WallTime, _ more: JSONValue.Member...
    ) -> JSONValue {
        let remaining = record.remaining(at: now)
        var failures: Int?
        if case .automatic(let count) = record.origin { failures = count }
        return .object(
            [
                .init("account", JSONValue(record.subject.account?.description)),
                .init("from", JSONValue(record.subject.from?.description)),
                .init("failures", JSONValue(failures)), .init("reason", .string(record.reason)),
                .init("actor", .string(record.actor)), .init("since", .string(record.since.text)),
                .init("expires_at", JSONValue(remaining.map { (wall + $0).text })),
                .init("ttl_seconds", JSONValue(remaining.map(\.secondsRoundedUp))),
                .init("permanent", .boolean(record.isPermanent)),
            ] + more)
    }
}
