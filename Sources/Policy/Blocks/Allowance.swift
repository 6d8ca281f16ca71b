package import Wire

/// Whom no block holds back for a while, whoever set it: what `never_block` is for ever, an operator may say at run time.
package enum Allowance {
    /// The network that the text means; nil where it means none, or half the world: blocks must go on
    /// to mean something.
    package static func network(_ text: some StringProtocol) -> IPNetwork? {
        guard let network = IPNetwork(text), !network.isWider(thanV4: 8, v6: 32) else { return nil }
        return network
    }
}
