internal import Policy
internal import Settings

/// The first words of a session: who we are, whether we may do what we shall do, and how changes become known.
extension RedisSession {
    func handshake() {
        for connection in [subscriber!, data!] {
            if let password = login.password {
                let secret = String(decoding: password.revealed, as: UTF8.self)
                require(connection, ["AUTH"] + (login.username.map { [$0] } ?? []) + [secret])
            }
            if login.database != 0 { require(connection, ["SELECT", String(login.database)]) }
        }
        if part != .alone { askRole() }
        tryPermissions()
        for script in Script.allCases {
            require(data, ["SCRIPT", "LOAD", script.text]) { [unowned self] in hashes[script] = $0.text }
        }
        track()
    }

    /// `HELLO`, since `ROLE` is among the dangerous commands and needs a right of its own.
    func askRole() {
        data.call(["HELLO", "2"]) { [weak self] reply in
            guard let self, state != .ended, let reply else { return }
            silentData = state == .opening ? silentData : 0
            guard let parts = reply.array else {
                return end("HELLO was refused: \(explain(reply.error ?? "an unexpected reply", ["HELLO"]))")
            }
            let words = parts.map { $0.text ?? "" }
            guard let index = words.firstIndex(of: "role"), index + 1 < words.count else { return }
            if words[index + 1] != "master" { end("the server is no master, but a \(words[index + 1])") }
        }
    }

    /// What is not allowed would be noticed in the middle of an attack, or not at all: a key that may not be read looks
    /// like one that is gone. So each kind of key is tried with commands that change nothing.
    private func tryPermissions() {
        for prefix in RedisSession.mirrored {
            let key = prefix + RedisSession.probe
            for command in [["GETRANGE", key, "0", "0"], ["PTTL", key], ["SET", key, "", "XX"], ["DEL", key]] {
                tryOut(command)
            }
        }
        for prefix in [BlockKey.failurePrefix, BlockKey.seenPrefix, BlockKey.pendingPrefix] {
            tryOut(["DEL", prefix + RedisSession.probe])
        }
        let said = RedisLedger.markPrefix + RedisSession.probe
        for command in [["GET", said], ["SET", said, "", "XX"]] { tryOut(command) }
        tryOut(["SCAN", "0", "COUNT", "1"])
        if case .node = part {
            let epoch = RedisCluster.epochPrefix + RedisSession.probe
            for command in [["GET", epoch], ["SET", epoch, "", "XX"], ["CLUSTER", "SLOTS"], ["ASKING"]] {
                tryOut(command)
            }
        } else {
            tryOut(["GET", BlockKey.epoch])
        }
        for command in RedisSession.partsOfScripts { tryOut(command) }
    }

    /// Commands of scripts, and those that are used in special cases alone, which would be refused at the first failed login.
    /// `INCR` has no form that changes nothing.
    private static let partsOfScripts: [[String]] = {
        let block = BlockKey.blockPrefix + probe
        let counter = BlockKey.failurePrefix + probe
        let seen = BlockKey.seenPrefix + probe
        let pending = BlockKey.pendingPrefix + probe
        return [
            ["TIME"], ["EXISTS", block], ["GET", block], ["GET", counter], ["PTTL", counter],
            ["PEXPIRE", counter, "1"],
            ["PEXPIREAT", counter, "1"], ["ZSCORE", seen, "x"], ["ZADD", seen, "XX", "1", "x"], ["ZREM", seen, "x"],
            ["ZREMRANGEBYRANK", seen, "1", "0"], ["ZCOUNT", pending, "1", "0"],
            ["ZREMRANGEBYSCORE", pending, "1", "0"],
            ["EVAL", "return 1", "0"], ["EVALSHA", String(repeating: "0", count: 40), "0"],
        ]
    }()

    private func tryOut(_ command: [String]) {
        let command = keyspace.command(command)
        data.call(command) { [weak self] reply in
            // Everything else (no memory, a replica) may pass, and does not hide what is known.
            guard let self, state == .opening, let error = reply?.error, isForGood(error) else { return }
            end("\(command[0]) was refused: \(explain(error, command))")
        }
    }

    private func isForGood(_ error: String) -> Bool {
        // Rights come first: to be sent on to another node is to be allowed.
        let sentOn = if case .node = part { false } else { error.hasPrefix("MOVED ") || error.hasPrefix("ASK ") }
        return sentOn || ["NOPERM", "NOAUTH", "CLUSTERDOWN"].contains { error.hasPrefix($0) }
    }

