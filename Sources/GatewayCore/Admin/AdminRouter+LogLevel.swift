internal import Settings
internal import Telemetry
internal import Wire

/// A log level as an operator orders it.
struct LogLevelOrder: Hashable, Sendable {
    var level: Configuration.Logs.Level
    /// Nil: of everything.
    var scope: LogScope?
    /// Nil: until the next reload.
    var duration: Interval?

    /// What the body of the request may have.
    static let members = ["level", "scope", "duration_seconds", "actor"]
    /// A day: what is to hold for longer is a matter of the configuration.
    static let longest = 86_400
}

extension AdminRouter {
    func logLevel(_ body: JSONValue) throws(AdminProblem) -> LogLevelOrder {
        let names = Configuration.Logs.Level.allCases.map(\.rawValue)
        guard let name = try string("level", in: body), let level = Configuration.Logs.Level(rawValue: name) else {
            throw .unusable("level is one of \(names.joined(separator: ", "))")
        }
        var order = LogLevelOrder(level: level)
        if let name = try string("scope", in: body) {
            guard let scope = LogScope(rawValue: name) else {
                let scopes = LogScope.allCases.map(\.rawValue).joined(separator: ", ")
                throw .unusable("scope is one of \(scopes)")
            }
            order.scope = scope
        }
        switch body["duration_seconds"] {
        case nil, .null: break
        case .integer(let seconds) where (1...LogLevelOrder.longest).contains(seconds):
            order.duration = .seconds(seconds)
        default:
            throw .unusable(
                "duration_seconds is a whole number from 1 to \(LogLevelOrder.longest), or null: until the next reload")
        }
        return order
    }
}

extension AdminDesk {
    func setLogLevel(_ order: LogLevelOrder, _ actor: AdminActor, _ completion: @escaping (AdminResponse) -> Void) {
        let (now, wall) = (Instant.now(), WallTime.now())
        let change = LogLevelDesk.Change(
            scope: order.scope, level: LogLevel(order.level), actor: actor.description,
            deadline: order.duration.map { now + $0 })
        gateway.logLevels.set(change, at: now, wall: wall)
        completion(.json(AdminReports.logLevel(change, now: now, wall: wall)))
    }
}

extension AdminReports {
    static func logLevel(_ change: LogLevelDesk.Change, now: Instant, wall: WallTime) -> JSONValue {
        let left = change.deadline.map { $0 - now }
        return [
            "level": .string(change.level.word), "scope": JSONValue(change.scope?.rawValue),
            "actor": .string(change.actor), "expires_at": JSONValue(left.map { (wall + $0).text }),
            "ttl_seconds": JSONValue(left.map(\.secondsRoundedUp)),
        ]
    }
}
