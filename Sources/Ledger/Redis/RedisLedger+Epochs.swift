internal import Policy
internal import Transport
internal import Wire

/// The marks by which data that a server has lost is told from what somebody deleted.
extension RedisLedger {
    /// - Parameters:
    ///   - wanted: only those of the servers that have these keys: no other one is waited for. nil: all, and those that were
    ///     known before, wherever they are now.
    ///   - completion: not called when the session ends first.
    func readEpochs(
        of wanted: [String]? = nil, _ session: any RedisStore, then completion: @escaping (RedisEpochs.Reading) -> Void
    ) {
        var reading = RedisEpochs.Reading()
        reading.owner = session.epochOwners
        reading.current = Set(session.epochKeys)
        let keys = Array(wanted.map { Set($0.map(reading.owner)) } ?? reading.current.union(epochs.known.keys))
        for (place, key) in keys.enumerated() {
            // Before the mark: whoever finds older data gives it another mark before he counts up.
            session.call(["GET", RedisEpochs.counter(of: key)]) { reply in
                guard let reply, reply.error == nil else { return }
                reading.reached[key] = reply.text.flatMap { Int64($0) } ?? 0
            }
            session.call(["GET", key]) { reply in
                guard let reply else { return }
                if let error = reply.error, RedisLedger.saysMoving(error) {
                    reading.unknown.insert(key)
                } else {
                    if reply != .null { reading.texts[key] = reply.text ?? "" }
                    reading.refusal = reply.error ?? reading.refusal
                }
                // The others were answered before.
                if place == keys.count - 1 { completion(reading) }
            }
        }
    }

    /// Data that is older than what we knew gets another mark, for us and for all: what it lacks is lost and not deleted. What
    /// operators took back lately is told again, since the older data still has it.
    func renewOlder(
        _ reading: RedisEpochs.Reading, _ session: any RedisStore,
        then completion: @escaping (RedisEpochs.Reading) -> Void
    ) {
        var reading = reading
        let older = epochs.older(reading)
        var left = older.count
        let done = { [weak self] in
            guard let self else { return }
            if epochs.isOlder(reading) {
                repeatRecentWords(of: RedisLedger.snapshotHorizon)
                uploadRevocationLifts(session)
                uploadShared(session)
            }
            completion(reading)
        }
        guard left > 0 else { return done() }
        for key in older {
            let text = clock.wall().text + RedisEpochs.olderSuffix
            session.run(.renew, keys: [key], [epochs.known[key] ?? "", text]) { reply in
                guard let reply else { return }
                // Refused, it is as good as no mark: lost all the same.
                reading.texts[key] = reply.text
                left -= 1
                if left == 0 { done() }
            }
        }
    }

    /// The data of the key's server goes on: what is in it from now on is newer than each state of before. Once for all that is
    /// said in a turn.
    func goesOn(with key: String, _ session: any RedisStore) {
        if advancing.isEmpty {
            loop.atEndOfTurn { [weak self] in
                guard let self else { return }
                let keys = advancing
                advancing = []
                guard self.session === session else { return }
                for key in keys {
                    session.call(["INCR", RedisEpochs.counter(of: key)]) { [weak self] in
                        if let self, self.session === session, let number = $0?.integer { heard(number, of: key) }
                    }
                }
            }
        }
        advancing.insert(session.epochOwners(key))
    }

    /// Not while a round may still find that the data is other data.
    private func heard(_ number: Int64, of key: String) {
        if resync == nil, epochs.heard(number, of: key) { save([.epoch(epochs.text)]) }
    }

    /// From whoever reads what another replica has said.
    func heard(_ reading: RedisEpochs.Reading) {
        for (key, number) in reading.reached where reading.texts[key] == epochs.known[key] { heard(number, of: key) }
    }

    /// Whether the server of the key has the data that we knew; false after a flush or on the first start ever.
    func isKept(_ key: String) -> Bool {
        guard let reading = resync?.epochs else { return false }
        return epochs.isKept(reading.owner(key), reading)
    }

    /// Whether a key that is not there, as was just read, was deleted, and not lost with everything else.
    func isDeleted(_ key: String, _ reading: RedisEpochs.Reading) -> Bool {
        guard epochs.isUnchanged(reading.owner(key), reading) else { return false }
        // Asked for because the scan did not find it: for that round it is what the marks of the round say.
        return resync?.isVerified != true || !isUnseen(key) || isKept(key)
    }

    private func isUnseen(_ key: String) -> Bool {
        if let target = RevocationKey.target(of: key) { return revocationBook.isUnseen(target) }
        if let name = SharedName(storeKey: key) { return !seenShared.contains(name) }
        return local.book.isUnseen(key)
    }

    // MARK: Keys on their way

    /// The nodes of a cluster do not agree who has these keys. What is known of them stays, and a moment later they are read
    /// again.
    func readLater(_ keys: [String]) {
        guard !keys.isEmpty else { return }
        if movingKeys.isEmpty { movingTimer?.fire(after: .seconds(1)) }
        movingKeys.formUnion(keys.map(StoreKey.init(text:)))
        resync?.onTheirWay.formUnion(keys.map(StoreKey.init(text:)))
    }

    func readMoving() {
        let keys = movingKeys
        movingKeys = []
        dirty.formUnion(keys)
        fetch()
    }

    func isOnItsWay(_ key: String) -> Bool { resync?.onTheirWay.contains(StoreKey(text: key)) == true }

    func mark(_ keys: [String], _ session: any RedisStore) {
        for key in keys {
            session.call(["SET", key, clock.wall().text, "NX"])
            session.call(["GET", key]) { [weak self] in
                if let self, let text = $0?.text { adopt([key: text], session) }
            }
        }
    }

    /// The slots of a cluster have moved, and the marks with them. Nothing was lost, so others are set.
    func markData() {
        guard case .inStep(let session) = phase else { return }
        mark(session.epochKeys.filter { epochs.known[$0] == nil }, session)
    }

    /// The mirror is of this data from now on.
    func adopt(_ texts: [String: String], reached: [String: Int64] = [:], _ session: any RedisStore) {
        if epochs.adopt(texts, of: session.epochKeys, reached: reached) { save([.epoch(epochs.text)]) }
    }
}
