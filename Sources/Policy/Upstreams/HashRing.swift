package import Wire

/// Consistent hashing: which server a key belongs to, so that a server that goes takes only its own keys with it, and one
/// that comes takes its share of everybody's. Made when the servers change, and shared by the workers.
///
/// A ring with virtual nodes (Karger et al., 1997) rather than a Maglev table: there removal moves a few of the others'
/// keys too. A look-up is a binary search. The hash has no secret, so that every replica, and the next process, sends a
/// client to the same server.
package struct HashRing: Sendable {
    /// So many places for each server keep their shares within a fifth of each other (a test has the figures).
    private static let pointsPerServer = 256

    /// Ascending, and beside each the server it belongs to.
    private let points: [UInt64]
    private let owners: [Int]

    /// - Parameter names: of the servers, each once; what a key is mapped to is an index of theirs.
    package init(_ names: [String]) {
        var ring: [(point: UInt64, owner: Int)] = []
        ring.reserveCapacity(names.count * HashRing.pointsPerServer)
        for (owner, name) in names.enumerated() {
            let seed = StableHash.of(Array(name.utf8).span)
            for replica in 1...HashRing.pointsPerServer {
                ring.append((StableHash.mixed(seed &+ UInt64(replica) &* StableHash.step), owner))
            }
        }
        ring.sort { $0.point < $1.point }
        points = ring.map(\.point)
        owners = ring.map(\.owner)
    }

    /// - Parameter avoided: not this one, if there is another.
    /// - Returns: nil of an empty ring.
    package func owner(of key: UInt64, avoiding avoided: Int? = nil) -> Int? {
        guard !points.isEmpty else { return nil }
        var low = 0
        var high = points.count
        while low < high {
            let middle = (low + high) / 2
            if points[middle] < key { low = middle + 1 } else { high = middle }
        }
        let first = low < points.count ? low : 0
        guard owners[first] == avoided else { return owners[first] }
        for offset in 1..<points.count {
            let index = (first + offset) % points.count
            if owners[index] != avoided { return owners[index] }
        }
        return owners[first]
    }
}

/// A hash that is the same in every process: FNV-1a, with the finalizer of SplitMix64 so that neighbours part.
package enum StableHash {
    /// The golden ratio: an odd number whose multiples spread evenly.
    static let step: UInt64 = 0x9e37_79b9_7f4a_7c15

    package static func of(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = FNV1a.seed
        for index in bytes.indices { hash = FNV1a.hash(hash, bytes[index]) }
        return mixed(hash)
    }

    package static func of(_ address: IPAddress) -> UInt64 { mixed(mixed(address.high &+ step) ^ address.low) }

    static func mixed(_ value: UInt64) -> UInt64 {
        var hash = value
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        return hash ^ hash >> 31
    }
}
