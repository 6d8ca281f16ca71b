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
    /// Masters that are being given their first slots: `CLUSTER SLOTS` does not name them yet.
    private var guests: [Address: Guest] = [:]
    private var tags: [Int: String] = [:]
    private let resolver: Resolve
    private var lookups: [String: [(Result<[IPAddress], ResolveError>) -> Void]] = [:]

    private enum Guest {
        /// Taken in with the masters. → `absent`
        case invited(at: Instant)
        /// It could not be spoken to; not again at once, since each time all begin anew. → `invited`
        case absent(at: Instant)
    }
    private static let mostGuests = 16
    private static let pauseOfInvitations = Interval.seconds(60)
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
        var all = seeds
        for address in (map?.masters.map(\.address) ?? []) + (map?.replicas ?? []) where !all.contains(address) {
            all.append(address)
        }
        let start = next % all.count
        return Array(all[start...] + all[..<start])
    }

    /// What the one that was asked first said was nothing, or led nowhere.
    func distrust() { next = (next + 1) % max(1, candidates.count) }

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
        if case .absent(let at)? = guests[address], now - at < RedisClusterBook.pauseOfInvitations { return false }
        guard guests[address] != nil || guests.count < RedisClusterBook.mostGuests else { return false }
        guests[address] = .invited(at: now)
        return true
    }

    func letGo(_ address: Address, at now: Instant) {
        if guests[address] != nil { guests[address] = .absent(at: now) }
    }

    func invited(at now: Instant) -> [Address] {
        guests = guests.filter { _, guest in
            switch guest {
            case .invited(let at): now - at < RedisClusterBook.stay
            case .absent(let at): now - at < RedisClusterBook.pauseOfInvitations
            }
        }
        let invited = guests.filter { if case .invited = $0.value { true } else { false } }
        return invited.keys.sorted { ($0.host, $0.port) < ($1.host, $1.port) }
    }

    // MARK: Names

    /// A hash tag that puts a key into the slot.
    func tag(for slot: Int) -> String {
        if let tag = tags[slot] { return tag }
        let tag = RedisSlot.tag(for: slot)
        tags[slot] = tag
        return tag
    }

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