    /// A step without which there is no session.
    private func require(
        _ connection: RedisConnection, _ arguments: [String], then next: @escaping (RESPValue) -> Void = { _ in }
    ) {
        connection.call(arguments) { [weak self] reply in
            guard let self, state == .opening, let reply else { return }
            guard let error = reply.error else { return next(reply) }
            // Never the arguments: they may be a password.
            end("\(arguments[0]) was refused: \(explain(error, [arguments[0]]))")
        }
    }

    private func explain(_ error: String, _ command: [String]) -> String {
        RedisRemedy.explain(error, command: command, user: login.username)
    }

    // MARK: How changes become known

    private func track() {
        var identity: Int64?
        var refusal = "CLIENT ID gave no number"
        subscriber.call(["CLIENT", "ID"]) { [weak self] in
            identity = $0?.integer
            if let self, let error = $0?.error { refusal = explain(error, ["CLIENT"]) }
        }
        subscriber.call(["SUBSCRIBE", RedisSession.invalidations]) { [weak self] reply in
            guard let self, state == .opening, let reply else { return }
            if let error = reply.error {
                return listen(insteadBecause: explain(error, ["SUBSCRIBE", RedisSession.invalidations]))
            }
            guard let identity else { return listen(insteadBecause: refusal) }
            let prefixes = RedisSession.mirrored.flatMap { ["PREFIX", keyspace.stored($0)] }
            data.call(["CLIENT", "TRACKING", "ON", "REDIRECT", String(identity), "BCAST"] + prefixes) { [weak self] in
                guard let self, state == .opening, let reply = $0 else { return }
                guard let error = reply.error else { return begin(.tracking) }
                listen(insteadBecause: explain(error, ["CLIENT|TRACKING"]))
            }
        }
    }

    /// No tracking. Whether keyspace notifications are on is found out by changing a key: `CONFIG` is rarely allowed.
    private func listen(insteadBecause reason: String) {
        guard let probe = feedProbe else { return begin(.scanning(because: reason)) }
        var refusal: String?
        // One pattern for all keys of the prefix: an access control list allows patterns only as they are written in it.
        let pattern = channelPrefix + keyspace.prefix + "*"
        subscriber.call(["PSUBSCRIBE", pattern]) { [weak self] in
            if let error = $0?.error { refusal = self?.explain(error, ["PSUBSCRIBE", pattern]) }
        }
        // Behind the subscription: an answer means that it stands.
        subscriber.call(["PING"]) { [weak self] reply in
            guard let self, state == .opening, reply != nil else { return }
            if let refusal {
                // What the other connection was refused comes first: it may be why there is no session.
                return data.call(["PING"]) { [weak self] reply in
                    guard let self, state == .opening, reply != nil else { return }
                    begin(.scanning(because: "\(reason); \(refusal)"))
                }
            }
            call(["SET", probe, "1", "PX", "1000"])
            call(["DEL", probe]) { [weak self] reply in
                guard let self, state == .opening, reply != nil else { return }
                // What was published before this answer stands before that of the subscriber.
                subscriber.call(["PING"]) { [weak self] reply in
                    guard let self, state == .opening, reply != nil else { return }
                    let areOn = heard.isSuperset(of: ["set", "del"])
                    begin(areOn ? .notifications(insteadBecause: reason) : .scanning(because: reason))
                }
            }
        }
    }

    /// One that this server has; nil: it has no keys.
    func makeFeedProbe() -> String? {
        let plain = BlockKey.seenPrefix + RedisSession.probe
        guard case .node(let slot) = part else { return plain }
        guard let slot else { return nil }
        // Among as many as there are slots one or two fit; not to find one is no more than not to have listened.
        let candidates = (0..<16 * RedisSlot.count).lazy.map { "\(plain)-\($0)" }
        return candidates.first { [keyspace] in RedisSlot.of(keyspace.stored($0)) == slot }
    }

    private var channelPrefix: String { "__keyspace@\(login.database)__:" }

    /// - Parameter parts: channel and payload.
    func published(_ parts: [RESPValue]) {
        silentSubscriber = 0
        guard let channel = parts.first?.data, let payload = parts.last else { return }
        if channel.elementsEqual(RedisSession.invalidations.utf8) {
            return events.invalidated(payload.array.map { $0.compactMap(\.data).compactMap(keyspace.name) })
        }
        guard channel.starts(with: channelPrefix.utf8),
            let name = keyspace.name(Array(channel.dropFirst(channelPrefix.utf8.count)))
        else { return }
        if state == .opening, name.elementsEqual((feedProbe ?? "").utf8) {
            heard.insert(payload.text ?? "")
        } else if state == .ready, RedisSession.mirrored.contains(where: { name.starts(with: $0.utf8) }) {
            events.invalidated([name])
        }
    }

    private func begin(_ feed: Feed) {
        state = .ready
        silentData = 0
        silentSubscriber = 0
        askStatistics()
        events.ready(feed)
    }
}
