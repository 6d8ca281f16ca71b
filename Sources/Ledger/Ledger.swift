package import Policy
package import Wire

/// Where blocks, failure counters and revocations live. Two homes: `EmbeddedLedger` in this process, `RedisLedger` shared by replicas.
///
/// Belongs to the control thread: every call is made on its loop, and every completion and every call of the sink comes
/// on it. Nothing here waits.
package protocol Ledger: AnyObject {
    /// Brings what was saved into force (the sink gets `.replaceAll` before this returns) and begins work.
    func start()

    /// Saves what is not saved, ends its threads and connections; afterwards the ledger is silent. The completion comes
    /// when all is on disk.
    func stop(completion: @escaping () -> Void)

    var state: LedgerState { get }

    /// Whether workers may serve: what was saved is in force, or the mirror is complete, or the wait for it is over.
    /// The sink hears `.ready` when it becomes true.
    var isReady: Bool { get }

    /// Counts a failed login under one key, and blocks whom it is of when the rule says so. What is counted under several keys
    /// is told once for each.
    ///
    /// The sink has been given the delta before `completion` is called, so whoever relays the 401 only has to wait until
    /// the workers have acknowledged it. The embedded ledger calls back at once; Redis within its deadline, or else the
    /// local count decides.
    func recordFailure(_ failure: LoginFailure, now: Instant, completion: @escaping (FailureOutcome) -> Void)

    /// Takes a place for a guess before its first byte goes to a backend: failures and places together never exceed the
    /// limit. Asking again with the same id takes no second place.
    ///
    /// The place ends with `recordFailure` of the same id, with `release`, or by itself after `length`. As with failures,
    /// the local ledger decides when the authority does not within its deadline; a block that it finds or mends has been
    /// told to the sink before `completion` is called.
    /// - Parameter threshold: failures from which on the guess gets no place, and below which failures and places stay by it;
    ///   nil: those of the rule.
    func reserve(
        _ guess: LoginFailure, for length: Interval, upTo threshold: Int?, now: Instant,
        completion: @escaping (Reservation) -> Void)

    /// Gives the place back: the guess never went out, or was none that counts.
    func release(_ guess: LoginFailure)

    /// Blocks a network on behalf of an operator. An existing block is replaced.
    /// - Parameter duration: nil: permanent.
    func block(
        _ network: IPNetwork, for duration: Interval?, reason: String, actor: String,
        completion: @escaping (BlockOutcome) -> Void)

    /// Lifts blocks and forgets the failures that may lead to them, by every rule and both in one step: or the next 401 would
    /// block again.
    func unblock(_ target: UnblockTarget, actor: String, completion: @escaping (UnblockOutcome) -> Void)

    /// Every block of addresses in force, in no order.
    func blocks() -> [BlockRecord]

    /// The same of accounts.
    func locks() -> [BlockRecord]

    /// How many there are, without listing them: of addresses, and of accounts.
    var blockCount: Int { get }
    var lockCount: Int { get }

    /// When the lock of exactly this is over; nil: there is none.
    func lockEnds(of subject: BlockSubject) -> Instant?

    /// A login succeeded: what failed before does not count any more. What is locked stays so.
    func forgetFailures(under key: LoginKey)

    /// Revokes tokens on behalf of an operator. An existing revocation of the target is replaced.
    ///
    /// The sink has been given the delta before this returns; the completion comes when the store has it, or is known to
    /// be away (`local`).
    func revoke(_ record: RevocationRecord, completion: @escaping (Decider) -> Void)

    /// Takes a revocation back. The completion gets the one that was in force; nil: there was none.
    func unrevoke(
        _ target: RevocationTarget, actor: String, completion: @escaping (RevocationRecord?, Decider) -> Void)

    /// Every revocation, those for later included, in no order.
    func revocations() -> [RevocationRecord]

    /// That of exactly this target; nil: there is none.
    func revocation(of target: RevocationTarget) -> RevocationRecord?

    /// How many there are, without listing them.
    var revocationCount: Int { get }

    /// Gives a text to all replicas, in place of one of the same name; nil takes it away. The sink hears of it before this
    /// returns, and again when its time is over.
    /// - Parameter text: at most `longestSharedText` bytes of ASCII that only the gateways understand.
    func share(_ name: SharedName, _ text: SharedText?, completion: @escaping (Decider) -> Void)

    var shared: [SharedName: SharedText] { get }

    /// Tells the store what was taken here from buckets that replicas share, and learns how they stand with all of them. One of
    /// this process alone has nobody to tell. Nothing is kept or told again: what finds no store, the store never hears of.
    func tell(_ takings: [BucketTaking], completion: @escaping (BucketLevels) -> Void)

    /// Failures that wait to be told to the authority.
    var waitingFailures: Int { get }

    /// Counts by these rules from now on; what is in force stays as it was set.
    func adopt(_ rules: LoginRules)

    var totals: LedgerTotals { get }

    /// Of the store as a server; nil: the ledger is in this process.
    var store: StoreStatistics? { get }
}

