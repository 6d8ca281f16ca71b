package import Policy
package import Wire

extension RedisLedger {
    package var blockCount: Int { local.book.count - local.book.accounts }
    package var lockCount: Int { local.book.accounts }
    package func lockEnds(of subject: BlockSubject) -> Instant? { local.block(of: subject, at: clock.now())?.deadline }

    package func blocks() -> [BlockRecord] { local.book.records(at: clock.now()).filter(\.isOfAddresses) }
    package func locks() -> [BlockRecord] { local.book.records(at: clock.now()).filter { !$0.isOfAddresses } }

    package func block(
        _ network: IPNetwork, for duration: Interval?, reason: String, actor: String,
        completion: @escaping (BlockOutcome) -> Void
    ) {
        let record = BlockRecord(
            network: network, origin: .command, reason: reason, actor: actor, since: clock.wall(),
            deadline: duration.map { clock.now() + $0 } ?? .never)
        let subject = record.subject
        totals.blocksSet += 1
        // In force here at once; the store hears of it now or when it is back.
        pendingBlocks.insert(subject)
        pendingLifts.remove(subject)
        let noted = noteSet(BlockKey.block(subject), overHand: local.book[subject]?.origin == .byHand)
        let change = local.book.set(record)
        if case .none = change {} else { outgoing.set(record) }
        journal?.append(
            [.block(StoredBlock(record, clock: clock, isPending: true)), .liftSettled(subject)] + noted,
            durable: true)
        scheduleExpiry()
        sendDelta()
        let done = { [self] (decider: Decider) in
            sink.ledger(noted: .blockedByCommand(record, decider: decider))
            completion(BlockOutcome(record: record, decider: decider))
        }
        guard let authority else { return done(.local) }
        tell(record, .now(record.since), authority) { [weak self] reply in
            guard let self else { return }
            if let error = reply?.error {
                degrade(.refusing, error)
            } else if reply != nil, local.book[subject] == record, pendingBlocks.remove(subject) != nil {
                // Nothing was said of it since.
                settleWord(of: BlockKey.block(subject))
                save([.block(StoredBlock(record, clock: clock))])
            }
            done(reply == nil || reply?.error != nil ? .local : .authority)
        }
    }

    package func unblock(_ target: UnblockTarget, actor: String, completion: @escaping (UnblockOutcome) -> Void) {
        switch target {
        case .network(let network): lift([BlockSubject(network)], actor: actor, completion: completion)
        case .accounts(let account, let network):
            let subjects = local.subjects(of: account, from: network, at: clock.now())
            liftSlices(of: subjects[...], Lifting(), actor: actor) { [weak self] outcome in
                guard let self else { return completion(outcome) }
                forgetElsewhere(account, from: network) { completion(outcome) }
            }
        case .all:
            guard let authority else {
                let counted = (local.counters.keys + local.history.keys).map(\.subject).filter { $0.account == nil }
                let subjects = Set(blocks().map(\.subject)).union(counted)
                save(forgetFailures { _ in true })
                return lift(Array(subjects), actor: actor, completion: completion)
            }
            // Counters first: a failure in between must not find a count at the limit and block again.
            deleteAll(BlockKey.failurePrefix + "*", from: "0", authority) { [weak self] in
                guard let self else { return }
                local.counters.clearAll()
                local.history.clearAll()
                save(forgetFailures { _ in true })
                liftSlices(of: blocks().map(\.subject)[...], Lifting(), actor: actor, completion: completion)
            }
        }
    }

    /// Of all the slices together.
    private final class Lifting {
        var outcome = UnblockOutcome(lifted: [], decider: .authority)
    }

    /// A slice with each round trip: a million at once would be more than a connection holds, and hold up whoever logs in.
    private func liftSlices(
        of subjects: ArraySlice<BlockSubject>, _ lifting: Lifting, actor: String,
        completion: @escaping (UnblockOutcome) -> Void
    ) {
        // Without the authority nothing is sent, and each would end at once.
        let slice = authority == nil ? subjects : subjects.prefix(RedisLedger.slice)
        let rest = subjects.dropFirst(slice.count)
        lift(Array(slice), actor: actor) { [weak self] outcome in
            lifting.outcome.lifted += outcome.lifted
            if outcome.decider == .local { lifting.outcome.decider = .local }
            guard let self, !rest.isEmpty else { return completion(lifting.outcome) }
            liftSlices(of: rest, lifting, actor: actor, completion: completion)
        }
    }

    package func forgetFailures(under key: LoginKey) {
        local.counters.clear(key)
        save(forgetFailures { $0 == key })
        authority?.call(["DEL", BlockKey.failures(key)])
    }

    /// Failures of before an unblock that wait to be carried over, or would be told to a new master: they would block again.
    private func forgetFailures(_ isMeant: (LoginKey) -> Bool) -> [JournalRecord] {
        let ids = unsettled.values.map(\.failure).filter { isMeant($0.key) }.map(\.id)
        for id in ids {
            unsettled[id] = nil
            replaying.remove(id)
        }
        recentlyTold.removeAll { isMeant($0.failure.failure.key) }
        return ids.map { .settled($0) }
    }

