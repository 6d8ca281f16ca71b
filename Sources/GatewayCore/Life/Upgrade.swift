internal import Glibc
internal import Ledger
internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// What became of a request for an upgrade.
enum UpgradeOutcome {
    /// The process serves; this one finishes what is under way.
    case handedOver(process: Int32, version: String)
    /// This process serves on.
    case failed(String)
    case underWay
    /// The gateway is starting or ending.
    case notServing
}

/// Starts the new program and gives it what it needs to take over: the very listening sockets, then the state. Follows
/// it until it serves, and then until this process ends. On the control thread.
final class Upgrade {
    /// What the upgrade does to the gateway it belongs to.
    struct Actions {
        /// Calls back when everything is saved and free.
        let releaseState: (@escaping () -> Void) -> Void
        let takeStateBack: () -> Void
        /// - Parameter kept: Which of the sockets the successor serves on.
        let handOver: (_ kept: [ListeningSocket]) -> Void
        let successorLost: (String) -> Void
        /// The successor tells of a block or the like, or of a failed login that it has counted.
        let heard: (HandoverMessage) -> Void
    }

    /// A socket that is given away, under the name of its setting.
    struct Gift {
        let name: String
        let socket: ListeningSocket
    }

    /// Of a socket that a service manager holds, too, whoever it is given to.
    static let heldMark = "@held"
    static let lineName = "handover"

    private let loop: EventLoop
    private let log: OperationalLog
    private let actions: Actions
    private var machine = UpgradeMachine()
    private var process: Int32?
    private var line: HandoverChannel?
    private var gifts: [Gift] = []
    private var timer: LoopTimer?
    private var done: ((UpgradeOutcome) -> Void)?

    init(on loop: EventLoop, log: OperationalLog, actions: Actions) {
        self.loop = loop
        self.log = log
        self.actions = actions
    }

    var isUnderWay: Bool { process != nil && machine.isUnderWay }

    /// One at a time.
    /// - Parameters:
    ///   - limit: For the new program to serve.
    ///   - done: Called once.
    func begin(
        _ inheritance: Inheritance, gifts: [Gift], limit: Interval, done: @escaping (UpgradeOutcome) -> Void
    ) {
        guard process == nil else { return done(.underWay) }
        switch Upgrade.start(inheritance, gifts) {
        case .failure(let error):
            self.done = done
            carryOut(.fail("it cannot be started: \(error)"))
        case .success(let (process, socket)):
            self.process = process
            self.gifts = gifts
            self.done = done
            machine = UpgradeMachine()
            log.log(
                .info, "upgrade.started", "The new program was started",
                [("program", .text(inheritance.commandLine[0])), ("pid", .number(Int(process)))])
            line = HandoverChannel(
                socket, on: loop, receive: { [unowned self] in heard($0) },
                ended: { [unowned self] in
                    line = nil
                    happened(.lineEnded)
                })
            timer = LoopTimer(on: loop) { [unowned self] in
                happened(.timePassed("it did not serve within \(limit.milliseconds) ms"))
            }
            timer?.fire(after: limit)
        }
    }

    private static func start(
        _ inheritance: Inheritance, _ gifts: [Gift]
    ) -> Result<(Int32, StreamSocket), SystemError> {
        switch StreamSocket.pair() {
        case .failure(let error): return .failure(error)
        case .success(let (ours, theirs)):
            defer { theirs.close() }
            var environment = inheritance.environment
            // Signs of life are asked of whoever is the service, and that is the new process soon.
            environment["WATCHDOG_PID"] = nil
            environment["LISTEN_FDS"] = "\(gifts.count + 1)"
            environment["LISTEN_FDNAMES"] =
                (gifts.map { $0.name + ($0.socket.isHeldElsewhere ? heldMark : "") } + [lineName])
                .joined(separator: ":")
            environment[InheritedDescriptors.handoverVariable] = "\(InheritedDescriptors.handoverForm):\(getpid())"
            let result = ChildProgram.start(
                inheritance.commandLine, environment: environment,
                descriptors: gifts.map(\.socket.descriptor) + [theirs.descriptor])
            if case .failure = result { ours.close() }
            return result.map { ($0, ours) }
        }
    }

    /// This process was asked to end.
    func cancel() { happened(.cancelled) }

    /// A child has ended: ours, if we have one.
    func childEnded() {
        guard let process else { return }
        // Its last words are why it ended.
        line?.catchUp()
        guard let end = ChildProgram.end(of: process) else { return }
        happened(.programEnded(end.description))
    }

    /// To the successor: a failed login, or a request for a reload. False: there is no line to it.
    @discardableResult
    func tell(_ message: HandoverMessage) -> Bool {
        line?.send(message)
        return line != nil
    }

    private func heard(_ message: HandoverMessage) {
        switch message {
        case .block, .lift, .allow, .disallow, .revoke, .unrevoke, .lockdown, .reopen, .keyGone, .counted, .reserved:
            actions.heard(message)
        default: happened(.said(message))
        }
    }

    private func happened(_ event: UpgradeMachine.Event) {
        for step in machine.happened(event) { carryOut(step) }
    }

    private func carryOut(_ step: UpgradeMachine.Step) {
        switch step {
        case .releaseState: actions.releaseState { [unowned self] in happened(.stateReleased) }
        case .takeStateBack: actions.takeStateBack()
        case .send(let message): line?.send(message)
        case .kill: if let process { kill(process, SIGKILL) }
        case .terminate: if let process { kill(process, SIGTERM) }
        case .handOver(let kept, let version):
            timer = nil
            log.log(
                .info, "upgrade.handed_over", "Another process serves in this one's place",
                [("pid", .number(Int(process ?? 0))), ("version", .text(version))])
            // The answer first: with nothing under way this process ends in the same moment.
            finish(.handedOver(process: process ?? 0, version: version))
            actions.handOver(kept.filter(gifts.indices.contains).map { gifts[$0].socket })
            gifts = []
        case .fail(let reason):
            timer = nil
            line?.close()
            line = nil
            process = nil
            gifts = []
            log.log(
                .error, "upgrade.failed", "The new program did not take over; this process serves on",
                [("reason", .text(reason))])
            finish(.failed(reason))
        case .successorLost(let how):
            line?.close()
            line = nil
            log.log(
                .error, "upgrade.successor_lost", "The process that took over is no more", [("reason", .text(how))])
            actions.successorLost(how)
        }
    }

    private func finish(_ outcome: UpgradeOutcome) {
        let done = done
        self.done = nil
        done?(outcome)
    }
}