extension Ledger {
    package func reserve(
        _ guess: LoginFailure, for length: Interval, now: Instant, completion: @escaping (Reservation) -> Void
    ) {
        reserve(guess, for: length, upTo: nil, now: now, completion: completion)
    }
}

/// What one process has taken from a bucket that replicas share.
package struct BucketTaking: Hashable, Sendable {
    /// The same on all replicas.
    package var name: String
    /// How much further away from full the bucket is for it.
    package var worth: Interval
    /// How far away from full it may be.
    package var furthest: Interval
    /// Since it was taken, or began to be.
    package var age: Interval

    package init(name: String, worth: Interval, furthest: Interval, age: Interval) {
        self.name = name
        self.worth = worth
        self.furthest = furthest
        self.age = age
    }
}

/// How shared buckets stand.
package struct BucketLevels: Hashable, Sendable {
    /// How far away from full each is, in the order in which they were told; nil: nobody has heard of it.
    package var debts: [Interval?]
    /// Why not, in words for operators; nil: the ledger's state says it.
    package var problem: String?

    package init(debts: [Interval?], problem: String? = nil) {
        self.debts = debts
        self.problem = problem
    }

    static func unknown(_ count: Int) -> BucketLevels { BucketLevels(debts: Array(repeating: nil, count: count)) }
}

/// A value of the store is read up to 4 KiB.
package let longestSharedText = 3_500

/// What one rule counts: a guess at a password, and the failed login that came of it.
package struct LoginFailure: Hashable, Sendable {
    /// That of the login, as `FailureID.counted(by:)` has it for the rule.
    package var id: FailureID
    package var address: IPAddress
    package var key: LoginKey

    /// - Parameter key: nil: of the plain rule, for the address by itself.
    package init(id: FailureID, address: IPAddress, key: LoginKey? = nil) {
        self.id = id
        self.address = address
        self.key = key ?? LoginKey(IPNetwork(address))
    }
}

/// May a guess go to a backend?
package struct Reservation: Hashable, Sendable {
    package enum Answer: Hashable, Sendable {
        /// It has a place.
        case granted
        /// As many are on their way as may still fail: one of them may give its place back.
        case full
        /// What it is counted under is at its limit, and its block is in force.
        case blocked
        /// Below the limit, but as many failures as a guess may have in front of it that asked for no more.
        case challenged
    }

    package var answer: Answer
    package var decider: Decider

    package init(_ answer: Answer, by decider: Decider) {
        self.answer = answer
        self.decider = decider
    }
}

/// Who decided: the authority shared by all replicas, or this process while that is away. The embedded ledger is its
/// own authority.
package enum Decider: String, Hashable, Sendable {
    case authority
    /// What was decided is carried over when the authority is back.
    case local
}

package struct FailureOutcome: Hashable, Sendable {
    /// Failures under the key in its window, this one included.
    package var count: Int
    /// The block of the key's subject that is in force now, whoever set it.
    package var block: BlockRecord?
    /// This failure set the block.
    package var isNewlyBlocked: Bool
    package var decider: Decider

    package init(count: Int, block: BlockRecord?, isNewlyBlocked: Bool, decider: Decider) {
        self.count = count
        self.block = block
        self.isNewlyBlocked = isNewlyBlocked
        self.decider = decider
    }
}

package struct BlockOutcome: Hashable, Sendable {
    package var record: BlockRecord
    package var decider: Decider
}

package enum UnblockTarget: Hashable, Sendable {
    case network(IPNetwork)
    /// The account, or nil all of them, as it is locked for the network, or nil wherever it is.
    case accounts(AccountMark?, from: IPNetwork?)
    /// Of addresses. Accounts stay locked; their failures are forgotten with all others.
    case all
}

