internal import Wire

/// What a block can do beside the addresses that are never blocked (`never_block`, `trusted_proxies`): the gatekeeper
/// passes those whatever block is in force, so an operator must hear of it.
enum BlockScope: Hashable {
    /// Every address of the network is refused.
    case whole
    /// All but these.
    case allBut([IPNetwork])
    /// None, since this holds them all.
    case nothing(because: IPNetwork)

    init(of network: IPNetwork, neverBlocked: [IPNetwork]) {
        if let wider = neverBlocked.first(where: { $0.covers(network) }) {
            self = .nothing(because: wider)
            return
        }
        let within = neverBlocked.filter { network.covers($0) }
        self = within.isEmpty ? .whole : .allBut(within)
    }
}

extension IPNetwork {
    /// Whether every address of `other` is one of ours.
    func covers(_ other: IPNetwork) -> Bool { bits <= other.bits && contains(other.base) }
}
