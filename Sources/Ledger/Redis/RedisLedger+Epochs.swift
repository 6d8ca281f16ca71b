internal import Wire

/// The marks by which data that a server has lost is told from what somebody deleted.
extension RedisLedger {
    /// - Parameter completion: not called when the session ends first.
    func readEpochs(_ session: any RedisStore, then completion: @escaping (RedisEpochs.Reading) -> Void) {
        var reading = RedisEpochs.Reading()
        let keys = session.epochKeys
        for (place, key) in keys.enumerated() {
            session.call(["GET", key]) { reply in
                guard let reply else { return }
                if reply != .null { reading.texts[key] = reply.text ?? "" }
                reading.refusal = reply.error ?? reading.refusal
                // The others were answered before.
                if place == keys.count - 1 { completion(reading) }
            }
        }
    }

    /// Whether the server of the key has the data that we knew; false after a flush or on the first start ever.
    func isKept(_ key: String, _ session: any RedisStore) -> Bool {
        epochs.isKept(session.epochKey(of: key), resync?.epochs ?? RedisEpochs.Reading())
    }

    /// Whether a key that is not there, as was just read, was deleted, and not lost with everything else.
    func isDeleted(_ key: String, _ reading: RedisEpochs.Reading, _ session: any RedisStore) -> Bool {
        guard epochs.isUnchanged(session.epochKey(of: key), reading) else { return false }
        // Asked for because the scan did not find it: for that round it is what the marks of the round say.
        return resync?.isVerified != true || isKept(key, session)
    }

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
    func adopt(_ texts: [String: String], _ session: any RedisStore) {
        if epochs.adopt(texts, of: session.epochKeys) { save([.epoch(epochs.text)]) }
    }
}
