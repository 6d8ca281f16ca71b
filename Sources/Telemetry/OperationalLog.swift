internal import Synchronization
package import Wire

/// How much an operational line matters.
package enum LogLevel: UInt8, CaseIterable, Comparable, Sendable {
    case debug, info, warning, error

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }

    /// As the runbooks' filters spell them.
    var name: StaticString {
        switch self {
        case .debug: "DEBUG"
        case .info: "INFO"
        case .warning: "WARNING"
        case .error: "ERROR"
        }
    }
}

/// A value of an operational line's field.
package enum LogValue: Sendable {
    case text(String)
    case texts([String])
    case number(Int)
    case flag(Bool)
    /// Written in milliseconds with three decimals.
    case length(Interval)
    case time(WallTime)
}

/// What the gateway says of itself: JSON lines of `service` `gateway`. Callable from every thread; not for the path of a
/// request, since it allocates.
package final class OperationalLog: Sendable {
    private let writer: LogWriter
    private let threshold: Atomic<UInt8>
    private let scopes = Atomic<UInt64>(0)

    package init(_ writer: LogWriter, level: LogLevel) {
        self.writer = writer
        threshold = Atomic(level.rawValue)
    }

    /// Lines below are not written. May be changed at any time.
    package var level: LogLevel {
        get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
        set { threshold.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// The level of one scope in place of `level`; nil: it follows that. For one thread alone, which is the control thread.
    package func setLevel(_ level: LogLevel?, of scope: LogScope) {
        var levels = ScopedLevels(word: scopes.load(ordering: .relaxed))
        levels[scope] = level
        scopes.store(levels.word, ordering: .relaxed)
    }

    func level(of event: String) -> LogLevel {
        let levels = ScopedLevels(word: scopes.load(ordering: .relaxed))
        guard levels.word != 0, let scope = LogScope(event: event) else { return level }
        return levels[scope] ?? level
    }

    /// Writes a line, if its level asks for it. `fields` may not repeat the names that every line has.
    package func log(
        _ level: LogLevel, _ event: String, _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> [(String, LogValue)] = [], at time: WallTime = .now()
    ) {
        guard level >= self.level(of: event) else { return }
        writer.submit(operationalLine(level, event, message(), fields(), at: time), to: .operational)
    }
}

/// The moments of a gateway's life, each with its one event name.
extension OperationalLog {
    /// The gateway serves. `listeners` are the bound addresses, with the real port where 0 was asked for.
    package func ready(
        listeners: [String], secureListeners: [String] = [], checkListeners: [String] = [], admin: String?,
        adminSocket: String?, pid: Int32, version: String, took: Interval
    ) {
        var fields: [(String, LogValue)] = [("listeners", .texts(listeners))]
        if !secureListeners.isEmpty { fields.append(("tls_listeners", .texts(secureListeners))) }
        if !checkListeners.isEmpty { fields.append(("forward_auth_listeners", .texts(checkListeners))) }
        if let admin { fields.append(("admin", .text(admin))) }
        if let adminSocket { fields.append(("admin_socket", .text(adminSocket))) }
        fields += [("pid", .number(Int(pid))), ("version", .text(version)), ("startup_ms", .length(took))]
        log(.info, "gateway.ready", "The gateway is ready", fields)
    }

    package func draining(openConnections: Int, deadline: Interval) {
        log(
            .info, "gateway.draining", "The gateway finishes what is under way and takes nothing new",
            [("open_connections", .number(openConnections)), ("deadline_ms", .length(deadline))])
    }

    package func stopped(cutConnections: Int, took: Interval) {
        log(
            .info, "gateway.stopped", "The gateway has stopped",
            [("cut_connections", .number(cutConnections)), ("took_ms", .length(took))])
    }

    package func reloaded(path: String, listeners: [String]) {
        log(
            .info, "gateway.reloaded", "The configuration was reloaded",
            [("path", .text(path)), ("listeners", .texts(listeners))])
    }

    /// `diagnostics` as `gateway check` prints them.
    package func reloadFailed(path: String, diagnostics: [String]) {
        log(
            .error, "gateway.reload_failed", "The new configuration has mistakes; the old one stays in force",
            [("path", .text(path)), ("diagnostics", .texts(diagnostics))])
    }

    /// - Parameter names: those that nobody has looked up yet.
    package func reloadWaits(for names: [String]) {
        log(
            .info, "gateway.reload_waits",
            "The new configuration comes into force when its servers' names are looked up",
            [("hosts", .texts(names))])
    }

    package func ledgerDegraded(reason: String) {
        log(
            .error, "ledger.degraded", "The ledger's authority is away; the last known blocks stay in force",
            [("reason", .text(reason))])
    }

    package func ledgerRecovered(away: Interval, replayed: Int) {
        log(
            .info, "ledger.recovered", "The ledger's authority is back",
            [("away_ms", .length(away)), ("replayed", .number(replayed))])
    }
}

/// One line with its newline. Values are cut so that it always fits.
func operationalLine(
    _ level: LogLevel, _ event: String, _ message: String, _ fields: [(String, LogValue)], at time: WallTime
) -> [UInt8] {
    jsonBytes(capacity: 1 << 16) { line in
        line.raw("{\"timestamp\":\"")
        line.timestamp(time)
        line.raw("\",\"level\":\"")
        line.raw(level.name)
        line.raw("\",\"service\":\"gateway\",\"event\":")
        line.string(event, limit: 64)
        line.raw(",\"message\":")
        line.string(message, limit: 1_024)
        for (key, value) in fields.prefix(24) {
            line.raw(",")
            line.string(key, limit: 64)
            line.raw(":")
            write(value, to: &line)
        }
        line.raw("}\n")
    }
}

private func write(_ value: LogValue, to line: inout LineWriter) {
    switch value {
    case .text(let text): line.string(text, limit: 2_048)
    case .texts(let texts):
        line.raw("[")
        for (index, text) in texts.prefix(8).enumerated() {
            if index > 0 { line.raw(",") }
            line.string(text, limit: 256)
        }
        line.raw("]")
    case .number(let number): line.number(number)
    case .flag(let flag): line.raw(flag ? "true" : "false")
    case .length(let interval): line.milliseconds(interval)
    case .time(let time):
        line.raw("\"")
        line.timestamp(time)
        line.raw("\"")
    }
}
