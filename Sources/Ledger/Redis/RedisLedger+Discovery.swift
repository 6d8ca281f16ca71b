internal import Policy
package import Settings
package import Transport
internal import Wire

/// What has to be read from files anew whenever a connection is made, so that a certificate or password that was
/// replaced is used without a restart.
package struct RedisKeys {
    package var security: () throws(LedgerError) -> TLSClientContext?
    package var password: () -> Secret?

    package init(
        security: @escaping () throws(LedgerError) -> TLSClientContext?, password: @escaping () -> Secret?
    ) {
        self.security = security
        self.password = password
    }
}

/// What an operator said and the master took a moment ago: its replicas may not have it.
struct RecentWord {
    enum Saying {
        /// nil: it was taken away.
        case shared(SharedName, String?)
        case revocationLift(RevocationTarget)
    }
    let at: Instant
    let saying: Saying
    let word: Word
}

/// Where Redis is, and how its changes become known.
extension RedisLedger {
    /// Finds out where to connect to, and does.
    func discover() {
        if let cluster { return connect(to: cluster) }
        if let sentinels {
            sentinels.find { [weak self] result in
                guard let self, case .resolving = phase else { return }
                switch result {
                case .success(let master): resolve(master)
                case .failure(let error): sessionLost(error.description)
                }
            }
            return
        }
        switch configuration.location {
        case .unix(let path): connect(to: .unix(path: path), as: "localhost")
        case .tcp(let address): resolve(address)
        }
    }

    private func resolve(_ server: Configuration.SocketAddressText) {
        if sentinels != nil { noteMaster(server) }
        resolver.resolve(server.host) { [weak self] result in
            guard let self, case .resolving = phase else { return }
            switch result {
            case .success(let found):
                connect(to: .ip(found[failedAttempts % found.count], port: server.port), as: server.host)
            case .failure(let error): sessionLost(error.description)
            }
        }
    }

    /// - Parameter host: whose certificate is expected, unless `redis.tls.server_name` says otherwise.
    private func connect(to address: SocketAddress, as host: String) {
        let door: RedisSession.Door
        do throws(LedgerError) {
            door = try self.door(to: address, as: host, sentinels == nil ? .alone : .master, keys.security())
        } catch {
            return sessionLost(error.description)
        }
        phase = .connecting(
            RedisSession(
                through: door, as: login, keyspace: RedisKeyspace(prefix: configuration.keyPrefix), on: loop,
                connectTimeout: .seconds(2), statistics: statistics,
                events: RedisSession.Events(
                    ready: { [weak self] in self?.sessionReady($0) },
                    invalidated: { [weak self] in self?.invalidated($0) },
                    ended: { [weak self] in self?.sessionFailed($0) })))
    }

    private func connect(to cluster: RedisClusterBook) {
        // Read once for all of its nodes.
        let context: TLSClientContext?
        do throws(LedgerError) { context = try keys.security() } catch { return sessionLost(error.description) }
        let login = login
        let entry = RedisCluster.Entry(
            door: { [unowned self] in door(to: $0, as: $1, $2, context) },
            login: { login })
        phase = .connecting(
            RedisCluster(
                cluster, through: entry, keyspace: RedisKeyspace(prefix: configuration.keyPrefix), on: loop,
                statistics: statistics, onRemap: { [weak self] in self?.markData() },
                events: RedisSession.Events(
                    ready: { [weak self] in
                        self?.noteMasters()
                        self?.sessionReady($0)
                    },
                    invalidated: { [weak self] in self?.invalidated($0) },
                    ended: { [weak self] in self?.sessionLost($0) })))
    }

    private func door(
        to address: SocketAddress, as host: String, _ part: RedisSession.Part, _ context: TLSClientContext?
    ) -> RedisSession.Door {
        var door = RedisSession.Door(address: address, part: part, outputLimit: outputLimit)
        if let context { door.security = (context, configuration.tls?.serverName ?? host) }
        return door
    }

    private var login: RedisSession.Login {
        RedisSession.Login(
            username: configuration.username, password: keys.password() ?? configuration.password,
            database: configuration.database)
    }

    private func sessionFailed(_ reason: String) {
        if case .connecting = phase { sentinels?.distrust() }
        sessionLost(reason)
    }

    /// A sentinel says that the master is another one.
    func masterChanged(_ reason: String) {
        switch phase {
        case .connecting(let session), .mirroring(let session), .inStep(let session):
            session.close()
            sessionLost(reason)
        case .waiting: connectTimer?.fire(after: .milliseconds(1))
        case .idle, .resolving, .stopped: return
        }
    }

    /// An answer by which the server shows that it is no master any more. True: the session has been given up.
    func wasDemoted(_ error: String) -> Bool {
        // Before version 7 the refusal of a script's command is quoted in that of the script.
        guard error.hasPrefix("READONLY") || error.contains("-READONLY "), let session,
            isReplicated || mayLookAgain()
        else { return false }
        session.close()
        sessionLost("the server is no master any more")
        return true
    }

    /// Behind a name, a virtual address or a balancer there may be another server by now, and the connection to the old one
    /// stays. Not at once again: where a replica is configured by mistake each look would be a scan of everything.
    private func mayLookAgain() -> Bool {
        let now = clock.now()
        if let last = lookedAgain, now - last < RedisLedger.pauseOfLooks { return false }
        lookedAgain = now
        return true
    }

    private static let pauseOfLooks = Interval.seconds(10)

