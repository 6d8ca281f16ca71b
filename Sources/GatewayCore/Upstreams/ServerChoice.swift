internal import Policy
internal import Settings
internal import Wire

/// Chooses the server of a request among those that may have one; a worker's own, made anew when they change.
struct ServerChoice {
    private let servers: [UpstreamPool.Server]
    private let balance: Configuration.Upstream.Balance
    private let slowStart: Interval
    private let ring: HashRing?
    private var rotation: Rotation
    /// In percent, by server.
    private var shares: [Int]
    /// When every server has its full share; until then shares are computed again and again.
    private var evenFrom: Instant
    private var isEven: Bool

    /// Of nobody.
    init() {
        self.init(among: [], balance: .roundRobin, slowStart: .zero, nil, at: .never)
    }

    init(
        among servers: [UpstreamPool.Server], _ settings: Configuration.Upstream, _ ring: HashRing?, at now: Instant
    ) {
        self.init(among: servers, balance: settings.balance, slowStart: settings.slowStart, ring, at: now)
    }

    private init(
        among servers: [UpstreamPool.Server], balance: Configuration.Upstream.Balance, slowStart: Interval,
        _ ring: HashRing?, at now: Instant
    ) {
        self.servers = servers
        self.balance = balance
        self.slowStart = slowStart
        self.ring = ring
        rotation = Rotation(count: max(1, servers.count))
        shares = Array(repeating: 100, count: servers.count)
        evenFrom = now
        for server in servers {
            if case .serving(let since?) = server.place { evenFrom = max(evenFrom, since + slowStart) }
        }
        isEven = evenFrom <= now
        advance(to: now)
    }

    var isEmpty: Bool { servers.isEmpty }

    /// Of servers of which there is at least one.
    /// - Parameters:
    ///   - key: of the request, for `consistent_hash`.
    ///   - avoided: not this one, if there is another.
    mutating func next(key: UInt64, avoiding avoided: UpstreamPool.Server?) -> UpstreamPool.Server {
        guard servers.count > 1 else { return servers[0] }
        let avoided = avoided.flatMap { avoided in servers.firstIndex { $0 === avoided } }
        switch balance {
        case .roundRobin:
            if let avoided { return servers[rotation.another(than: avoided)] }
            return servers[isEven ? rotation.next() : rotation.next(shares: shares)]
        case .leastConnections:
            return servers[rotation.leastLoaded(shares, avoiding: avoided) { servers[$0].tally.requests }]
        case .consistentHash:
            return servers[ring?.owner(of: key, avoiding: avoided) ?? rotation.next()]
        }
    }

    mutating func advance(to now: Instant) {
        guard !isEven else { return }
        isEven = evenFrom <= now
        for (index, server) in servers.enumerated() {
            guard case .serving(let since?) = server.place else { continue }
            shares[index] = SlowStart.share(after: (now - since).nanoseconds, of: slowStart.nanoseconds)
        }
    }
}
