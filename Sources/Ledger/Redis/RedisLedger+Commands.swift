internal import Policy
package import Wire

extension RedisLedger {
    package func block(
        _ network: IPNetwork, for duration: Interval?, reason: String, actor: String,
        completion: @escaping (BlockOutcome) -> Void
    ) {
        let record = BlockRecord(
            network: network, origin: .command, reason: reason, actor: actor, since: clock.wall(),
            deadline: duration.map { clock.now() + $0 } ?? .never)
        totals.blocksSet += 1
        // In force here at once; the store hears of it now or when it is back.
        pendingBlocks.insert(network)
        pendingLifts.remove(network)
        let noted = noteSet(BlockKey.block(network), overHand: local.book[network]?.origin == .byHand)
        let change = local.book.set(record)
        if case .none = change {} else { outgoing.set(record.entry) }
        journal?.append(
            [.block(StoredBlock(record, clock: clock, isPending: true)), .liftSettled(network)] + noted,
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
            } else if reply != nil, local.book[network] == record, pendingBlocks.remove(network) != nil {
                // Nothing was said of it since.
                settleWord(of: BlockKey.block(network))
                save([.block(StoredBlock(record, clock: clock))])
            }
            done(reply == nil || reply?.error != nil ? .local : .authority)
        }
    }

    package func unblock(_ target: UnblockTarget, actor: String, completion: @escaping (UnblockOutcome) -> Void) {
        switch target {
        case .network(let network): lift([network], actor: actor, completion: completion)
        case .all:
            guard let authority else {
                let counted = local.counters.all.keys
                let networks = Set(blocks().map(\.network)).union(counted)
                save(forgetFailures { _ in true })
                return lift(Array(networks), actor: actor, completion: completion)
            }
            // Counters first: a failure in between must not find a count at the limit and block again.
            deleteAll(BlockKey.failurePrefix, from: "0", authority) { [weak self] in
                guard let self else { return }
                local.counters.clearAll()
                save(forgetFailures { _ in true })
                liftSlices(of: blocks().map(\.network)[...], Lifting(), actor: actor, completion: completion)
            }
        }
    }

    /// Of all the slices together.
    private final class Lifting {
        var outcome = UnblockOutcome(lifted: [], decider: .authority)
    }

    /// A slice with each round trip: a million at once would be more than a connection holds, and hold up whoever logs in.
    private func liftSlices(
        of networks: ArraySlice<IPNetwork>, _ lifting: Lifting, actor: String,
        completion: @escaping (UnblockOutcome) -> Void
    ) {
        // Without the authority nothing is sent, and each would end at once.
        let slice = authority == nil ? networks : networks.prefix(RedisLedger.slice)
        let rest = networks.dropFirst(slice.count)
        lift(Array(slice), actor: actor) { [weak self] outcome in
            lifting.outcome.lifted += outcome.lifted
            if outcome.decider == .local { lifting.outcome.decider = .local }
            guard let self, !rest.isEmpty else { return completion(lifting.outcome) }
            liftSlices(of: rest, lifting, actor: actor, completion: completion)
        }
    }

    /// Failures of before an unblock that wait to be carried over, or would be told to a new master: they would block again.
    private func forgetFailures(_ isMeant: (IPAddress) -> Bool) -> [JournalRecord] {
        let ids = unsettled.values.map(\.failure).filter { isMeant($0.address) }.map(\.id)
        for id in ids {
            unsettled[id] = nil
            replaying.remove(id)
        }
        recentlyTold.removeAll { isMeant($0.failure.failure.address) }
        return ids.map { .settled($0) }
    }

    /// Removes blocks here, and here or later in the store, with their counters.
    private func lift(_ networks: [IPNetwork], actor: String, completion: @escaping (UnblockOutcome) -> Void) {
        let now = clock.now()
        let wall = clock.wall()
        var lifted: [BlockRecord] = []
        var keys: [LiftedKey] = []
        var records: [JournalRecord] = []
        for network in networks {
            keys += RedisLedger.keys(toLift: network, in: local.book)
            records += [
                note(BlockKey.block(network), overHand: local.book[network]?.origin == .byHand, at: wall),
                .lift(network), .pendingLift(network),
            ]
            pendingBlocks.remove(network)
            pendingLifts.insert(network)
            if let record = local.unblock(network, at: now) {
                lifted.append(record)
                outgoing.lift(network)
            }
        }
        let meant = Set(networks)
        records += forgetFailures { meant.contains(local.rule.subject(of: $0)) }
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
    func uploadLifts(_ session: RedisSession) {
        let networks = RedisLedger.next(of: pendingLifts, besides: uploadingLifts)
        guard !networks.isEmpty else { return }
        uploadingLifts.formUnion(networks)
        let words = Dictionary(uniqueKeysWithValues: networks.map { ($0, word(of: BlockKey.block($0))) })
        let keys = networks.flatMap { RedisLedger.keys(toLift: $0, in: local.book) }
        delete(keys, session, telling: { .carried(words[$0]!) }) { [weak self] in
            guard let self, self.session === session else { return }
            uploadingLifts.subtract(networks)
            guard $0 else { return }
            if isRefusing { recover() } else { uploadLifts(session) }
        }
    }

    /// A key that goes when the network is unblocked.
    private struct LiftedKey {
        let text: String
        let network: IPNetwork
        let isCounter: Bool
    }

    /// One key per command, so that no two slots meet (Redis Cluster); they leave with one write.
    private func delete(
        _ keys: [LiftedKey], _ session: RedisSession, telling: (IPNetwork) -> Telling,
        completion: @escaping (Bool) -> Void
    ) {
        let networks = keys.filter(\.isCounter).map(\.network)
        // Counted: the answer to a script that Redis has to be told anew comes behind those of the others.
        var left = keys.count
        var isDone = true
        var refusal: String?
        var overtakenKeys: [(String, Telling)] = []
        for key in keys {
            let told = telling(key.network)
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
                    let settled = networks.filter { pendingLifts.remove($0) != nil }
                    for network in settled { settleWord(of: BlockKey.block(network)) }
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

    /// The counter first, see `unblock`. What is blocked again meanwhile needs no count.
    private static func keys(toLift network: IPNetwork, in book: BlockBook) -> [LiftedKey] {
        [LiftedKey(text: BlockKey.failures(network), network: network, isCounter: true)]
            + book.keys(of: network).map { LiftedKey(text: $0, network: network, isCounter: false) }
    }

    /// Deletes every key with the prefix, slice by slice; the completion comes in any case.
    private func deleteAll(
        _ prefix: String, from cursor: String, _ session: RedisSession, completion: @escaping () -> Void
    ) {
        session.call(["SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000"]) { [weak self] reply in
            guard let self, let parts = reply?.array, parts.count == 2, let next = parts[0].text,
                let keys = parts[1].array
            else { return completion() }
            for key in keys { session.call(["DEL", key.text ?? ""]) }
            if next == "0" {
                completion()
            } else {
                deleteAll(prefix, from: next, session, completion: completion)
            }
        }
    }
}
