package import Policy
internal import Wire

/// Texts under names (`SharedName`): the ledger carries them to all replicas and does not know what is in them. One that
/// has an end ends on our clock, as blocks do.
extension RedisLedger {
    package var shared: [SharedName: SharedText] { sharedBook }

    package func share(_ name: SharedName, _ text: SharedText?, completion: @escaping (Decider) -> Void) {
        // What was learned before stands before it in the journal, too.
        sendDelta()
        let wall = clock.wall()
        let noted = note(name.storeKey, overHand: isByHand(name), at: wall)
        sharedBook[name] = text
        pendingShared.insert(name)
        journal?.append([noted, .shared(name, text, clock: clock), .sharedPending(name)], durable: true)
        sink.ledger(shared: sharedBook)
        scheduleExpiry()
        guard let authority else { return completion(.local) }
        upload(name, .now(wall), authority) { completion($0 ? .authority : .local) }
    }

    /// A sealed key is nobody's by hand; when one was added or removed is told by its mark alone.
    private func isByHand(_ name: SharedName) -> Bool {
        guard name.kind != .key, let known = sharedBook[name] else { return name.kind == .key }
        return !known.text.contains("\"by\":") || !known.text.contains("\"at\":")
    }

    func uploadShared(_ session: any RedisStore) {
        for name in pendingShared {
            let word = word(of: name.storeKey)
            upload(name, word == .restored ? .restored(since: nil) : .carried(word), session) { _ in }
        }
    }

    private func upload(
        _ name: SharedName, _ telling: Telling, _ session: any RedisStore, completion: @escaping (Bool) -> Void
    ) {
        let shared = sharedBook[name]
        say(saying(shared), of: name.storeKey, telling, session) { [weak self] reply in
            guard let self, let reply else { return completion(false) }
            if let error = reply.error {
                degrade(.refusing, error)
                return completion(false)
            }
            // Another word may have been said of it since.
            if sharedBook[name] == shared, pendingShared.remove(name) != nil {
                if reply.integer == 1 { took(.shared(name, shared?.text), word(of: name.storeKey)) }
                settleWord(of: name.storeKey)
                save([.sharedSettled(name)])
                if reply.integer == 0 { overtaken(name.storeKey, telling) }
            }
            if isRefusing { recover() }
            completion(true)
        }
    }

    private func saying(_ shared: SharedText?) -> Saying {
        guard let shared else { return .drop }
        let left = shared.deadline == .never ? nil : shared.deadline - clock.now()
        return .set(shared.text, left: left, isMarked: true)
    }

    /// What the store says of a key that is meant to name one.
    func learnedShared(_ key: String, ttl: Int64, _ value: RESPValue) {
        guard let name = SharedName(storeKey: key) else { return unparsable(key, isGone: ttl == -2) }
        seenShared.insert(name)
        guard !pendingShared.contains(name) else { return }
        let known = sharedBook[name]
        var found: SharedText?
        if let deadline = deadline(ofTTL: ttl), let text = RedisLedger.text(of: value, name.kind) {
            found = SharedText(text, until: steady(deadline, known?.deadline ?? .never))
        }
        guard found != known else { return }
        // Whoever types it does not count the number up.
        if resync == nil, let session { goesOn(with: key, session) }
        changeShared(name, found)
        scheduleExpiry()
    }

    /// A key of another type opens nothing and is no key, but it closes a route all the same.
    private static func text(of value: RESPValue, _ kind: SharedName.Kind) -> String? {
        if case .bytes(let bytes) = value { return String(decoding: bytes, as: UTF8.self) }
        return kind == .lockdown ? "" : nil
    }

    private func changeShared(_ name: SharedName, _ text: SharedText?) {
        sharedBook[name] = text
        outgoing.records.append(.shared(name, text, clock: clock))
        outgoing.sharedChanged = true
        sendSoon()
    }

    var nextSharedDeadline: Instant? { sharedBook.values.map(\.deadline).min().flatMap { $0 == .never ? nil : $0 } }

    /// Takes out what is over, before the store says so.
    func expireShared() {
        let now = clock.now()
        for (name, shared) in sharedBook where shared.deadline <= now {
            // What the store has of it ends by itself, or never came there.
            if pendingShared.remove(name) != nil {
                settleWord(of: name.storeKey)
                outgoing.records.append(.sharedSettled(name))
            }
            changeShared(name, nil)
        }
    }

    /// At the end of a resynchronisation.
    func settleMissingShared(_ session: any RedisStore) {
        for name in sharedBook.keys
        where !seenShared.contains(name) && !pendingShared.contains(name) && !isOnItsWay(name.storeKey) {
            if isKept(name.storeKey) {
                changeShared(name, nil)
            } else {
                pendingShared.insert(name)
                save([.sharedPending(name), noteRestored(name.storeKey)])
                upload(name, .restored(since: nil), session) { _ in }
            }
        }
    }
}