package struct UnblockOutcome: Hashable, Sendable {
    /// The blocks that were in force.
    package var lifted: [BlockRecord]
    package var decider: Decider
}

package enum LedgerState: Hashable, Sendable {
    case embedded
    case connected
    /// Redis does not answer: known blocks stay in force, failures are counted here and carried over later.
    case degraded(reason: String, since: WallTime)

    /// `embedded`, `connected`, `degraded`: the word in /health and metrics.
    package var word: String {
        switch self {
        case .embedded: "embedded"
        case .connected: "connected"
        case .degraded: "degraded"
        }
    }
}

/// Who follows a ledger: the control thread, which fans deltas out to workers and writes audit records.
package protocol LedgerSink: AnyObject {
    /// Blocks came into force or were lifted. Expired ones are not announced here: the workers know their deadlines.
    func ledger(changed delta: BlockDelta)
    /// Revocations were set or are over, also by themselves.
    func ledger(revoked delta: RevocationDelta)
    /// All of them, when one has changed.
    func ledger(shared: [SharedName: SharedText])
    func ledger(noted event: LedgerEvent)
}

/// What deserves a line in the audit record or the log.
package enum LedgerEvent: Hashable, Sendable {
    /// `isReady` became true.
    case ready
    /// The rule blocked an address here, with the failure that did it.
    case blocked(BlockRecord, by: LoginFailure, decider: Decider)
    /// A rule that only observes would have blocked now, for so long.
    case wouldBlock(LoginFailure, failures: Int, for: Interval, decider: Decider)
    /// An operator did, through the gateway.
    case blockedByCommand(BlockRecord, decider: Decider)
    /// A block appeared or changed in the store: set by hand or by another replica (`record.origin` tells).
    case blockSeen(BlockRecord)
    case lifted(BlockRecord, LiftCause)
    case revokedByCommand(RevocationRecord, decider: Decider)
    /// A revocation appeared or changed in the store: set by hand or by another replica (`record.origin` tells).
    case revocationSeen(RevocationRecord)
    case revocationLifted(RevocationRecord, LiftCause)
    /// Somebody set a block by hand that never ends.
    case permanentBlock(BlockRecord)
    /// A key `ip_block:…` that names no address, or `revoked:…` and the like that name nothing: it is not in force.
    case unparsableKey(String)
    /// The counter in the store is no integer; its failures are counted here only.
    case counterUnusable(LoginKey, String)
    /// The store lost its data; that many automatic blocks and revocations were put back.
    case flushDetected(blocks: Int, revocations: Int)
    case degraded(reason: String)
    /// The store tells of no changes by client tracking. What others change is known after `delay`, and the time that it
    /// takes to look at everything; zero: at once, by keyspace notifications.
    case untracked(reason: String, delay: Interval)
    /// What an operator said here of this key of the store while that was away was not carried over: something was said of it
    /// later, by another replica or by hand.
    case overtaken(String)
    /// - Parameters:
    ///   - outage: How long it was degraded.
    ///   - replay: Failures that are now carried over.
    case recovered(outage: Interval, replay: Int)
    /// So many failures found no place in the queue of those to be carried over.
    case replayOverflow(dropped: Int)
    /// The end of the journal was torn off (a crash while it was written); that many bytes were dropped.
    case journalTorn(bytes: Int)
    /// So many records of the journal were written by a later version and are not understood.
    case journalUnknown(records: Int)
    /// The journal cannot be written; blocks stay in force but would not survive a restart.
    case journalFailed(String)
}

package enum LiftCause: Hashable, Sendable {
    /// Somebody removed the key: `DEL ip_block:…`.
    case deleted
    case expired
    case command(actor: String)
    /// Lost with the store's data, and not restored because it was not automatic.
    case flushed
}

/// Numbers since the start, for metrics.
package struct LedgerTotals: Hashable, Sendable {
    package var failures = 0
    package var failuresDecidedLocally = 0
    package var blocksSet = 0
    package var blocksSeen = 0
    package var blocksLifted = 0
    package var revocationsSet = 0
    package var revocationsSeen = 0
    package var revocationsLifted = 0
    package var replayed = 0
    package var replayDropped = 0
    package var reconnects = 0
    package var resyncs = 0
    package var flushes = 0
    package var unparsableKeys = 0

    package init() {}
}

/// Why a ledger cannot be opened; ends the start of the gateway.
package struct LedgerError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