    /// An answer by which a cluster says that the keys are on their way to another master. True: it is told again a moment
    /// later, and until then decided here.
    func isMoving(_ error: String) -> Bool {
        guard RedisLedger.saysMoving(error) else { return false }
        saysAgain = true
        // Each one of many would push it on.
        let now = clock.now()
        if now >= nextSaying {
            nextSaying = now + .seconds(1)
            replayTimer?.fire(after: .seconds(1))
        }
        return true
    }

    static func saysMoving(_ error: String) -> Bool { error.hasPrefix("TRYAGAIN") }

    // MARK: A new master

    /// Whether another server may take the place of the one that was told something.
    private var isReplicated: Bool { sentinels != nil || cluster != nil }

    /// What the old master told us last may not have reached its replicas: said again. Failures have ids and blocks are
    /// set unless they are there, so nothing counts twice.
    private func noteMaster(_ server: Configuration.SocketAddressText) {
        if let master, master != server { sayRecentAgain() }
        master = server
    }

    /// The same of a cluster. All of the last minute is said again: what one of its masters was told is a third of it.
    private func noteMasters() {
        let found = cluster?.map?.masters ?? []
        let isNew = Set(found.map { [$0.address.text, $0.id] }) != Set(masters.map { [$0.address.text, $0.id] })
        if isNew, !masters.isEmpty { sayRecentAgain() }
        masters = found
    }

    private func sayRecentAgain() {
        let now = clock.now()
        var again: [LoginKey: Int] = [:]
        for told in recentlyTold.reversed() where now - told.at < RedisLedger.replicationHorizon {
            // The store knows a limited number of ids; what is older than those would count twice.
            again[told.failure.failure.key, default: 0] += 1
            guard again[told.failure.failure.key]! <= RedisLedger.toldAgain else { continue }
            unsettled[told.failure.failure.id] = told.failure
        }
        recentlyTold = []
        // In milliseconds, since the time is what somebody wrote into the store, of any year. What was set by hand is not
        // ours to repeat.
        let oldest = clock.wall().milliseconds - RedisLedger.replicationHorizon.milliseconds
        for record in blocks() + locks() where record.origin != .byHand && record.since.milliseconds > oldest {
            pendingBlocks.insert(record.subject)
        }
        for record in revocations() where record.origin != .byHand && record.since.milliseconds > oldest {
            pendingRevocations.insert(record.target)
        }
        repeatRecentWords(of: RedisLedger.replicationHorizon)
    }

    /// The last word of each name, if it still is what is so of it; it is compared like all that is carried over.
    func repeatRecentWords(of horizon: Interval) {
        let now = clock.now()
        let recent = recentWords.reversed()
        recentWords.removeAll { now - $0.at < horizon }
        for told in recent where now - told.at < horizon {
            switch told.saying {
            case .shared(let name, let text):
                guard sharedBook[name]?.text == text, !pendingShared.contains(name) else { continue }
                pendingShared.insert(name)
                words[StoreKey(text: name.storeKey)] = told.word
            case .revocationLift(let target):
                guard revocationBook[target] == nil, !pendingRevocationLifts.contains(target) else { continue }
                pendingRevocationLifts.insert(target)
                words[StoreKey(text: RevocationKey.of(target))] = told.word
            }
        }
    }

    /// The authority has taken the word. Lifted blocks are not among them: telling of one again deletes the counter, too.
    func took(_ saying: RecentWord.Saying, _ word: Word) {
        let now = clock.now()
        if let first = recentWords.first, now - first.at > RedisLedger.snapshotHorizon + .seconds(60) {
            recentWords.removeAll { now - $0.at > RedisLedger.snapshotHorizon }
        }
        if recentWords.count >= 16_384 { recentWords.removeFirst(8_192) }
        recentWords.append(RecentWord(at: now, saying: saying, word: word))
    }

    /// The authority has counted it. Kept for a while where the authority may be replaced by one that has not.
    func told(_ failure: LoginFailure) {
        guard isReplicated else { return }
        let now = clock.now()
        // Not one by one: each would move all the others.
        if let first = recentlyTold.first, now - first.at > RedisLedger.replicationHorizon + .seconds(10) {
            recentlyTold.removeAll { now - $0.at > RedisLedger.replicationHorizon }
        }
        if recentlyTold.count >= 16_384 { recentlyTold.removeFirst(8_192) }
        recentlyTold.append((now, UnsettledFailure(failure: failure, at: clock.wall())))
    }

    /// Failures under one key that are told to a new master; far fewer than the ids that the store keeps.
    static let toldAgain = 128

    /// Longer than a master is without an answer before its replica takes its place.
    static let replicationHorizon = Interval.seconds(60)

    /// Twice as long as Redis waits by default before it saves the one change that there was.
    static let snapshotHorizon = Interval.seconds(7_200)

    // MARK: Where nobody tells of changes

    /// After a complete look at everything: when the next one is due.
    func scheduleScan() {
        switch feed {
        case .tracking: return
        case .notifications: scanTimer?.fire(after: max(.seconds(30), configuration.scanInterval))
        case .scanning: scanTimer?.fire(after: configuration.scanInterval)
        }
    }

    func scanAgain() {
        guard case .inStep = phase, resync == nil else { return }
        beginResync(becauseOfFlush: false)
    }

    func follow(_ feed: RedisSession.Feed) {
        let isNew = feed != self.feed
        self.feed = feed
        switch feed {
        case .tracking: return
        case .notifications(let reason):
            if isNew { sink.ledger(noted: .untracked(reason: reason, delay: .zero)) }
        case .scanning(let reason):
            if isNew { sink.ledger(noted: .untracked(reason: reason, delay: configuration.scanInterval)) }
        }
    }
}
