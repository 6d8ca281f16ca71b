internal import Glibc
internal import Synchronization

/// Owns the log files: one thread that empties the workers' rings and writes the lines of the other logs, so that nobody
/// who serves a request ever waits for a disk or a pipe. Callable from every thread.
///
/// Access lines that find no room are dropped and counted. Audit lines wait in memory, then in the spill file; what even
/// that cannot keep is counted as lost. Everything is written at the latest after 200 ms.
package final class LogWriter: Sendable {
    enum Message: Sendable {
        case attach(AccessChannel)
        case line(LogKind, [UInt8])
        case reopen
        case retarget(LogTargets)
        /// Raised once nothing waits any more.
        case drained(WakeSignal)
        /// Ends the thread once nothing waits any more, or after this many milliseconds.
        case stop(Int, WakeSignal)
    }

    let shared: LogWriterState

    /// Opens the files and starts the thread.
    /// - `spillPath`: where audit lines wait while their target takes none; nil: in memory only.
    /// - `queueLimit`: bytes of each log other than the access log that may wait in memory.
    package init(_ targets: LogTargets, spillPath: String?, queueLimit: Int = 4 << 20) throws(LogFault) {
        shared = LogWriterState(auditTarget: targets.audit, accessIsOn: targets.access != .off)
        // Opened here once for the error, and by the disk thread for use.
        for target in targets.all { _ = try LogDestination(target) }
        let started = WakeSignal()
        let seed = DiskThread.Seed(
            shared: shared, targets: targets, spillPath: spillPath, queueLimit: queueLimit, started: started)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil, { Unmanaged<DiskThread.Seed>.fromOpaque($0!).takeRetainedValue().run() },
            // Released by the thread's first line.
            Unmanaged.passRetained(seed).toOpaque())
        precondition(result == 0, "no thread for the log writer")
        pthread_detach(thread)
        // So that the files are open when this returns, whatever then happens to their directories.
        _ = started.wait(milliseconds: -1)
    }

    /// A worker's way to the access log; `bytes` (a power of two from 8 KiB on) may wait for the disk. The default lasts a
    /// busy worker for some 10 ms, which is how long the disk thread may have to wait for a processor.
    package func accessChannel(bytes: Int = 1 << 19) -> AccessChannel {
        let channel = AccessChannel(ring: LineRing(capacity: bytes), shared: shared)
        shared.send(.attach(channel))
        return channel
    }

    /// Hands over one finished line, with its newline.
    func submit(_ line: [UInt8], to kind: LogKind) {
        guard !line.isEmpty else { return }
        shared.send(.line(kind, line))
    }

    /// Opens the files anew: what SIGUSR1 asks for after a rotation.
    package func reopen() { shared.send(.reopen) }

    /// Uses other targets from now on; one that cannot be opened is reported, and the old one stays.
    package func retarget(_ targets: LogTargets) { shared.send(.retarget(targets)) }

    /// Waits until every line handed over so far is written. False: the time was over first.
    @discardableResult
    package func drain(withinMilliseconds limit: Int = 2_000) -> Bool {
        let done = WakeSignal()
        shared.send(.drained(done))
        return done.wait(milliseconds: Int32(limit))
    }

    /// Writes what waits and ends the thread; audit lines that cannot be written by then go to the spill file. To be
    /// called once, last.
    package func stop(withinMilliseconds limit: Int = 2_000) {
        let done = WakeSignal()
        shared.send(.stop(limit, done))
        // The thread keeps the limit itself; the second more is for a disk that does not answer.
        _ = done.wait(milliseconds: Int32(limit + 1_000))
    }

    /// The counters as they are now.
    package var statistics: LogStatistics { shared.statistics }
}

/// What the log writer counts, for the metrics.
package struct LogStatistics: Hashable, Sendable {
    /// By `LogKind`: lines that went nowhere, because the log was full, its disk too, or its reader gone.
    package var dropped: [Int]
    /// By `LogKind`: failed writes and reopenings.
    package var writeErrors: [Int]
    /// Audit lines that went to the spill file.
    package var spilled: Int
}

/// What the threads share with the disk thread.
final class LogWriterState: Sendable {
    let inbox = Inbox<LogWriter.Message>()
    let wake = WakeSignal()
    /// The disk thread waits without an end: whoever has something must wake it.
    let sleeping = Atomic<Bool>(false)
    /// A ring is more than half full and the disk thread was told.
    let urgent = Atomic<Bool>(false)
    let accessIsOn: Atomic<Bool>
    private let auditIsOn: Atomic<Bool>
    private let counters = AtomicTable(count: 2 * LogKind.allCases.count + 1)

    init(auditTarget: LogTarget, accessIsOn: Bool) {
        auditIsOn = Atomic(auditTarget != .off)
        self.accessIsOn = Atomic(accessIsOn)
    }

    func send(_ message: LogWriter.Message) {
        if inbox.send(message) { wake.raise() }
    }

    var keepsAudit: Bool { auditIsOn.load(ordering: .relaxed) }

    func use(_ targets: LogTargets) {
        accessIsOn.store(targets.access != .off, ordering: .relaxed)
        auditIsOn.store(targets.audit != .off, ordering: .relaxed)
    }

    func countDropped(_ lines: Int, of kind: LogKind) { counters.addShared(lines, to: kind.rawValue) }
    func countErrors(_ errors: Int, of kind: LogKind) {
        counters.addShared(errors, to: LogKind.allCases.count + kind.rawValue)
    }
    func countSpilled(_ lines: Int) { counters.addShared(lines, to: 2 * LogKind.allCases.count) }

    var statistics: LogStatistics {
        let kinds = LogKind.allCases.count
        return LogStatistics(
            dropped: (0..<kinds).map { counters.load($0) },
            writeErrors: (kinds..<2 * kinds).map { counters.load($0) },
            spilled: counters.load(2 * kinds))
    }
}

/// One worker's way to the access log. Handed to the worker, which makes its `AccessLog` from it.
package final class AccessChannel: Sendable {
    let ring: LineRing
    private let shared: LogWriterState

    init(ring: LineRing, shared: LogWriterState) {
        self.ring = ring
        self.shared = shared
    }

    var isOn: Bool { shared.accessIsOn.load(ordering: .relaxed) }

    /// Nil: the disk is too far behind; the line is dropped and counted.
    func lineMemory() -> UnsafeMutableRawBufferPointer? {
        if let memory = ring.lineMemory() { return memory }
        shared.countDropped(1, of: .access)
        return nil
    }

    /// Wakes the disk thread where it sleeps, which it does only after a time without any line, and where the ring runs
    /// full before the next round; otherwise this is two stores.
    func publish(_ count: Int) {
        let crowded = ring.publish(count)
        if shared.sleeping.load(ordering: .sequentiallyConsistent) {
            if shared.sleeping.exchange(false, ordering: .acquiringAndReleasing) { shared.wake.raise() }
        } else if crowded, !shared.urgent.load(ordering: .relaxed) {
            if !shared.urgent.exchange(true, ordering: .acquiringAndReleasing) { shared.wake.raise() }
        }
    }
}
