package import Wire

/// An account, as the gateway speaks of it: 128 bits of a keyed hash of its name, which nobody without the key can turn back
/// into the name, or make of one.
package struct AccountMark: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// That of all who name none, where they count as one account. No name has it but by chance.
    package static let unnamed = AccountMark(high: 0, low: 0)

    /// As `description` writes it; nil for any other text.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, text.utf8.allSatisfy(Hexadecimal.isDigit),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 hexadecimal digits.
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }
}

/// What a block is of: addresses, or an account, from everywhere or from some addresses only.
package struct BlockSubject: Hashable, Sendable, CustomStringConvertible {
    package let network: IPNetwork
    /// Nil: everything that comes from the network.
    package let account: AccountMark?

    /// All addresses: of an account that is blocked wherever somebody tries it.
    package static let everywhere = IPNetwork(IPAddress(high: 0, low: 0), bits: 0)

    package init(_ network: IPNetwork, account: AccountMark? = nil) {
        self.network = network
        self.account = account
    }

    /// The addresses that it is bound to; nil: none, it is of an account wherever somebody tries it.
    package var from: IPNetwork? { network == BlockSubject.everywhere ? nil : network }

    /// `203.0.113.7`, `2001:db8::/64`; of an account `<mark>@203.0.113.7`, or `<mark>` alone.
    package var description: String {
        guard let account else { return network.description }
        return from.map { "\(account)@\($0)" } ?? account.description
    }

    /// Reads that; nil for a text that means nothing, or is ambiguous.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 {
            guard let account = AccountMark(parts[0]), let network = IPNetwork(parts[1]) else { return nil }
            self.init(network, account: account)
        } else if let account = AccountMark(text) {
            self.init(BlockSubject.everywhere, account: account)
        } else if let network = IPNetwork(text) {
            self.init(network)
        } else {
            return nil
        }
    }
}

/// What failures are counted under: by which rule, and for whom.
package struct LoginKey: Hashable, Sendable, CustomStringConvertible {
    /// `LoginRule.name`.
    package let rule: String
    package let subject: BlockSubject

    package init(rule: String = LoginRule.plainName, _ subject: BlockSubject) {
        self.rule = rule
        self.subject = subject
    }

    package init(rule: String = LoginRule.plainName, _ network: IPNetwork, account: AccountMark? = nil) {
        self.init(rule: rule, BlockSubject(network, account: account))
    }

    /// Not what a rule counts, but the blocks of the subject lately, by whatever rule.
    package static func history(of subject: BlockSubject) -> LoginKey { LoginKey(rule: historyName, subject) }
    package static let historyName = "blocks"
    package var isHistory: Bool { rule == LoginKey.historyName }

    /// By the plain rule, for addresses: the one whose names in the store operators type.
    package var isPlain: Bool { rule == LoginRule.plainName && subject.account == nil }

    /// `mfa@203.0.113.7`. No name of a rule has an @.
    package var description: String { "\(rule)@\(subject)" }

    /// Reads that.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, LoginRule.isName(parts[0]), let subject = BlockSubject(parts[1]) else { return nil }
        self.init(rule: String(parts[0]), subject)
    }
}
