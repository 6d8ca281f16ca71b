internal import Glibc
internal import Synchronization
internal import Wire

/// The thread behind a `LogWriter`. Born and ended on its own thread; nothing of it is seen by another.
final class DiskThread {
    /// What crosses into the new thread.
    final class Seed: Sendable {
        private let shared: LogWriterState
        private let targets: LogTargets
        private let spillPath: String?
        private let queueLimit: Int
        private let started: WakeSignal

        init(
            shared: LogWriterState, targets: LogTargets, spillPath: String?, queueLimit: Int, started: WakeSignal
        ) {
            self.shared = shared
            self.targets = targets
            self.spillPath = spillPath
            self.queueLimit = queueLimit
            self.started = started
        }

        func run() -> UnsafeMutableRawPointer? {
            // Signals are the control thread's; SIGPIPE of a closed pipe must come back as EPIPE.
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            let thread = DiskThread(shared, targets, spillPath: spillPath, queueLimit: queueLimit)
            started.raise()
            thread.run()
            return nil
        }
    }

    private static let roundMilliseconds: Int32 = 200
    /// Rounds are at least so far apart: what comes meanwhile is one write, and wakes the thread once.
    private static let pause = Interval.milliseconds(2)

    private let shared: LogWriterState
    private var channels: [AccessChannel] = []
    private var destinations: [LogTarget: LogDestination] = [:]
    private var targets: LogTargets
    /// Lines of the audit and the operational log that wait, by `LogKind`.
    private var queues: [[UInt8]] = [[], [], []]
    /// Bytes that each may hold.
    private let queueLimit: Int
    private let spill: AuditSpill?
    /// Targets whose failure has been reported.
    private var reported: Set<LogTarget> = []
    private var waiters: [WakeSignal] = []
    private var roundBegan = Instant(nanoseconds: 0)
    private var stop: (deadline: Instant, done: WakeSignal)?

    private init(_ shared: LogWriterState, _ targets: LogTargets, spillPath: String?, queueLimit: Int) {
        self.shared = shared
        self.queueLimit = queueLimit
        self.targets = LogTargets(access: .off, audit: .off, operational: .off)
        spill = spillPath.map { AuditSpill(path: $0) }
        use(targets)
    }

    private func run() {
        while true {
            roundBegan = Instant.now()
            shared.urgent.store(false, ordering: .relaxed)
            for message in shared.inbox.takeAll() { handle(message) }
            flush()
            if isEmpty {
                for waiter in waiters { waiter.raise() }
                waiters = []
            }
            if let stop, isEmpty || Instant.now() >= stop.deadline {
                end()
                stop.done.raise()
                return
            }
            rest()
        }
    }

    /// Waits for the next round; without an end where the last one found nothing to do.
    private func rest() {
        if !isEmpty || stop != nil || spill?.isHeldElsewhere == true {
            _ = shared.wake.wait(milliseconds: stop == nil ? DiskThread.roundMilliseconds : 10)
            return
        }
        if shared.wake.wait(milliseconds: DiskThread.roundMilliseconds) { return gather() }
        shared.sleeping.store(true, ordering: .sequentiallyConsistent)
        if channels.allSatisfy({ $0.ring.isEmpty }), shared.inbox.isEmpty {
            _ = shared.wake.wait(milliseconds: -1)
        }
        shared.sleeping.store(false, ordering: .sequentiallyConsistent)
    }

    /// Puts the round off that somebody asks for right behind the last one, unless a ring runs full.
    private func gather() {
        guard !shared.urgent.load(ordering: .relaxed) else { return }
        let early = DiskThread.pause - (Instant.now() - roundBegan)
        if early > .zero { usleep(UInt32(early.nanoseconds / 1_000)) }
    }

    private var isEmpty: Bool {
        queues.allSatisfy { $0.isEmpty } && channels.allSatisfy { $0.ring.isEmpty }
            && (spill?.isEmpty != false || destinations[targets.audit]?.isGone == true)
    }

    private func handle(_ message: LogWriter.Message) {
        switch message {
        case .attach(let channel): channels.append(channel)
        case .line(let kind, let line): enqueue(line, kind)
        case .reopen:
            // What waits belongs to the time before the rotation.
            flush()
            for (target, destination) in destinations {
                do { try destination.reopen() } catch { failedToOpen(target, error) }
            }
        case .retarget(let targets):
            flush()
            use(targets)
        case .drained(let waiter): waiters.append(waiter)
        case .stop(let limit, let done): stop = (Instant.now() + .milliseconds(limit), done)
        }
    }

