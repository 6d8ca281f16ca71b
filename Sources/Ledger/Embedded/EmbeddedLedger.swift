package import Policy
package import Transport
package import Wire

/// The ledger of a gateway without Redis: everything in this process, saved in a journal under `state_dir`.
///
/// A failure's completion does not wait for the disk. The block is in force in memory at once and is handed to the disk
/// thread in the same moment, so a crash of the process loses it only when it comes within that write; a login must
/// not depend on a slow disk. Counters are written once a second: a crash may forget the last second's failures.
package final class EmbeddedLedger: Ledger {
    private let loop: EventLoop
    private let clock: LedgerClock
    private unowned let sink: any LedgerSink
    private let directory: StateDirectory
    private let saved: JournalState
    private let tornBytes: Int
    private var local: LocalLedger
    private var revocationBook = RevocationBook()
    package private(set) var shared: [SharedName: SharedText] = [:]
    private var journal: JournalThread?
    private var expiry: LoopTimer?
    private var saving: LoopTimer?
    private var unsavedCounters: Set<LoginKey> = []
    package private(set) var totals = LedgerTotals()

    package static let journalName = "embedded.journal"

    /// Locks the directory and reads the journal; this is the only time that the calling thread waits for the disk.
    /// - Parameter sink: Must outlive the ledger.
    package init(
        rules: LoginRules, stateDirectory: String, on loop: EventLoop, sink: any LedgerSink,
        clock: LedgerClock = .system
    ) throws(LedgerError) {
        self.loop = loop
        self.clock = clock
        self.sink = sink
        directory = try StateDirectory(stateDirectory)
        local = LocalLedger(rules: rules)
        do throws(LedgerError) {
            let opened = try OpenedJournal(in: directory, name: EmbeddedLedger.journalName, at: clock.wall())
            saved = opened.state
            tornBytes = opened.tornBytes
            journal = JournalThread(opened, on: loop) { [unowned sink] in sink.ledger(noted: .journalFailed($0)) }
        } catch {
            directory.release()
            throw error
        }
    }

    package var state: LedgerState { .embedded }
    package var isReady: Bool { true }

    package func start() {
        for block in saved.blocks.values { local.book.set(block.record(clock: clock)) }
        for (key, counter) in saved.counters {
            let counter = FailureCounters.Counter(
                count: counter.count, deadline: clock.deadline(of: counter.deadline))
            if key.isHistory { local.history.set(key, counter) } else { local.counters.set(key, counter) }
        }
        for revocation in saved.revocations.values { revocationBook.set(revocation.record(clock: clock)) }
        if tornBytes > 0 { sink.ledger(noted: .journalTorn(bytes: tornBytes)) }
        if saved.unknownRecords > 0 { sink.ledger(noted: .journalUnknown(records: saved.unknownRecords)) }
        sink.ledger(changed: .replaceAll(blocks().map(\.entry)))
        sink.ledger(revoked: .replaceAll(revocations().map(\.entry)))
        shared = saved.shared.mapValues { $0.text(clock: clock) }
        sink.ledger(shared: shared)
        sink.ledger(noted: .ready)

        expiry = LoopTimer(on: loop) { [unowned self] in expire() }
        saving = LoopTimer(on: loop) { [unowned self] in saveCounters() }
        saving?.fire(every: .seconds(1))
        scheduleExpiry()
    }

    package func stop(completion: @escaping () -> Void) {
        expiry = nil
        saving = nil
        saveCounters()
        guard let journal else { return completion() }
        let directory = directory
        journal.stop { [self] in
            self.journal = nil
            directory.release()
            completion()
        }
    }

    package func recordFailure(
        _ failure: LoginFailure, now: Instant, completion: @escaping (FailureOutcome) -> Void
    ) {
        totals.failures += 1
        let decision = local.record(failure, at: now, wall: clock.wall())
        unsavedCounters.insert(failure.key)
        if decision.isNewlyBlocked, let block = decision.block {
            totals.blocksSet += 1
            // The counter goes with its block, so that both have the same end after a restart.
            if local.rules.escalates { unsavedCounters.insert(.history(of: block.subject)) }
            saveCounters()
            inForce(block)
            sink.ledger(noted: .blocked(block, by: failure, decider: .authority))
        }
        if let length = decision.wouldBlock {
            sink.ledger(
                noted: .wouldBlock(failure, failures: decision.counter.count, for: length, decider: .authority))
        }
        completion(
            FailureOutcome(
                count: decision.counter.count, block: decision.block, isNewlyBlocked: decision.isNewlyBlocked,
                decider: .authority))
    }

    package func reserve(
        _ guess: LoginFailure, for length: Interval, upTo threshold: Int?, now: Instant,
        completion: @escaping (Reservation) -> Void
    ) {
        completion(
            Reservation(local.reserve(guess, until: now + length, upTo: threshold, at: now), by: .authority))
    }

    package func release(_ guess: LoginFailure) { local.release(guess) }

    package func tell(_ takings: [BucketTaking], completion: @escaping (BucketLevels) -> Void) {
        completion(.unknown(takings.count))
    }

    package func block(
        _ network: IPNetwork, for duration: Interval?, reason: String, actor: String,
        completion: @escaping (BlockOutcome) -> Void
    ) {
        let record = BlockRecord(
            network: network, origin: .command, reason: reason, actor: actor, since: clock.wall(),
            deadline: duration.map { clock.now() + $0 } ?? .never)
        totals.blocksSet += 1
        local.book.set(record)
        inForce(record)
        sink.ledger(noted: .blockedByCommand(record, decider: .authority))
        whenSaved { completion(BlockOutcome(record: record, decider: .authority)) }
    }

    package func unblock(_ target: UnblockTarget, actor: String, completion: @escaping (UnblockOutcome) -> Void) {
        var lifted: [BlockRecord] = []
        var records: [JournalRecord] = []
        func lift(_ subject: BlockSubject) {
            records.append(.lift(subject))
            let keys = local.rules.keys(countedFor: subject) + [LoginKey.history(of: subject)]
            records += keys.map { JournalRecord.clearCounter($0) }
            if let record = local.unblock(subject, at: clock.now()) { lifted.append(record) }
        }
        switch target {
        case .network(let network): lift(BlockSubject(network))
        case .accounts(let account, let network):
            for subject in local.subjects(of: account, from: network, at: clock.now()) { lift(subject) }
        case .all:
            for record in blocks() { lift(record.subject) }
            local.counters.clearAll()
            local.history.clearAll()
            unsavedCounters = []
            records.append(.clearAllCounters)
        }
        journal?.append(records, durable: true)
        totals.blocksLifted += lifted.count
        let networks = lifted.filter(\.isOfAddresses).map(\.network)
        if !networks.isEmpty { sink.ledger(changed: .lift(networks)) }
        for record in lifted { sink.ledger(noted: .lifted(record, .command(actor: actor))) }
        whenSaved { completion(UnblockOutcome(lifted: lifted, decider: .authority)) }
    }

    package func revoke(_ record: RevocationRecord, completion: @escaping (Decider) -> Void) {
        totals.revocationsSet += 1
        revocationBook.set(record)
        journal?.append([.revocation(StoredRevocation(record, clock: clock))], durable: true)
        sink.ledger(revoked: .set([record.entry]))
        scheduleExpiry()
        sink.ledger(noted: .revokedByCommand(record, decider: .authority))
        whenSaved { completion(.authority) }
    }

    package func unrevoke(
        _ target: RevocationTarget, actor: String, completion: @escaping (RevocationRecord?, Decider) -> Void
    ) {
        guard case .ended(let record) = revocationBook.remove(target) else { return completion(nil, .authority) }
        totals.revocationsLifted += 1
        journal?.append([.revocationLifted(target)], durable: true)
        sink.ledger(revoked: .lift([target]))
        sink.ledger(noted: .revocationLifted(record, .command(actor: actor)))
        whenSaved { completion(record, .authority) }
    }

    package func share(_ name: SharedName, _ text: SharedText?, completion: @escaping (Decider) -> Void) {
        shared[name] = text
        journal?.append([.shared(name, text, clock: clock)], durable: true)
        sink.ledger(shared: shared)
        scheduleExpiry()
        whenSaved { completion(.authority) }
    }

    package func revocations() -> [RevocationRecord] { revocationBook.records(at: clock.now()) }

    package func revocation(of target: RevocationTarget) -> RevocationRecord? {
        revocationBook.record(of: target, at: clock.now())
    }

    package var revocationCount: Int { revocationBook.count }

    /// An operator who is told that it is done must find it done after a crash, too.
    private func whenSaved(_ proceed: @escaping () -> Void) {
        if let journal { journal.whenWritten(proceed) } else { proceed() }
    }

    package var blockCount: Int { local.book.count - local.book.accounts }
    package var lockCount: Int { local.book.accounts }

    package func lockEnds(of subject: BlockSubject) -> Instant? { local.block(of: subject, at: clock.now())?.deadline }

    package func forgetFailures(under key: LoginKey) {
        if local.counters.clear(key) { unsavedCounters.insert(key) }
    }

    package var waitingFailures: Int { 0 }

    package func adopt(_ rules: LoginRules) { local.rules = rules }

    package func blocks() -> [BlockRecord] { local.book.records(at: clock.now()).filter(\.isOfAddresses) }
    package func locks() -> [BlockRecord] { local.book.records(at: clock.now()).filter { !$0.isOfAddresses } }

    /// Saves the block, tells the workers and watches its end.
    private func inForce(_ record: BlockRecord) {
        journal?.append([.block(StoredBlock(record, clock: clock))], durable: true)
        if record.isOfAddresses { sink.ledger(changed: .set([record.entry])) }
        scheduleExpiry()
    }

    private func expire() {
        let over = local.book.expire(at: clock.now())
        totals.blocksLifted += over.count
        for record in over { sink.ledger(noted: .lifted(record, .expired)) }
        let ended = revocationBook.expire(at: clock.now())
        totals.revocationsLifted += ended.count
        if !ended.isEmpty { sink.ledger(revoked: .lift(ended.map(\.target))) }
        for record in ended { sink.ledger(noted: .revocationLifted(record, .expired)) }
        expireShared()
        scheduleExpiry()
    }

    private func expireShared() {
        let now = clock.now()
        let over = shared.filter { $0.value.deadline <= now }
        guard !over.isEmpty else { return }
        for name in over.keys { shared[name] = nil }
        sink.ledger(shared: shared)
    }

    private func scheduleExpiry() {
        var deadlines = [local.book.nextDeadline, revocationBook.nextDeadline].compactMap { $0 }
        deadlines += shared.values.map(\.deadline)
        guard let next = deadlines.min(), next != .never else { return }
        expiry?.fire(after: max(.milliseconds(1), next - clock.now()))
    }

    private func saveCounters() {
        let now = clock.now()
        let records = unsavedCounters.map { key -> JournalRecord in
            let known = key.isHistory ? local.history : local.counters
            guard let counter = known.counter(of: key, at: now),
                let deadline = clock.wall(of: counter.deadline)
            else { return .clearCounter(key) }
            return .counter(key, count: counter.count, deadline: deadline)
        }
        unsavedCounters.removeAll(keepingCapacity: true)
        journal?.append(records, durable: false)
    }
}
