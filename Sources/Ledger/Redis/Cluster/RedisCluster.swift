internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// The masters of a Redis Cluster as if they were one server: a session with each, commands to the one that has their key.
///
/// They stand and fall together: when one is lost all are given up, and the next session finds out anew who serves what. That
/// is one path for all faults, as with the two connections of a session. Slots that move between masters that are there
/// already are followed without it (`+Routing`).
final class RedisCluster: RedisStore {
    /// How a node is come in to.
    struct Entry {
        var door: (SocketAddress, _ host: String, RedisSession.Part) throws(LedgerError) -> RedisSession.Door
        var login: () -> RedisSession.Login
    }

    enum State {
        /// → `opening`, `ended`
        case seeking(RedisMapSeeker)
        /// → `ready`, `ended`
        case opening
        /// → `rereading`, `ended`
        case ready
        /// Somebody was sent on: who else asks waits until it is known who has what now. → `ready`, `ended`
        case rereading
        case ended
    }

    final class Node {
        enum State {
            /// Its name is being resolved. → `opening`
            case finding
            /// → `ready`
            case opening(RedisSession)
            case ready(RedisSession, RedisSession.Feed)
        }

        let address: RedisSlotMap.Address
        var state = State.finding
        /// The mark of its data, in the lowest of its slots; nil: it has none yet.
        var epochKey: String?

        init(_ address: RedisSlotMap.Address) { self.address = address }

        var session: RedisSession? {
            switch state {
            case .finding: nil
            case .opening(let session), .ready(let session, _): session
            }
        }
    }

    /// In front of the marks of data, of which each master has one.
    static let epochPrefix = BlockKey.epoch + ":"

    let book: RedisClusterBook
    let keyspace: RedisKeyspace
    private let loop: EventLoop
    private let entry: Entry
    private let statistics: RedisStatistics
    let events: RedisSession.Events
    /// The marks of the data stand under other keys now.
    private let onRemap: () -> Void

    var state = State.ended
    private(set) var map: RedisSlotMap?
    private(set) var nodes: [RedisSlotMap.Address: Node] = [:]
    private var pollTimer: LoopTimer?
    /// Whom to ask next whether slots have moved.
    private var polled = 0
    /// Answers in a row that fit to another cluster than this.
    private var doubts = 0

    // +Routing
    var lastNumber = 0
    /// Calls whose answers are given in their order.
    var ordered = ArrivalQueue<Call>()
    var scripts: [Int: Call] = [:]
    /// Not sent before it is known who has what.
    var held: [Call] = []
    /// Sent on, and not before the map is read again.
    var moved: [Call] = []
    /// Sent once more a moment later.
    var patient: [Call] = []
    var retryTimer: LoopTimer?

    /// Slots move seldom, and whoever asks the wrong master is sent on. But a change by hand under a master that is new is
    /// heard from then on only.
    private static let pollInterval = Interval.seconds(2)

    init(
        _ book: RedisClusterBook, through entry: Entry, keyspace: RedisKeyspace, on loop: EventLoop,
        statistics: RedisStatistics, onRemap: @escaping () -> Void, events: RedisSession.Events
    ) {
        self.book = book
        self.entry = entry
        self.keyspace = keyspace
        self.loop = loop
        self.statistics = statistics
        self.onRemap = onRemap
        self.events = events
        pollTimer = LoopTimer(on: loop) { [unowned self] in poll() }
        retryTimer = LoopTimer(on: loop) { [unowned self] in sendPatient() }
        let seeker = RedisMapSeeker(book, on: loop, entry: entry) { [unowned self] result in
            switch result {
            case .success(let map): open(map)
            case .failure(let error): end(error.description)
            }
        }
        state = .seeking(seeker)
        seeker.begin()
    }

    // MARK: Opening

    private func open(_ map: RedisSlotMap) {
        state = .opening
        self.map = map
        book.adopt(map)
        for address in map.masters.map(\.address) + book.invited(at: .now()) where nodes[address] == nil {
            nodes[address] = Node(address)
        }
        nameEpochs()
        for node in nodes.values { find(node) }
    }

    private func find(_ node: Node) {
        book.resolve(node.address.host) { [weak self] result in
            guard let self, case .opening = state else { return }
            switch result {
            case .success(let found): connect(node, to: found[book.attempts % found.count])
            case .failure(let error): ended(node, error.description)
            }
        }
    }

    private func connect(_ node: Node, to address: IPAddress) {
        let slot = map?.masters.first { $0.address == node.address }?.lowestSlot
        let door: RedisSession.Door
        do throws(LedgerError) {
            door = try entry.door(.ip(address, port: node.address.port), node.address.host, .node(slot: slot))
        } catch {
            return ended(node, error.description)
        }
        node.state = .opening(
            RedisSession(
                through: door, as: entry.login(), keyspace: keyspace, on: loop, connectTimeout: .seconds(2),
                statistics: statistics.node(),
                events: RedisSession.Events(
                    ready: { [weak self, weak node] in if let node { self?.opened(node, $0) } },
                    // What is said before all are there is found by the scan that follows.
                    invalidated: { [weak self] in if let self, isOpen { events.invalidated($0) } },
                    ended: { [weak self, weak node] in if let node { self?.ended(node, $0) } })))
    }

