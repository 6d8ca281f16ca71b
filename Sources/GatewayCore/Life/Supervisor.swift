internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// What a service manager hears of this process's life (sd_notify(3)). Where there is none nothing is said.
///
/// The variables stay in the environment: at an upgrade the next program needs them.
final class Supervisor {
    /// A change that the manager acts on.
    enum Moment: Hashable {
        /// Serves, for the first time or again. `takesOver`: in another process's place (MAINPID).
        case ready(takesOver: Int32?)
        /// - Parameter at: The monotonic clock, by which the manager tells this reload from one before it.
        case reloading(at: Instant)
        case stopping

        /// The assignments, one a line.
        var text: String {
            switch self {
            case .ready(nil): "READY=1"
            case .ready(let process?): "MAINPID=\(process)\nREADY=1"
            case .reloading(let now): "RELOADING=1\nMONOTONIC_USEC=\(now.nanoseconds / 1_000)"
            case .stopping: "STOPPING=1"
            }
        }
    }

    /// Time between two signs of life; nil: the manager does not wait for them.
    let interval: Interval?
    private var socket: NotifySocket?
    /// Messages for a manager that did not keep up, oldest first.
    private var waiting: [String] = []
    private static let mostWaiting = 16

    /// - Parameter process: Our own id: signs of life may have been asked of another one.
    init(_ environment: [String: String], process: Int32, log: OperationalLog) {
        interval = Supervisor.interval(environment, process: process)
        guard let name = environment["NOTIFY_SOCKET"], !name.isEmpty else { return }
        do throws(NotifySocket.Fault) {
            socket = try NotifySocket(name)
        } catch {
            log.log(
                .warning, "supervisor.unusable", "The service manager will hear nothing",
                [("reason", .text(error.description))])
        }
    }

    /// Half of what the manager allows (sd_watchdog_enabled(3)).
    static func interval(_ environment: [String: String], process: Int32) -> Interval? {
        guard let text = environment["WATCHDOG_USEC"], let limit = Int64(text), limit > 1,
            limit < Int64.max / 1_000
        else { return nil }
        if let whose = environment["WATCHDOG_PID"], !whose.isEmpty, Int32(whose) != process { return nil }
        return Interval(nanoseconds: limit * 1_000 / 2)
    }

    /// - Parameter status: One line for people, as `systemctl status` shows it.
    func tell(_ moment: Moment, _ status: String) { send("\(moment.text)\nSTATUS=\(status)") }

    /// A line for people alone.
    func tell(status: String) { send("STATUS=\(status)") }

    func tellAlive() { send("WATCHDOG=1") }

    /// Another process speaks from now on.
    func fallSilent() {
        socket = nil
        waiting = []
    }

    /// Sends again what found no room.
    func retry() {
        while let text = waiting.first, deliver(text) { waiting.removeFirst() }
    }

    private func send(_ text: String) {
        retry()
        guard !waiting.isEmpty || !deliver(text) else { return }
        waiting.append(text)
        // A manager that has read nothing for so long needs the latest more than the first.
        if waiting.count > Supervisor.mostWaiting { waiting.removeFirst() }
    }

    /// False: again later.
    private func deliver(_ text: String) -> Bool {
        guard let socket else { return true }
        return socket.send(text) != .full
    }
}

/// When a worker's loop turned last. Written by the worker a few times a second, read by the control thread.
final class Heartbeat: Sendable {
    /// Nanoseconds of `Instant`; the largest: the worker has ended and is not waited for.
    private let last: Atomic<Int64>

    init(at now: Instant) { last = Atomic(now.nanoseconds) }

    func beat(_ now: Instant) { last.store(now.nanoseconds, ordering: .relaxed) }

    func end() { last.store(.max, ordering: .relaxed) }

    func isAlive(at now: Instant, within limit: Interval) -> Bool {
        Heartbeat.isAlive(last: Instant(nanoseconds: last.load(ordering: .relaxed)), at: now, within: limit)
    }

    static func isAlive(last: Instant, at now: Instant, within limit: Interval) -> Bool {
        last == .never || now - last <= limit
    }
}
