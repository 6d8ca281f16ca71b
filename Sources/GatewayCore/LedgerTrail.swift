internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Follows the ledger: sends its changes to the workers and writes what happened into audit record, log and metrics.
final class LedgerTrail: LedgerSink {
    private let broadcast: LedgerBroadcast
    let audit: AuditLog
    let log: OperationalLog
    let metrics: ControlMetrics
    /// The ledger's state changed, or it became ready.
    private let stateChanged: () -> Void
    /// Hears of all keys that were added at run time, sealed, when one of them has changed.
    var sharedKeysChanged: ([String: String]) -> Void = { _ in }
    /// Hears of all lockdowns, by route, when something that is shared has changed.
    var lockdownsChanged: ([String: SharedText]) -> Void = { _ in }
    /// Hears of all allowances, by the names they are shared under, in the same way.
    var allowancesChanged: ([String: SharedText]) -> Void = { _ in }
    /// The same of addresses that many people speak through.
    var sharedAddressesChanged: ([String: SharedText]) -> Void = { _ in }
    /// What was told of keys last.
    private var keys: [String: String]?

    init(
        broadcast: LedgerBroadcast, audit: AuditLog, log: OperationalLog, metrics: ControlMetrics,
        stateChanged: @escaping () -> Void
    ) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
        self.metrics = metrics
        self.stateChanged = stateChanged
    }

    func ledger(changed delta: BlockDelta) { broadcast.send(.blocks(delta)) }

    func ledger(shared: [SharedName: SharedText]) {
        var keys: [String: String] = [:]
        var lockdowns: [String: SharedText] = [:]
        var allowances: [String: SharedText] = [:]
        var addresses: [String: SharedText] = [:]
        for (name, text) in shared {
            switch name.kind {
            case .key: keys[name.id] = text.text
            case .lockdown: lockdowns[name.id] = text
            case .allowance: allowances[name.id] = text
            case .sharedAddress: addresses[name.id] = text
            }
        }
        if keys != self.keys {
            self.keys = keys
            sharedKeysChanged(keys)
        }
        lockdownsChanged(lockdowns)
        allowancesChanged(allowances)
        sharedAddressesChanged(addresses)
    }

    func ledger(revoked delta: RevocationDelta) { broadcast.send(.revocations(delta)) }

    func ledger(noted event: LedgerEvent) {
        guard !tellOfAccounts(event) else { return }
        switch event {
        case .ready: stateChanged()
        case .blocked(let record, let failure, let decider):
            metrics.blockSet(.loginFailures)
            metrics.limitReached(by: failure.key.rule, observed: false)
            recordBlock(record, client: failure.address, note: decider == .local ? " (authority away)" : "")
        case .wouldBlock(let failure, let failures, let length, _):
            metrics.limitReached(by: failure.key.rule, observed: true)
            let detail =
                "rule \(failure.key.rule) would block \(failure.key.subject) for \(length.milliseconds / 1_000) s "
                + "after \(failures) failures"
            audit.record(
                AuditOperation("would_block", detail, by: "gateway", of: failure.key.subject.description),
                client: failure.address)
        case .blockedByCommand(let record, _):
            metrics.blockSet(.operator)
            recordBlock(record, client: nil, note: "")
        case .blockSeen(let record):
            metrics.blockSet(.external)
            recordBlock(record, client: nil, note: "")
        case .lifted(let record, let cause): lifted(record, cause)
        case .permanentBlock(let record):
            log.log(
                .warning, "block.permanent", "A block without a time to live was set by hand; it never ends by itself",
                [("network", .text(record.network.description))])
        case .revokedByCommand(let record, let decider):
            metrics.revocationSet(.operator)
            recordRevocation(record, note: decider == .local ? " (authority away)" : "")
        case .revocationSeen(let record):
            metrics.revocationSet(.external)
            recordRevocation(record, note: "")
        case .revocationLifted(let record, let cause): lifted(record, cause)
        case .unparsableKey(let key) where RevocationKey.isOne(key):
            log.log(
                .error, "revocation.unparsable_key", "A key names nothing that can be revoked, so it revokes nothing",
                [("key", .text(key))])
        case .unparsableKey(let key) where key.hasPrefix(SharedName.Kind.lockdown.rawValue):
            log.log(
                .error, "lockdown.unparsable_key", "A key names nothing that can be closed, so it closes nothing",
                [("key", .text(key))])
        case .unparsableKey(let key) where key.hasPrefix(SharedName.Kind.allowance.rawValue):
            log.log(
                .error, "block.unparsable_allowance",
                "A key names no address or network, or one that is too wide, so it allows nothing",
                [("key", .text(key))])
        case .unparsableKey(let key) where key.hasPrefix(SharedName.Kind.sharedAddress.rawValue):
            log.log(
                .warning, "block.unparsable_shared", "A key names no address, so it gives none a higher limit",
                [("key", .text(key))])
        case .unparsableKey(let key):
            log.log(
                .warning, "block.unparsable_key", "A key names no address or network, so it blocks nobody",
                [("key", .text(key))])
        case .counterUnusable(let key, let problem):
            log.log(
                .error, "ledger.counter_unusable", "A failure counter in the store cannot be counted up",
                [
                    ("address", .text(key.subject.description)), ("rule", .text(key.rule)), ("reason", .text(problem)),
                ])
        case .flushDetected(let restored, let revocations):
            for _ in 0..<restored { metrics.blockSet(.restored) }
            for _ in 0..<revocations { metrics.revocationSet(.restored) }
            log.log(
                .error, "ledger.flush_detected",
                "The store lost its data; automatic blocks and all revocations were restored",
                [("restored", .number(restored)), ("revocations", .number(revocations))])
            audit.record(
                AuditOperation(
                    "blocks_restored",
                    "the store lost its data; \(restored) blocks and \(revocations) revocations restored", by: "gateway"
                ))
        case .degraded(let reason):
            metrics.ledgerFailed()
            log.ledgerDegraded(reason: reason)
            stateChanged()
        case .untracked(let reason, let delay):
            log.log(
                .warning, "ledger.untracked", "Redis allows no client tracking; changes in it are known later",
                [("reason", .text(reason)), ("scan_ms", .number(Int(delay.milliseconds)))])
        case .overtaken(let key):
            log.log(
                .warning, "ledger.word_overtaken",
                "What was said here while the store was away was not carried over: something was said of it later",
                [("key", .text(key))])
        case .recovered(let outage, let replay):
            log.ledgerRecovered(away: outage, replayed: replay)
            stateChanged()
        case .replayOverflow(let dropped):
            log.log(
                .error, "ledger.replay_overflow", "Failures found no place in the queue for the authority",
                [("dropped", .number(dropped))])
        case .journalTorn(let bytes):
            log.log(
                .warning, "ledger.journal_torn", "The torn end of the journal was dropped", [("bytes", .number(bytes))])
        case .journalUnknown(let records):
            log.log(
                .warning, "ledger.journal_unknown", "Records of the journal are of a later version and were left out",
                [("records", .number(records))])
        case .journalFailed(let problem):
            log.log(
                .error, "ledger.journal_failed", "The journal cannot be written; blocks would not survive a restart",
                [("reason", .text(problem))])
        }
    }

    private func recordBlock(_ record: BlockRecord, client: IPAddress?, note: String) {
        let now = Instant.now()
        // To the whole second: a block of 300 s was set a moment ago, and says 300.
        let length = record.remaining(at: now).map { Interval.seconds(Int(($0 + .milliseconds(500)).seconds)) }
        var event = AuditEvent(
            .blocked(
                AuditBlock(
                    subject: record.network, length: length, expiresAt: length.map { WallTime.now() + $0 },
                    trigger: record.reason + note, actor: record.actor)),
            client: client ?? (record.network.isSingleAddress ? record.network.base : nil))
        if client != nil { event.stage = Stage.judge.rawValue }
        event.code = ErrorCode.addressBlocked.rawValue
        audit.record(event)
    }

    private func recordRevocation(_ record: RevocationRecord, note: String) {
        var detail = record.description + note
        if !record.reason.isEmpty { detail += ": \(record.reason)" }
        let end = record.remaining(at: .now()).map { WallTime.now() + $0 }
        if let end { detail += ", until \(end.text)" }
        audit.record(
            AuditOperation(
                "tokens_revoked", detail, by: record.actor, of: record.target.description, because: record.reason,
                until: end))
    }

    private func lifted(_ record: RevocationRecord, _ cause: LiftCause) {
        metrics.revocationLifted()
        audit.record(
            AuditOperation(
                "revocation_lifted", "\(record): \(cause.words)", by: cause.actor, of: record.target.description,
                because: cause.words))
    }

    private func lifted(_ record: BlockRecord, _ cause: LiftCause) {
        let subject = record.network
        switch cause {
        case .expired: metrics.blockLifted(.expired)
        case .deleted, .flushed: metrics.blockLifted(.external)
        case .command: metrics.blockLifted(.operator)
        }
        let kind: AuditEvent.Kind =
            cause == .expired
            ? .blockExpired(subject: subject)
            : .unblocked(subject: subject, trigger: cause.words, actor: cause.actor)
        audit.record(AuditEvent(kind, client: subject.isSingleAddress ? subject.base : nil))
    }
}
