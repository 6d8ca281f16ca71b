internal import Ledger
internal import Policy
internal import Telemetry
internal import Wire

/// Follows the allowances of the ledger on the control thread: tells the workers and the rule for failed logins, and says
/// in log and audit record when one begins and when it ends.
final class AllowanceDesk {
    /// By command; what is to be allowed to more networks than that is a matter of the configuration.
    static let most = 1_000

    private let broadcast: LedgerBroadcast
    private let audit: AuditLog
    private let log: OperationalLog
    /// By the name under which each is shared: a network may be there in several spellings.
    private(set) var records: [String: AllowanceRecord] = [:]
    /// What the records were made of.
    private var texts: [String: SharedText] = [:]
    /// The workers' table.
    private var inForce: [IPNetwork: Instant] = [:]
    /// Hears of other networks, so that no rule blocks what is in them.
    var changed: () -> Void = {}
    /// Who is taking the allowance of this name back in this moment.
    private var lifting: (name: String, actor: String)?
    /// What is here at the start was recorded when it began.
    private var hasBegun = false

    init(broadcast: LedgerBroadcast, audit: AuditLog, log: OperationalLog) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
    }

    var networks: [IPNetwork] { Array(inForce.keys) }

    /// Those of exactly this network, the canonical spelling first.
    func names(of network: IPNetwork) -> [SharedName] {
        let others = records.keys.filter { records[$0]!.network == network && $0 != network.description }
        return ([network.description] + others.sorted()).compactMap { SharedName(.allowance, $0) }
    }

    /// All that there are now, by name.
    func take(_ shared: [String: SharedText], at now: Instant, wall: WallTime) {
        let isFirst = !hasBegun
        hasBegun = true
        for name in records.keys.sorted() where shared[name] == nil { end(name, at: now) }
        for (name, text) in shared.sorted(by: { $0.key < $1.key }) where text != texts[name] {
            guard let network = Allowance.network(name) else { continue }
            let former = records[name]
            var record = AllowanceRecord(network, text, seen: wall)
            if record.isByHand, let former, former.isByHand { record.since = former.since }
            texts[name] = text
            records[name] = record
            if !isFirst { begun(record, at: now, wall: wall) }
        }
        bringIntoForce()
    }

    /// Calls `body`, which takes the allowance out of the ledger.
    func lifting(_ name: String, by actor: String, _ body: () -> Void) {
        lifting = (name, actor)
        body()
        lifting = nil
    }

    private func bringIntoForce() {
        var wanted: [IPNetwork: Instant] = [:]
        for record in records.values {
            wanted[record.network] = max(record.deadline, wanted[record.network] ?? record.deadline)
        }
        guard wanted != inForce else { return }
        let others = Set(wanted.keys) != Set(inForce.keys)
        let set = wanted.filter { inForce[$0.key] != $0.value }
        let lifted = inForce.keys.filter { wanted[$0] == nil }
        inForce = wanted
        // The rule first: no failure may block in between.
        if others { changed() }
        if !set.isEmpty {
            broadcast.send(.allowances(.set(set.map { BlockEntry(network: $0.key, deadline: $0.value) })))
        }
        if !lifted.isEmpty { broadcast.send(.allowances(.lift(lifted))) }
    }

    private func begun(_ record: AllowanceRecord, at now: Instant, wall: WallTime) {
        let end = record.remaining(at: now).map { wall + $0 }
        var detail = "\(record.network) is not held back by any block"
        detail += end.map { " until \($0.text)" } ?? " until somebody ends that"
        if !record.reason.isEmpty { detail += ": \(record.reason)" }
        audit.record(
            AuditOperation(
                "address_allowed", detail, by: record.actor, of: record.network.description, because: record.reason,
                until: end))
        log.log(
            .warning, "block.allowance_began", "No block holds the address or network back for a while",
            [
                ("network", .text(record.network.description)), ("until", .text(end?.text ?? "never")),
                ("reason", .text(record.reason)), ("actor", .text(record.actor)),
            ])
        if end == nil {
            log.log(
                .error, "block.allowance_endless",
                "An allowance without a time to live was set by hand; it never ends by itself",
                [("network", .text(record.network.description))])
        }
    }

    private func end(_ name: String, at now: Instant) {
        guard let record = records.removeValue(forKey: name) else { return }
        texts[name] = nil
        let cause = LiftCause(
            deadline: record.deadline, liftedBy: lifting?.name == name ? lifting?.actor : nil, at: now)
        let network = record.network
        audit.record(
            AuditOperation(
                "allowance_ended", "\(network) is held back by blocks again: \(cause.words)", by: cause.actor,
                of: network.description, because: cause.words))
        log.log(
            .warning, "block.allowance_ended", "Blocks hold the address or network back again",
            [("network", .text(network.description)), ("cause", .text(cause.words)), ("actor", .text(cause.actor))])
    }
}
