internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What an operator has opened by break-glass, with all that is known of it.
struct BreakGlassRecord: Hashable, Sendable {
    var glass: BreakGlass
    var reason: String
    var actor: String
    var since: WallTime

    /// `open without a token to 10.0.0.0/8 until …`
    func sentence(now: Instant, wall: WallTime) -> String {
        let networks = glass.allowed.map(\.description).joined(separator: ", ")
        return "\(glass.route) is open without a good token to \(networks) until "
            + (wall + (glass.deadline - now)).text
    }

    func report(now: Instant, wall: WallTime) -> JSONValue {
        let left = glass.deadline - now
        return [
            "route": .string(glass.route), "allow": .array(glass.allowed.map { .string($0.description) }),
            "reason": .string(reason), "actor": .string(actor), "since": .string(since.text),
            "expires_at": .string((wall + left).text), "ttl_seconds": .integer(left.secondsRoundedUp),
        ]
    }
}

/// Keeps what is open by break-glass, on the control thread: tells the workers, raises the alarm in log and audit record,
/// again every minute, and ends it. It lives in this process alone: whoever can write to a store that replicas share, or
/// into a directory, must not be able to open anything, and nothing is open after a restart.
final class BreakGlassDesk {
    private static let reminder = Interval.seconds(60)

    private let broadcast: LedgerBroadcast
    private let audit: AuditLog
    private let log: OperationalLog
    private(set) var records: [String: BreakGlassRecord] = [:]
    private var nextReminder: [String: Instant] = [:]
    private var timer: LoopTimer?

    init(broadcast: LedgerBroadcast, audit: AuditLog, log: OperationalLog, on loop: EventLoop) {
        self.broadcast = broadcast
        self.audit = audit
        self.log = log
        timer = LoopTimer(on: loop) { [unowned self] in look(at: .now(), wall: .now()) }
    }

    /// In place of what is open of the same route.
    func open(_ record: BreakGlassRecord, at now: Instant, wall: WallTime) {
        let route = record.glass.route
        records[route] = record
        nextReminder[route] = now + BreakGlassDesk.reminder
        broadcast.send(.breakGlass(.set(record.glass)))
        let detail = "\(record.sentence(now: now, wall: wall)): \(record.reason)"
        audit.record(
            AuditOperation(
                "break_glass_opened", detail, by: record.actor, of: route, because: record.reason,
                until: wall + (record.glass.deadline - now)))
        alarm("break_glass.began", "A route may be used without a good token", record, at: now)
        awaitNext(now)
    }

    func end(_ route: String, by actor: String, because cause: String) {
        guard records.removeValue(forKey: route) != nil else { return }
        nextReminder[route] = nil
        broadcast.send(.breakGlass(.end(route: route)))
        audit.record(
            AuditOperation(
                "break_glass_ended", "\(route) asks for tokens again: \(cause)", by: actor, of: route, because: cause))
        log.log(
            .warning, "break_glass.ended", "The route asks for tokens again",
            [("route", .text(route)), ("cause", .text(cause)), ("actor", .text(actor))])
    }

    /// What was opened is the route as it was: where a reload makes another one of it, or allows less, it ends.
    func adopt(_ next: [Configuration.Route], after former: [Configuration.Route]) {
        for route in records.keys.sorted() {
            guard BreakGlassDesk.limit(of: route, in: next) != nil else {
                end(route, by: "gateway", because: "the configuration no longer allows it")
                continue
            }
            func named(_ routes: [Configuration.Route]) -> [Configuration.Route] { routes.filter { $0.name == route } }
            if named(next) != named(former) { end(route, by: "gateway", because: "the route is another one now") }
        }
    }

    /// Another process serves, or none.
    func endAll() {
        for route in records.keys.sorted() { end(route, by: "gateway", because: "the gateway is ending") }
    }

    /// How long the routes of this name may be opened: the shortest that one of them allows; nil: one of them never.
    static func limit(of name: String, in routes: [Configuration.Route]) -> Interval? {
        let named = routes.filter { $0.name == name }
        guard !named.isEmpty, named.allSatisfy({ $0.breakGlass != nil }) else { return nil }
        return named.compactMap(\.breakGlass).min()
    }

    private func look(at now: Instant, wall: WallTime) {
        for (route, record) in records.sorted(by: { $0.key < $1.key }) {
            if record.glass.deadline <= now {
                end(route, by: "gateway", because: "its time is over")
            } else if let due = nextReminder[route], due <= now {
                nextReminder[route] = now + BreakGlassDesk.reminder
                alarm("break_glass.in_force", "A route may still be used without a good token", record, at: now)
            }
        }
        awaitNext(now)
    }

    private func alarm(_ event: String, _ message: String, _ record: BreakGlassRecord, at now: Instant) {
        log.log(
            .error, event, message,
            [
                ("route", .text(record.glass.route)), ("allow", .texts(record.glass.allowed.map(\.description))),
                ("ttl_seconds", .number((record.glass.deadline - now).secondsRoundedUp)),
                ("reason", .text(record.reason)), ("actor", .text(record.actor)),
            ])
    }

    private func awaitNext(_ now: Instant) {
        guard let next = (records.values.map(\.glass.deadline) + nextReminder.values).min() else { return }
        timer?.fire(after: max(.milliseconds(1), next - now))
    }
}
