/// A CIDR block: an address and how many of its leading bits count. IPv4 networks are kept in the IPv4-mapped range
/// (`10.0.0.0/8` has 104 bits here), so that one comparison serves both families.
package struct IPNetwork: Hashable, Sendable {
    /// The lowest address of the network.
    package let base: IPAddress
    /// Leading bits that count, of 128.
    package let bits: Int

    /// The network of `bits` (0–128, of the IPv6 form) that `address` lies in; host bits are cleared.
    package init(_ address: IPAddress, bits: Int) {
        precondition((0...128).contains(bits), "a prefix has 0 to 128 bits")
        self.bits = bits
        base = IPAddress(
            high: address.high & IPNetwork.mask(bits),
            low: address.low & IPNetwork.mask(bits - 64))
    }

    /// The network that holds one address.
    package init(_ address: IPAddress) { self.init(address, bits: 128) }

    /// A word whose `bits` leading bits are set; below 0 none, above 64 all.
    private static func mask(_ bits: Int) -> UInt64 {
        bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits))
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.high & IPNetwork.mask(bits) == base.high && address.low & IPNetwork.mask(bits - 64) == base.low
    }

    package var isSingleAddress: Bool { bits == 128 }

    /// Whether it has fewer leading bits than `v4` of an IPv4 network, or `v6` of an IPv6 one. What holds IPv4 addresses is
    /// measured as one of those.
    package func isWider(thanV4 v4: Int, v6: Int) -> Bool {
        let holdsV4 = base.isV4 || contains(IPAddress(v4: 0))
        return bits < (holdsV4 ? v4 + 96 : v6)
    }

    /// Reads `address` or `address/prefix`. Host bits below the prefix must be zero: `10.1.2.3/8` is a mistake more often
    /// than a network, so it is refused (nil), as is a prefix with leading zeros or out of range.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]) else { return nil }
        guard parts.count == 2 else {
            self.init(address)
            return
        }
        let digits = parts[1]
        guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy(Characters.isDigit),
            digits.utf8.count == 1 || digits.utf8.first != 48, let prefix = Int(digits)
        else { return nil }
        // `::ffff:10.0.0.0/104` and `10.0.0.0/8` are the same network; a colon tells which one was written.
        let written = parts[0].utf8.contains(UInt8(ascii: ":"))
        let bits = written ? prefix : prefix + 96
        guard prefix <= (written ? 128 : 32) else { return nil }
        self.init(address, bits: bits)
        guard base == address else { return nil }
    }
}

extension IPNetwork: CustomStringConvertible {
    /// `10.0.0.0/8`, `2001:db8::/32`; a single address without its `/32` or `/128`.
    package var description: String {
        if isSingleAddress { return base.description }
        if base.isV4, bits >= 96 { return "\(base)/\(bits - 96)" }
        return "\(base)/\(bits)"
    }
}