    private func opened(_ node: Node, _ feed: RedisSession.Feed) {
        guard case .opening = state, let session = node.session else { return }
        node.state = .ready(session, feed)
        book.note(node.address, problem: nil)
        let feeds = nodes.values.compactMap { if case .ready(_, let feed) = $0.state { feed } else { nil } }
        guard feeds.count == nodes.count else { return }
        state = .ready
        pollTimer?.fire(every: RedisCluster.pollInterval)
        sendHeld()
        events.ready(RedisCluster.worst(of: feeds))
    }

    /// What is not heard of one node is looked for on all.
    static func worst(of feeds: [RedisSession.Feed]) -> RedisSession.Feed {
        var worst = RedisSession.Feed.tracking
        for feed in feeds {
            switch feed {
            case .scanning: return feed
            case .notifications: worst = feed
            case .tracking: continue
            }
        }
        return worst
    }

    private var isOpen: Bool {
        switch state {
        case .ready, .rereading: true
        case .seeking, .opening, .ended: false
        }
    }

    // MARK: The end

    private func ended(_ node: Node, _ reason: String) {
        // That the cluster is down is not this one's fault.
        let isDown = reason.contains("CLUSTERDOWN")
        if !isDown { book.note(node.address, problem: reason) }
        if node.epochKey == nil { book.letGo(node.address, at: .now()) }
        // Whoever named it may not know better.
        if case .opening = state { book.distrust() }
        end("\(node.address.text): \(reason)\(isDown ? book.away : "")")
    }

    func end(_ reason: String) {
        if case .ended = state { return }
        close()
        events.ended(reason)
    }

    func close() {
        if case .ended = state { return }
        if case .seeking(let seeker) = state { seeker.stop() }
        state = .ended
        pollTimer?.cancel()
        retryTimer?.cancel()
        for node in nodes.values { node.session?.close() }
        statistics.endNodes()
        abandonCalls()
        // A session may be what is calling right now.
        loop.atEndOfTurn { [self] in withExtendedLifetime(self) {} }
    }

    // MARK: The map

    private func poll() {
        let ready = nodes.values.sorted { $0.address.text < $1.address.text }
        guard case .ready = state, !ready.isEmpty else { return }
        polled = (polled + 1) % ready.count
        let node = ready[polled]
        node.session?.send(["CLUSTER", "SLOTS"]) { [weak self] reply in
            guard let self, let reply, case .ready = state else { return }
            _ = take(reply, from: node, isSure: false)
        }
    }

    /// - Parameter isSure: by what it said before, the node knows of a change. Else it may be the last one to hear of it.
    /// - Returns: whether the session goes on.
    func take(_ reply: RESPValue, from node: Node, isSure: Bool) -> Bool {
        let problem: String
        do throws(LedgerError) {
            let map = try RedisSlotMap(reply, toldBy: node.address)
            guard let new = map.masters.first(where: { nodes[$0.address] == nil }) else {
                doubts = 0
                if map != self.map { adopt(map) }
                return true
            }
            // With it everything begins anew: what was changed there by hand, nobody has told.
            problem = "\(new.address.text) is a master now"
        } catch {
            problem = "\(node.address.text): \(error.description)"
        }
        doubts += 1
        guard isSure || doubts > 1 else {
            // Until it is known, a change by hand under a master that is new is not heard.
            if nodes.count > 1 { poll() }
            return true
        }
        book.prefer(node.address)
        end(problem)
        return false
    }

    private func adopt(_ map: RedisSlotMap) {
        self.map = map
        book.adopt(map)
        for address in nodes.keys { book.note(address, problem: nil) }
        let former = epochKeys
        nameEpochs()
        if epochKeys != former { onRemap() }
    }

    private func nameEpochs() {
        for node in nodes.values { node.epochKey = nil }
        for master in map?.masters ?? [] {
            nodes[master.address]?.epochKey = RedisCluster.epochKey(of: master)
        }
    }

    private static func epochKey(of master: RedisSlotMap.Master) -> String {
        "\(epochPrefix){\(RedisSlot.tag(for: master.lowestSlot))}"
    }

    var epochKeys: [String] { (map?.masters ?? []).compactMap { nodes[$0.address]?.epochKey } }
    var epochOwners: (String) -> String {
        guard let map else { return { _ in BlockKey.epoch } }
        return { [keyspace] in RedisCluster.epochKey(of: map.master(of: RedisSlot.of(keyspace.stored($0)))) }
    }
    var movesKeys: Bool { true }

    /// - Parameter key: as the store knows it.
    func owner(of key: String) -> Node? { map.flatMap { nodes[$0.master(of: RedisSlot.of(key)).address] } }

    var hashes: [Script: String] { nodes.values.lazy.compactMap(\.session).first?.hashes ?? [:] }
}
