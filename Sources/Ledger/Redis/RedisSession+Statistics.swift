internal import Wire

/// Outlives sessions: one for the ledger.
final class RedisStatistics {
    var store = StoreStatistics()
    /// Of a cluster: those of each node that is there.
    private var nodes: [RedisStatistics] = []

    /// For one more node.
    func node() -> RedisStatistics {
        let node = RedisStatistics()
        nodes.append(node)
        return node
    }

    /// The nodes are left: what was asked of them stays.
    func endNodes() {
        store = total
        nodes = []
        store.forgetServer()
    }

    /// All of them together; what one does not tell is not known.
    var total: StoreStatistics {
        guard !nodes.isEmpty else { return store }
        let all = nodes.map(\.store)
        func sum(_ part: (StoreStatistics) -> Int?) -> Int? {
            let known = all.compactMap(part)
            return known.count == all.count ? known.reduce(0, +) : nil
        }
        var total = store
        total.keys = sum(\.keys)
        total.memory = sum(\.memory)
        total.memoryPeak = sum(\.memoryPeak)
        total.roundTrip = all.compactMap(\.roundTrip).max()
        total.commands += all.reduce(0) { $0 + $1.commands }
        total.errors += all.reduce(0) { $0 + $1.errors }
        return total
    }
}

extension RedisSession {
    /// Every so many questions whether somebody is there.
    static let ticksPerStatistics = 20

    /// Two cheap questions. What is refused is not asked again on this session: each refusal is an entry in Redis' own log.
    func askStatistics() {
        let asked = Instant.now()
        ask(["DBSIZE"]) { statistics, reply in
            statistics.store.roundTrip = Instant.now() - asked
            statistics.store.keys = reply.integer.map { Int($0) }
        }
        ask(["MEMORY", "STATS"]) { statistics, reply in
            // Names and values in turn; the values are of all kinds.
            let parts = reply.array ?? []
            for index in stride(from: 0, to: parts.count - 1, by: 2) {
                switch parts[index].text {
                case "peak.allocated": statistics.store.memoryPeak = parts[index + 1].integer.map { Int($0) }
                case "total.allocated": statistics.store.memory = parts[index + 1].integer.map { Int($0) }
                default: break
                }
            }
        }
    }

    private func ask(_ command: [String], then take: @escaping (RedisStatistics, RESPValue) -> Void) {
        guard !refusedStatistics.contains(command[0]) else { return }
        data.call(command) { [weak self] reply in
            guard let self, state == .ready, let reply else { return }
            if reply.error != nil { refusedStatistics.insert(command[0]) } else { take(statistics, reply) }
        }
    }
}
