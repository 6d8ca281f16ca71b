/// Spreads addresses over the slots of a table, for a fraction of what `Hasher` costs. Keyed, because strangers choose their
/// addresses: who does not know the key cannot choose some that meet in one slot.
public struct AddressHash: Sendable {
    @usableFromInline let keys: (UInt64, UInt64)

    package init(seed: UInt64 = .random(in: .min ... .max)) {
        keys = (AddressHash.spread(seed), AddressHash.spread(seed ^ .max))
    }

    @inlinable
    public func of(_ address: IPAddress) -> UInt64 {
        // Folded full products of secret words: neighbours are spread, and nobody can choose addresses that collide.
        let first = (address.high ^ keys.0).multipliedFullWidth(by: address.low ^ keys.1)
        let second = (first.high ^ first.low ^ keys.0).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return second.high ^ second.low
    }

    /// Makes a dense word of any seed (the finaliser of SplitMix64).
    private static func spread(_ seed: UInt64) -> UInt64 {
        var word = seed &+ 0x9e37_79b9_7f4a_7c15
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}
