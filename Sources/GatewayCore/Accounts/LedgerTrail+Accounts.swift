internal import Ledger
internal import Policy
internal import Telemetry
internal import Wire

/// What the ledger says of accounts: by their hashes, since nobody here knows more of them.
extension LedgerTrail {
    /// False: it is about something else.
    func tellOfAccounts(_ event: LedgerEvent) -> Bool {
        switch event {
        case .blocked(let record, let failure, let decider) where !record.isOfAddresses:
            metrics.accountLocked()
            if failure.key.rule != LoginRule.accountsName {
                metrics.limitReached(by: failure.key.rule, observed: false)
            }
            recordLock(record, client: failure.address, note: decider == .local ? " (authority away)" : "")
        case .blockedByCommand(let record, _) where !record.isOfAddresses,
            .blockSeen(let record) where !record.isOfAddresses:
            recordLock(record, client: nil, note: "")
        case .lifted(let record, let cause) where !record.isOfAddresses: unlocked(record, cause)
        case .permanentBlock(let record) where !record.isOfAddresses:
            log.log(
                .warning, "block.permanent", "A lock without a time to live was set by hand; it never ends by itself",
                [("account", .text(record.subject.description))])
        // Not the key: whoever typed it may have typed the name of an account.
        case .unparsableKey(let key) where key.hasPrefix(BlockKey.lockPrefix):
            log.log(
                .warning, "block.unparsable_lock",
                "A key account_lock:… does not have the hash of an account behind it, so it locks none", [])
        default: return false
        }
        return true
    }

    private func recordLock(_ record: BlockRecord, client: IPAddress?, note: String) {
        var lock = AuditAccountLock(.locked, of: record.subject)
        // To the whole second: a lock of 1800 s was set a moment ago, and says 1800.
        lock.length = record.remaining(at: .now()).map { Interval.seconds(Int(($0 + .milliseconds(500)).seconds)) }
        lock.expiresAt = lock.length.map { WallTime.now() + $0 }
        lock.trigger = record.reason + note
        lock.actor = record.actor
        var event = AuditEvent(.accountLock(lock), client: client ?? address(of: record))
        if client != nil { event.stage = Stage.judge.rawValue }
        event.code = ErrorCode.accountLocked.rawValue
        audit.record(event)
    }

    private func unlocked(_ record: BlockRecord, _ cause: LiftCause) {
        var lock = AuditAccountLock(cause == .expired ? .expired : .unlocked, of: record.subject)
        if cause != .expired { (lock.trigger, lock.actor) = (cause.words, cause.actor) }
        audit.record(AuditEvent(.accountLock(lock), client: address(of: record)))
    }

    private func address(of record: BlockRecord) -> IPAddress? {
        record.network.isSingleAddress ? record.network.base : nil
    }
}

extension AuditAccountLock {
    /// - Parameter subject: has an account.
    fileprivate init(_ step: Step, of subject: BlockSubject) {
        self.init(step, subject.account?.description ?? "", from: subject.from)
    }
}
