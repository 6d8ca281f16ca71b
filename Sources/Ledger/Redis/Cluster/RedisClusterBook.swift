internal import Settings
internal import Transport
internal import Wire

/// What is known of a cluster over its sessions: whom to ask, who is away.
final class RedisClusterBook {
    typealias Address = RedisSlotMap.Address
    typealias Resolve = (_ host: String, _ completion: @escaping (Result<[IPAddress], ResolveError>) -> Void) -> Void

    let seeds: [Address]
    private(set) var map: RedisSlotMap?
    private(set) var nodes: [StoreNode] = []
    /// The place among the candidates of the next one to ask for the map.
    private(set) var next = 0
    /// How often somebody was distrusted. A name may have several addresses: each attempt takes another one of them.
    private(set) var attempts = 0
    /// Masters that are being given their first slots: `CLUSTER SLOTS` does not name them yet.
    private var guests: [Address: Guest] = [:]
    private let resolver: Resolve
    private var lookups: [String: [(Result<[IPAddress], ResolveError>) -> Void]] = [:]

    private enum Guest {
        /// Taken in with the masters. → `absent`
        case invited(at: Instant, pause: Interval)
        /// It could not be spoken to; not again at once, since each time all begin anew. → `invited`
        case absent(at: Instant, pause: Interval)
    }
    private static let mostGuests = 16
    private static let shortestPause = Interval.seconds(60)
    /// Twice as long each time: a slot that was left half moved leads there for as long as nobody mends it.
    private static let longestPause = Interval.seconds(960)
    /// Whoever has no slots by then will have none.
    private static let stay = Interval.seconds(600)
    /// Waiting for one name. Attempts are made every other second, and those of before wait for nothing.
    private static let mostWaiting = RedisSlotMap.mostMasters + 64

    init(seeds: [Address], resolve: @escaping Resolve) {
        self.seeds = seeds
        resolver = resolve
    }

    /// Whom to ask for the map, in turn: those in the configuration, and all that the last map named.
    var candidates: [Address] {
        let all = known
        let start = next % all.count
        return Array(all[start...] + all[..<start])
    }

    private var known: [Address] {
        var all = seeds
        for address in (map?.masters.map(\.address) ?? []) + (map?.replicas ?? []) where !all.contains(address) {
            all.append(address)
        }
        return all
    }

    /// What the one that was asked first said was nothing, or led nowhere.
    func distrust() {
        attempts += 1
        next = (next + 1) % max(1, known.count)
    }

    /// It was the first to know of a change: whoever is asked before it may send us back to what was.
    func prefer(_ address: Address) { next = known.firstIndex(of: address) ?? next }

    func adopt(_ map: RedisSlotMap) {
        self.map = map
        nodes = map.masters.map { master in
            let name = master.address.text
            let problem = nodes.first { $0.name == name }.map(\.problem) ?? "not connected yet"
            return StoreNode(name: name, slots: master.slots, problem: problem)
        }
        for master in map.masters { guests[master.address] = nil }
    }

    /// - Parameter problem: nil: it is there.
    func note(_ address: Address, problem: String?) {
        guard let index = nodes.firstIndex(where: { $0.name == address.text }) else { return }
        nodes[index].problem = problem
    }

    /// Behind a reason: those that are away.
    var away: String {
        let names = nodes.filter { $0.problem != nil }.map(\.name)
        return names.isEmpty ? "" : "; away: \(names.joined(separator: ", "))"
    }

    // MARK: Masters without slots

    /// - Returns: whether it is there in the next session.
    func invite(_ address: Address, at now: Instant) -> Bool {
        var pause = RedisClusterBook.shortestPause
        if case .absent(let at, let former)? = guests[address] {
            guard now - at >= former else { return false }
            pause = min(former + former, RedisClusterBook.longestPause)
        }
        guard guests[address] != nil || guests.count < RedisClusterBook.mostGuests else { return false }
        guests[address] = .invited(at: now, pause: pause)
        return true
    }

    func letGo(_ address: Address, at now: Instant) {
        if case .invited(_, let pause)? = guests[address] { guests[address] = .absent(at: now, pause: pause) }
    }

    func invited(at now: Instant) -> [Address] {
        guests = guests.filter { _, guest in
            switch guest {
            case .invited(let at, _): now - at < RedisClusterBook.stay
            case .absent(let at, let pause): now - at < pause + pause
            }
        }
        let invited = guests.filter { if case .invited = $0.value { true } else { false } }
        return invited.keys.sorted { ($0.host, $0.port) < ($1.host, $1.port) }
    }

    // MARK: Names

    /// One question for a name at a time, for all that want it: nodes are often many of one host, and while a name server is
    /// silent each attempt would add one that nobody waits for any more.
    func resolve(_ host: String, _ completion: @escaping (Result<[IPAddress], ResolveError>) -> Void) {
        if lookups[host] != nil {
            if lookups[host]!.count >= RedisClusterBook.mostWaiting { lookups[host]!.removeFirst() }
            lookups[host]!.append(completion)
            return
        }
        lookups[host] = [completion]
        resolver(host) { [weak self] result in
            for completion in self?.lookups.removeValue(forKey: host) ?? [] { completion(result) }
        }
    }
}
