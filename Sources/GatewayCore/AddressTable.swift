internal import Telemetry
internal import Wire

/// How many connections each address has, for the whole process: a fixed table of atomics that the workers share, without
/// a lock and without waiting. It counts exactly, or too little: when more addresses meet in one place than it holds, or
/// two workers enter an address for the first time at the same moment. It never counts one address for another.
///
/// A slot is two numbers: the address, and a word of the slot's version and its count. The version changes whenever the
/// slot is given to another address, so that whoever read the address before cannot count for it any more.
final class AddressTable: Sendable {
    enum Entry: Equatable {
        /// To be given back with `leave`.
        case counted(Int32)
        /// There was no place to count it in: let in, since a table that is full must lock nobody out.
        case uncounted
        /// The address has as many as it may have.
        case full
    }

    /// 65,536 of them are 1 MiB: six times what `limits.connections` is when nothing is set.
    private static let slots = 1 << 16
    /// Neighbours that an address may stand in.
    private static let probes = 16
    /// Rounds, for those who lose a free slot to others again and again.
    private static let attempts = 4
    private static let countMask = (1 << 31) - 1
    /// Somebody is writing the address.
    private static let claimed = 1 << 31
    private static let oneVersion = 1 << 32

    private let table = AtomicTable(count: 2 * slots)

    /// Counts a connection of `address`, unless there are `limit` already.
    /// - Parameter limit: 1 to 2³¹ − 1.
    func enter(_ address: IPAddress, limit: Int) -> Entry {
        let key = AddressTable.key(address)
        // `Hasher` has a seed of this process: nobody outside can choose addresses that meet.
        let first = key.hashValue & (AddressTable.slots - 1)
        for _ in 0..<AddressTable.attempts {
            var free: (slot: Int, word: Int)?
            for step in 0..<AddressTable.probes {
                let slot = (first + step) & (AddressTable.slots - 1)
                var word = table.loadAcquiring(2 * slot + 1)
                while word & AddressTable.countMask > 0, table.loadAcquiring(2 * slot) == key {
                    guard word & AddressTable.countMask < limit else { return .full }
                    if table.replace(word, by: word + 1, at: 2 * slot + 1) { return .counted(Int32(slot)) }
                    word = table.loadAcquiring(2 * slot + 1)
                }
                let isFree = word & (AddressTable.countMask | AddressTable.claimed) == 0
                if isFree, free == nil { free = (slot, word) }
            }
            guard let (slot, word) = free else { return .uncounted }
            let next = word &+ AddressTable.oneVersion
            guard table.replace(word, by: next | AddressTable.claimed, at: 2 * slot + 1) else { continue }
            table.store(key, at: 2 * slot)
            table.storeReleasing(next | 1, at: 2 * slot + 1)
            return .counted(Int32(slot))
        }
        return .uncounted
    }

    /// Takes back what `enter` counted.
    func leave(_ slot: Int32) {
        // The count is at least 1, so that neither mark nor version is touched.
        table.addShared(-1, to: 2 * Int(slot) + 1)
    }

    private static func key(_ address: IPAddress) -> Int { Int(truncatingIfNeeded: address.countedAs) }
}
