internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The log levels that an operator has set, of everything or of one scope, until their time is over or, where they have
/// none, until the next reload.
final class LogLevelDesk {
    struct Change: Hashable, Sendable {
        /// Nil: of everything that has no level of its own.
        var scope: LogScope?
        var level: LogLevel
        var actor: String
        /// Nil: until the next reload.
        var deadline: Instant?

        /// `The log level of ledger is debug`
        var sentence: String { "The log level\(scope.map { " of \($0.rawValue)" } ?? "") is \(level.word)" }
    }

    private let log: OperationalLog
    private let audit: AuditLog
    private var configured: LogLevel
    private var changes: [LogScope?: Change] = [:]
    private var timer: LoopTimer?

    init(_ configured: LogLevel, log: OperationalLog, audit: AuditLog, on loop: EventLoop) {
        self.configured = configured
        self.log = log
        self.audit = audit
        timer = LoopTimer(on: loop) { [unowned self] in expire(at: .now(), wall: .now()) }
    }

    /// In the order of their scopes, that of everything first.
    var inForce: [Change] { changes.values.sorted { ($0.scope?.rawValue ?? "") < ($1.scope?.rawValue ?? "") } }

    /// In place of what was set of the same scope before.
    func set(_ change: Change, at now: Instant, wall: WallTime) {
        changes[change.scope] = change
        apply(change.scope)
        let end = change.deadline.map { "until \((wall + ($0 - now)).text)" } ?? "until the next reload"
        record("log_level_changed", "\(change.sentence) \(end)", change.actor)
        awaitDeadline(now)
    }

    /// What has a time keeps it.
    func reloaded(_ configured: LogLevel) {
        self.configured = configured
        for (scope, change) in changes where change.deadline == nil {
            changes[scope] = nil
            apply(scope)
        }
        apply(nil)
    }

    func expire(at now: Instant, wall: WallTime) {
        for change in inForce {
            guard let deadline = change.deadline, deadline <= now else { continue }
            changes[change.scope] = nil
            apply(change.scope)
            record("log_level_restored", "\(change.sentence) no longer: its time is over", "gateway")
        }
        awaitDeadline(now)
    }

    private func apply(_ scope: LogScope?) {
        if let scope {
            log.setLevel(changes[scope]?.level, of: scope)
        } else {
            log.level = changes[nil]?.level ?? configured
        }
    }

    private func awaitDeadline(_ now: Instant) {
        guard let next = changes.values.compactMap(\.deadline).min() else { return }
        timer?.fire(after: max(.milliseconds(1), next - now))
    }

    private func record(_ action: String, _ detail: String, _ actor: String) {
        audit.record(AuditOperation(action, detail, by: actor))
    }
}

extension LogLevel {
    /// As gateway.conf spells it.
    var word: String {
        switch self {
        case .debug: Configuration.Logs.Level.debug.rawValue
        case .info: Configuration.Logs.Level.info.rawValue
        case .warning: Configuration.Logs.Level.warning.rawValue
        case .error: Configuration.Logs.Level.error.rawValue
        }
    }
}
