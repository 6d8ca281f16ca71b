internal import Policy
internal import Telemetry
internal import Transport
internal import Wire

/// The worker threads: started together, told things together, ended together.
final class WorkerPool {
    let mailboxes: [Mailbox<WorkerMessage>]
    let heartbeats: [Heartbeat]
    private var threads: [LoopThread] = []
    private(set) var running = 0

    init(count: Int) {
        mailboxes = (0..<count).map { _ in Mailbox() }
        heartbeats = (0..<count).map { _ in Heartbeat(at: .now()) }
    }

    /// Whether every worker's loop has turned within `limit`; true before they are started and for those that have ended.
    func isAlive(at now: Instant, within limit: Interval) -> Bool {
        threads.isEmpty || heartbeats.allSatisfy { $0.isAlive(at: now, within: limit) }
    }

    func start(_ seeds: [WorkerSeed]) {
        for heartbeat in heartbeats { heartbeat.beat(.now()) }
        threads = seeds.map { seed in
            LoopThread(name: "worker-\(seed.index)") { loop in
                let worker = Worker(seed, on: loop)
                withExtendedLifetime(worker) { loop.run() }
            }
        }
        running = threads.count
    }

    func send(_ message: WorkerMessage) {
        for mailbox in mailboxes { mailbox.send(message) }
    }

    /// Some have not yet said `drained`.
    var isRunning: Bool { running > 0 }

    /// One of them has said `drained`. True: it was the last.
    func ended() -> Bool {
        running -= 1
        return running == 0
    }

    /// Waits for threads that have said `drained`.
    func join() {
        for thread in threads { thread.join() }
        threads = []
    }
}
