internal import Ledger
internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Follows the ledger: sends its changes to the workers and writes what happened into audit record, log and metrics.
final class LedgerTrail: LedgerSink {
    private let broadcast: BlockBroadcast
    private let audit: AuditLog
    private let log: OperationalLog
    private let metrics: ControlMetrics
    /// The ledger's state changed, or it became ready.
    private let stateChanged: () -> Void

    init(
        broadcast: BlockBroadcast, audit: AuditLog, log: OperationalLog, metrics: ControlMetrics,
        stateChanged: @escaping () -> Void
    ) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
        self.metrics = metrics
        self.stateChanged = stateChanged
    }

    func ledger(changed delta: BlockDelta) { broadcast.send(delta) }

    func ledger(noted event: LedgerEvent) {
        switch event {
        case .ready: stateChanged()
        case .blocked(let record, let failure, let decider):
            metrics.blockSet(.loginFailures)
            recordBlock(record, client: failure.address, note: decider == .local ? " (authority away)" : "")
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
        case .unparsableKey(let key):
            log.log(
                .warning, "block.unparsable_key", "A key names no address or network, so it blocks nobody",
                [("key", .text(key))])
        case .counterUnusable(let address, let problem):
            log.log(
                .error, "ledger.counter_unusable", "A failure counter in the store cannot be counted up",
                [("address", .text(address.description)), ("reason", .text(problem))])
        case .flushDetected(let restored):
            for _ in 0..<restored { metrics.blockSet(.restored) }
            log.log(
                .error, "ledger.flush_detected", "The store lost its data; automatic blocks were restored",
                [("restored", .number(restored))])
            audit.record(
                AuditEvent(
                    .operation(
                        action: "blocks_restored", detail: "the store lost its data; \(restored) blocks restored",
                        actor: "gateway")))
        case .degraded(let reason):
            metrics.ledgerFailed()
            log.ledgerDegraded(reason: reason)
            stateChanged()
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

    private func lifted(_ record: BlockRecord, _ cause: LiftCause) {
        let subject = record.network
        let kind: AuditEvent.Kind
        switch cause {
        case .expired:
            metrics.blockLifted(.expired)
            kind = .blockExpired(subject: subject)
        case .deleted:
            metrics.blockLifted(.external)
            kind = .unblocked(subject: subject, trigger: "the key was deleted", actor: "redis")
        case .flushed:
            metrics.blockLifted(.external)
            kind = .unblocked(subject: subject, trigger: "the store lost its data", actor: "redis")
        case .command(let actor):
            metrics.blockLifted(.operator)
            kind = .unblocked(subject: subject, trigger: "command", actor: actor)
        }
        audit.record(AuditEvent(kind, client: subject.isSingleAddress ? subject.base : nil))
    }
}
