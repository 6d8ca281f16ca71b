package import Wire

/// The blocked addresses and networks as one worker knows them: one probe for exact addresses and one for each length of
/// prefix in use, without allocation and without a lock.
///
/// An entry whose deadline has come never matches; removing it is housekeeping (`sweep`).
package struct BlockTable: Sendable {
    private struct Level {
        /// Leading bits of the IPv6 form; 128 for exact addresses.
        let bits: Int
        var map: DeadlineMap
    }

    /// Only lengths in use, longest first.
    private var levels: [Level] = []
    private let seed: UInt64
    private var sweepLevel = 0

    /// - Parameter seed: Keys the hash. An attacker chooses the addresses that get blocked, so it must not be known.
    package init(seed: UInt64 = .random(in: .min ... .max)) { self.seed = seed }

    /// Entries held, those waiting to be swept included.
    package var count: Int { levels.reduce(0) { $0 + $1.map.count } }

    /// Nobody is in it.
    var isEmpty: Bool { levels.isEmpty }

    /// The block that holds `address` back the longest; nil when there is none.
    ///
    /// An IPv6 prefix shorter than `::ffff:0:0/96` does not reach IPv4 addresses, although they are kept in that range:
    /// whoever writes `::/0` means IPv6.
    package func match(_ address: IPAddress, at now: Instant) -> BlockMatch? {
        var found: BlockMatch?
        for index in levels.indices {
            let bits = levels[index].bits
            if bits < 96, address.isV4 { break }
            let network = IPNetwork(address, bits: bits)
            let deadline = levels[index].map.deadline(of: network.base)
            guard deadline > now else { continue }
            if found == nil || found!.deadline < deadline { found = BlockMatch(network: network, deadline: deadline) }
        }
        return found
    }

    package mutating func apply(_ delta: BlockDelta, at now: Instant) {
        switch delta {
        case .set(let entries):
            for entry in entries { set(entry, at: now) }
        case .lift(let networks):
            for network in networks { lift(network) }
        case .replaceAll(let entries):
            replaceAll(entries, at: now)
        }
    }

    package mutating func replaceAll(_ entries: [BlockEntry], at now: Instant) {
        levels = []
        for entry in entries { set(entry, at: now) }
    }

    /// Looks at `budget` slots, going on where the last call ended, and removes what has expired.
    package mutating func sweep(at now: Instant, budget: Int = 256) {
        guard !levels.isEmpty else { return }
        if sweepLevel >= levels.count { sweepLevel = 0 }
        if levels[sweepLevel].map.sweep(at: now, budget: budget) {
            if levels[sweepLevel].map.count == 0 { levels.remove(at: sweepLevel) } else { sweepLevel += 1 }
        }
    }

    private mutating func set(_ entry: BlockEntry, at now: Instant) {
        let bits = entry.network.bits
        guard entry.deadline > now else {
            lift(entry.network)
            return
        }
        if let index = levels.firstIndex(where: { $0.bits <= bits }) {
            if levels[index].bits != bits {
                levels.insert(Level(bits: bits, map: DeadlineMap(seed: seed)), at: index)
            }
            levels[index].map.set(entry.network.base, entry.deadline, at: now)
        } else {
            levels.append(Level(bits: bits, map: DeadlineMap(seed: seed)))
            levels[levels.count - 1].map.set(entry.network.base, entry.deadline, at: now)
        }
    }

    private mutating func lift(_ network: IPNetwork) {
        guard let index = levels.firstIndex(where: { $0.bits == network.bits }) else { return }
        levels[index].map.remove(network.base)
        if levels[index].map.count == 0 { levels.remove(at: index) }
    }
}
