internal import Transport
internal import Wire

/// The control thread's end of the disk thread that writes a journal: nothing here waits for a disk.
final class JournalThread {
    private enum Job: Sendable {
        case append([JournalRecord], durable: Bool)
        case mark(Int)
        case stop
    }
    private enum Reply: Sendable {
        case failed(String)
        case passed(Int)
        case stopped
    }

    private let jobs = Mailbox<Job>()
    private let replies = Mailbox<Reply>()
    private var receiver: MailboxReceiver<Reply>?
    private let thread: LoopThread
    private let onFailure: (String) -> Void
    private var whenStopped: (() -> Void)?
    private var marks: [Int: () -> Void] = [:]
    private var lastMark = 0

    /// - Parameter onFailure: Told once for every row of failed writes.
    init(_ opened: OpenedJournal, on loop: EventLoop, onFailure: @escaping (String) -> Void) {
        self.onFailure = onFailure
        let (jobs, replies) = (jobs, replies)
        thread = LoopThread(name: "ledger-disk") { JournalThread.work(opened, jobs, replies, on: $0) }
        receiver = MailboxReceiver(replies, on: loop) { [unowned self] in receive($0) }
    }

    /// Written in the order of the calls.
    /// - Parameter durable: Synced at once, together with what came before: for what must survive a power cut.
    func append(_ records: [JournalRecord], durable: Bool) {
        if !records.isEmpty { jobs.send(.append(records, durable: durable)) }
    }

    /// The completion comes when everything appended so far is on disk, or could not be written: for an operator who is
    /// told that it is done.
    func whenWritten(_ completion: @escaping () -> Void) {
        lastMark += 1
        marks[lastMark] = completion
        jobs.send(.mark(lastMark))
    }

    /// The completion comes when everything appended so far is on disk and the thread has ended.
    func stop(completion: @escaping () -> Void) {
        whenStopped = completion
        jobs.send(.stop)
    }

    private func receive(_ reply: Reply) {
        switch reply {
        case .failed(let text): onFailure(text)
        case .passed(let mark): marks.removeValue(forKey: mark)?()
        case .stopped:
            // It has nothing left to do but to return, so this does not wait.
            thread.join()
            let completion = whenStopped
            whenStopped = nil
            completion?()
        }
    }

    /// The life of the disk thread.
    private static func work(
        _ opened: OpenedJournal, _ jobs: Mailbox<Job>, _ replies: Mailbox<Reply>, on loop: EventLoop
    ) {
        let writer = JournalWriter(opened)
        var isFlushing = false
        var isFailing = false
        var passed: [Int] = []
        func flush() {
            isFlushing = false
            do throws(LedgerError) {
                try writer.flush()
                isFailing = false
            } catch {
                if !isFailing { replies.send(.failed(error.description)) }
                isFailing = true
            }
            for mark in passed { replies.send(.passed(mark)) }
            passed = []
        }
        let receiver = MailboxReceiver(jobs, on: loop) { job in
            switch job {
            case .append(let records, let durable):
                writer.append(records, durable: durable)
                // Everything that has come by now goes with one write and one sync.
                if !isFlushing {
                    isFlushing = true
                    loop.atEndOfTurn(flush)
                }
            case .mark(let mark):
                if isFlushing { passed.append(mark) } else { replies.send(.passed(mark)) }
            case .stop:
                flush()
                loop.stop()
            }
        }
        withExtendedLifetime(receiver) { loop.run() }
        replies.send(.stopped)
    }
}