    /// Removes blocks here, and here or later in the store, with their counters.
    private func lift(_ subjects: [BlockSubject], actor: String, completion: @escaping (UnblockOutcome) -> Void) {
        let now = clock.now()
        let wall = clock.wall()
        var lifted: [BlockRecord] = []
        var keys: [LiftedKey] = []
        var records: [JournalRecord] = []
        for subject in subjects {
            keys += liftedKeys(of: subject)
            records += [
                note(BlockKey.block(subject), overHand: local.book[subject]?.origin == .byHand, at: wall),
                .lift(subject), .pendingLift(subject),
            ]
            pendingBlocks.remove(subject)
            pendingLifts.insert(subject)
            if let record = local.unblock(subject, at: now) {
                lifted.append(record)
                outgoing.lift(subject)
            }
        }
        let meant = Set(subjects)
        records += forgetFailures { meant.contains($0.subject) }
        journal?.append(records, durable: true)
        totals.blocksLifted += lifted.count
        sendDelta()
        for record in lifted { sink.ledger(noted: .lifted(record, .command(actor: actor))) }
        guard let authority, !keys.isEmpty else {
            return completion(UnblockOutcome(lifted: lifted, decider: keys.isEmpty ? .authority : .local))
        }
        delete(keys, authority, telling: { _ in .now(wall) }) {
            completion(UnblockOutcome(lifted: lifted, decider: $0 ? .authority : .local))
        }
    }

    /// What operators lifted while Redis was away, or refused to write.
    func uploadLifts(_ session: any RedisStore) {
        let subjects = RedisLedger.next(of: pendingLifts, besides: uploadingLifts)
        guard !subjects.isEmpty else { return }
        uploadingLifts.formUnion(subjects)
        let words = Dictionary(uniqueKeysWithValues: subjects.map { ($0, word(of: BlockKey.block($0))) })
        let keys = subjects.flatMap { liftedKeys(of: $0) }
        delete(keys, session, telling: { .carried(words[$0]!) }) { [weak self] in
            guard let self, self.session === session else { return }
            uploadingLifts.subtract(subjects)
            guard $0 else { return }
            if isRefusing { recover() } else { uploadLifts(session) }
        }
    }

    /// A key that goes with a block that is lifted.
    private struct LiftedKey {
        let text: String
        let subject: BlockSubject
        let isCounter: Bool
    }

    /// One key per command, so that no two slots meet (Redis Cluster); they leave with one write.
    private func delete(
        _ keys: [LiftedKey], _ session: any RedisStore, telling: (BlockSubject) -> Telling,
        completion: @escaping (Bool) -> Void
    ) {
        let subjects = Set(keys.map(\.subject))
        // Counted: the answer to a script that Redis has to be told anew comes behind those of the others.
        var left = keys.count
        var isDone = true
        var refusal: String?
        var overtakenKeys: [(String, Telling)] = []
        for key in keys {
            let told = telling(key.subject)
            let answered = { [weak self] (reply: RESPValue?) -> Void in
                isDone = isDone && reply != nil && reply?.error == nil
                refusal = reply?.error ?? refusal
                if !key.isCounter, reply?.integer == 0 { overtakenKeys.append((key.text, told)) }
                left -= 1
                guard left == 0, let self else { return }
                // It is asked again from time to time.
                if let refusal { degrade(.refusing, refusal) }
                if isDone {
                    // Something else may have been said of some of them since.
                    let settled = subjects.filter { pendingLifts.remove($0) != nil }
                    for subject in settled { settleWord(of: BlockKey.block(subject)) }
                    save(settled.map { .liftSettled($0) })
                    for (key, telling) in overtakenKeys { overtaken(key, telling) }
                }
                completion(isDone)
            }
            if key.isCounter {
                session.call(["DEL", key.text], completion: answered)
            } else {
                say(.drop, of: key.text, told, session, completion: answered)
            }
        }
    }

    /// The counters first, see `unblock`. What is blocked again meanwhile needs no count.
    private func liftedKeys(of subject: BlockSubject) -> [LiftedKey] {
        let history = local.rules.escalates ? [BlockKey.history(subject)] : []
        let counters = local.rules.keys(countedFor: subject).map { BlockKey.failures($0) } + history
        return counters.map { LiftedKey(text: $0, subject: subject, isCounter: true) }
            + local.book.keys(of: subject).map { LiftedKey(text: $0, subject: subject, isCounter: false) }
    }

    /// Failures of accounts that only other replicas have counted: locks are known everywhere, counts are not.
    private func forgetElsewhere(
        _ account: AccountMark?, from network: IPNetwork?, completion: @escaping () -> Void
    ) {
        // One account and one network are one key, and that is gone.
        let rules = local.rules.all.filter { $0.counting != .address }
        guard account == nil || network == nil, let authority, !rules.isEmpty else { return completion() }
        // Not what such a rule has counted of addresses.
        let anyAccount = String(repeating: "[0-9a-f]", count: 32)
        let subject = (account?.description ?? anyAccount) + (network.map { "@\($0)" } ?? "*")
        deleteAll(
            rules.map { "\(BlockKey.failurePrefix)\($0.name)@\(subject)" }, authority, completion: completion)
    }

    /// One pattern after the other: each is a walk over all keys that there are.
    private func deleteAll(_ patterns: [String], _ session: any RedisStore, completion: @escaping () -> Void) {
        guard let pattern = patterns.first else { return completion() }
        deleteAll(pattern, from: "0", session) { [weak self] in
            guard let self else { return completion() }
            deleteAll(Array(patterns.dropFirst()), session, completion: completion)
        }
    }

    /// Deletes every key of the pattern, slice by slice; the completion comes in any case.
    private func deleteAll(
        _ pattern: String, from cursor: String, _ session: any RedisStore, completion: @escaping () -> Void
    ) {
        session.call(["SCAN", cursor, "MATCH", pattern, "COUNT", "1000"]) { [weak self] reply in
            guard let self, let parts = reply?.array, parts.count == 2, let next = parts[0].text,
                let keys = parts[1].array
            else { return completion() }
            for key in keys { session.call(["DEL", key.text ?? ""]) }
            if next == "0" {
                completion()
            } else {
                deleteAll(pattern, from: next, session, completion: completion)
            }
        }
    }
}
