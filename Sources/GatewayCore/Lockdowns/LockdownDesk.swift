internal import Ledger
internal import Policy
internal import Telemetry
internal import Wire

/// Follows the lockdowns of the ledger on the control thread: tells the workers, and says in log and audit record when
/// one begins and when it ends.
final class LockdownDesk {
    private let broadcast: LedgerBroadcast
    private let audit: AuditLog
    private let log: OperationalLog
    private(set) var records: [String: LockdownRecord] = [:]
    /// What the records were made of.
    private var texts: [String: SharedText] = [:]
    /// The configuration's routes.
    private var routes: Set<String>
    /// Who is taking the lockdown of this route back in this moment.
    private var lifting: (route: String, actor: String)?
    /// What is here at the start was recorded when it began.
    private var hasBegun = false

    init(broadcast: LedgerBroadcast, audit: AuditLog, log: OperationalLog, routes: [String]) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
        self.routes = Set(routes)
    }

    /// Those that close a route.
    var effective: Int { records.values.count(where: \.hasRoute) }

    func adopt(routes: [String]) {
        self.routes = Set(routes)
        for (route, record) in records.sorted(by: { $0.key < $1.key }) {
            let hasRoute = self.routes.contains(route)
            records[route]?.hasRoute = hasRoute
            if !hasRoute {
                warnOfUnknown(route)
            } else if !record.hasRoute {
                let end = record.remaining(at: .now()).map { (WallTime.now() + $0).text }
                tell(record, until: end, isRestored: true)
            }
        }
    }

    /// All that there are now, by route.
    func take(_ shared: [String: SharedText], at now: Instant, wall: WallTime) {
        let isFirst = !hasBegun
        hasBegun = true
        for route in records.keys.sorted() where shared[route] == nil { end(route, at: now) }
        for (route, text) in shared.sorted(by: { $0.key < $1.key }) where text != texts[route] {
            let former = records[route]
            var record = LockdownRecord(route: route, text, seen: wall)
            if record.origin == .byHand, let former, former.origin == .byHand { record.since = former.since }
            record.hasRoute = routes.contains(route)
            texts[route] = text
            records[route] = record
            broadcast.send(.lockdown(.set(record.lockdown)))
            begun(record, isRestored: isFirst, at: now, wall: wall)
        }
    }

    /// Calls `body`, which takes the lockdown of the route out of the ledger.
    func lifting(_ route: String, by actor: String, _ body: () -> Void) {
        lifting = (route, actor)
        body()
        lifting = nil
    }

    private func begun(_ record: LockdownRecord, isRestored: Bool, at now: Instant, wall: WallTime) {
        let end = record.remaining(at: now).map { wall + $0 }
        if !isRestored {
            audit.record(
                AuditOperation(
                    "route_locked_down", LockdownDesk.detail(of: record, until: end?.text), by: record.actor,
                    of: record.lockdown.route, because: record.reason, until: end))
        }
        if record.hasRoute {
            tell(record, until: end?.text, isRestored: isRestored)
        } else {
            warnOfUnknown(record.lockdown.route)
        }
    }

    private static func detail(of record: LockdownRecord, until end: String?) -> String {
        var detail = "\(record.lockdown.route) is closed"
        let allowed = record.lockdown.allowed.map(\.description)
        if !allowed.isEmpty { detail += " to all but \(allowed.joined(separator: ", "))" }
        detail += end.map { " until \($0)" } ?? " until somebody opens it"
        if !record.hasRoute { detail += ", but there is no such route, so nothing is" }
        if !record.reason.isEmpty { detail += ": \(record.reason)" }
        return detail
    }

    private func tell(_ record: LockdownRecord, until end: String?, isRestored: Bool) {
        log.log(
            .warning, "lockdown.began", "A route is closed for a while",
            [
                ("route", .text(record.lockdown.route)), ("until", .text(end ?? "never")),
                ("allow", .texts(record.lockdown.allowed.map(\.description))), ("reason", .text(record.reason)),
                ("actor", .text(record.actor)),
                ("restored", .flag(isRestored)),
            ])
        if end == nil {
            log.log(
                .error, "lockdown.endless",
                "A lockdown without a time to live was set by hand; it never ends by itself",
                [("route", .text(record.lockdown.route))])
        }
    }

    private func warnOfUnknown(_ route: String) {
        log.log(
            .error, "lockdown.unknown_route", "A lockdown names no route of the configuration, so it closes nothing",
            [("route", .text(route))])
    }

    private func end(_ route: String, at now: Instant) {
        guard let record = records.removeValue(forKey: route) else { return }
        texts[route] = nil
        broadcast.send(.lockdown(.lift(route: route)))
        let cause = LiftCause(
            deadline: record.lockdown.deadline, liftedBy: lifting?.route == route ? lifting?.actor : nil, at: now)
        let detail = record.hasRoute ? "\(route) is open again" : "there is no route \(route), so it closed nothing"
        audit.record(
            AuditOperation(
                "route_reopened", "\(detail): \(cause.words)", by: cause.actor, of: route, because: cause.words))
        guard record.hasRoute else { return }
        log.log(
            .warning, "lockdown.ended", "The route is open again",
            [("route", .text(route)), ("cause", .text(cause.words)), ("actor", .text(cause.actor))])
    }
}