    private func use(_ wanted: LogTargets) {
        func usable(_ target: LogTarget, else old: LogTarget) -> LogTarget {
            if destinations[target] != nil { return target }
            do {
                destinations[target] = try LogDestination(target)
                return target
            } catch {
                failedToOpen(target, error)
                return old
            }
        }
        targets = LogTargets(
            access: usable(wanted.access, else: targets.access),
            audit: usable(wanted.audit, else: targets.audit),
            operational: usable(wanted.operational, else: targets.operational))
        let inUse = Set(targets.all)
        destinations = destinations.filter { inUse.contains($0.key) }
        shared.use(targets)
    }

    private func enqueue(_ line: [UInt8], _ kind: LogKind) {
        let place = kind.rawValue
        let isSpilling = kind == .audit && spill?.isEmpty == false
        if !isSpilling, queues[place].count + line.count <= queueLimit {
            queues[place] += line
            return
        }
        // The older lines first, so that the spill file is in order.
        if kind == .audit, !queues[place].isEmpty, toSpill(queues[place]) { queues[place] = [] }
        if kind != .audit || !toSpill(line) { shared.countDropped(1, of: kind) }
    }

    private func toSpill(_ lines: [UInt8]) -> Bool {
        guard let spill, lines.withUnsafeBytes({ spill.append($0) }) else { return false }
        shared.countSpilled(lines.count { $0 == UInt8(ascii: "\n") })
        return true
    }

    /// One round. Each kind is followed by the check whether its target works.
    private func flush() {
        if spill?.isHeldElsewhere == true { spill?.look() }
        if let destination = destinations[targets.audit] {
            writeQueue(.audit, to: destination)
            if queues[LogKind.audit.rawValue].isEmpty { spill?.playBack { destination.write($0) } }
            check(destination, .audit)
        }
        if let destination = destinations[targets.access] {
            for channel in channels { channel.ring.read { destination.write($0, $1) } }
            check(destination, .access)
            if destination.isGone { for channel in channels { dropLines(of: channel) } }
        }
        if let destination = destinations[targets.operational] {
            writeQueue(.operational, to: destination)
            check(destination, .operational)
        }
    }

    private func writeQueue(_ kind: LogKind, to destination: LogDestination) {
        let place = kind.rawValue
        guard !queues[place].isEmpty else { return }
        queues[place].removeFirst(queues[place].withUnsafeBytes { destination.write($0) })
        if destination.isGone { giveUpQueue(kind) }
    }

    /// Audit lines are kept for the next start; others are counted.
    private func giveUpQueue(_ kind: LogKind) {
        let place = kind.rawValue
        if kind != .audit || !toSpill(queues[place]) {
            shared.countDropped(queues[place].count { $0 == UInt8(ascii: "\n") }, of: kind)
        }
        queues[place] = []
    }

    private func dropLines(of channel: AccessChannel) {
        channel.ring.read { first, second in
            let newline = UInt8(ascii: "\n")
            shared.countDropped(first.count { $0 == newline } + second.count { $0 == newline }, of: .access)
            return first.count + second.count
        }
    }

    /// Reports a target's failure once, and its end once.
    private func check(_ destination: LogDestination, _ kind: LogKind) {
        switch destination.errorNumber {
        case 0:
            guard reported.remove(destination.target) != nil else { return }
            report("log.recovered", .warning, destination.target, "Log lines are written again", nil)
        case EAGAIN: break
        case let number:
            shared.countErrors(destination.takeFailures(), of: kind)
            failed(destination.target, number)
        }
    }

    private func failed(_ target: LogTarget, _ errorNumber: Int32) {
        guard reported.insert(target).inserted else { return }
        report("log.write_failed", .error, target, "Log lines cannot be written", errorText(errorNumber))
    }

    private func failedToOpen(_ target: LogTarget, _ fault: LogFault) {
        for kind in LogKind.allCases where targets.all[kind.rawValue] == target { shared.countErrors(1, of: kind) }
        report(
            "log.open_failed", .error, target, "The log cannot be opened; lines go where they went before",
            errorText(fault.errorNumber))
    }

    /// Goes to the operational log, or to standard error where that is what fails.
    private func report(
        _ event: String, _ level: LogLevel, _ target: LogTarget, _ message: String, _ error: String?
    ) {
        var fields: [(String, LogValue)] = [("target", .text(target.name))]
        if let error { fields.append(("error", .text(error))) }
        let line = operationalLine(level, event, message, fields, at: .now())
        if target == targets.operational || targets.operational == .off {
            if target != .standardError { _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress!, $0.count) } }
        } else {
            enqueue(line, .operational)
        }
    }

    /// What could not be written in time is kept where it can be, and counted where not.
    private func end() {
        for kind in LogKind.allCases where !queues[kind.rawValue].isEmpty { giveUpQueue(kind) }
        for channel in channels { dropLines(of: channel) }
        spill?.letGo()
    }
}

extension LogTarget {
    var name: String {
        switch self {
        case .off: "off"
        case .standardOutput: "stdout"
        case .standardError: "stderr"
        case .file(let path): path
        }
    }
}
