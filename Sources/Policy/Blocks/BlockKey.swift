package import Wire

/// The names of the ledger's keys in Redis. Operators type them, so their spelling is part of the product.
package enum BlockKey {
    package static let blockPrefix = "ip_block:"
    package static let failurePrefix = "login_fail:"
    package static let seenPrefix = "login_seen:"
    package static let pendingPrefix = "login_pending:"
    /// Present as long as the data is the data we know: its absence tells that the store was flushed.
    package static let epoch = "gateway:epoch"

    /// Blocks of accounts.
    package static let lockPrefix = "account_lock:"

    /// The key under which the gateway itself sets a block.
    package static func block(_ network: IPNetwork) -> String { block(BlockSubject(network)) }
    package static func block(_ subject: BlockSubject) -> String {
        (subject.account == nil ? blockPrefix : lockPrefix) + subject.description
    }

    /// An integer that operators GET: `login_fail:203.0.113.7`, or of the IPv6 prefix that failures are counted for. What another
    /// rule counts has its name, too, and is of the same family: `login_fail:mfa@203.0.113.7`.
    package static func failures(_ key: LoginKey) -> String {
        failurePrefix + (key.isPlain ? key.subject.description : key.description)
    }
    /// How often the subject was blocked lately. In the slot of the block, and of the family of counters: whoever clears those by
    /// a pattern clears this.
    package static func history(_ subject: BlockSubject) -> String { failurePrefix + "blocks:{" + block(subject) + "}" }

    /// Which failures are in the counter already. The hash tag puts it into the counter's slot of a Redis Cluster.
    package static func seen(_ key: LoginKey) -> String { seenPrefix + "{" + failures(key) + "}" }

    /// The guesses that are on their way, by the time at which their places end. In the counter's slot, too.
    package static func pending(_ key: LoginKey) -> String { pendingPrefix + "{" + failures(key) + "}" }

    /// The network a block's key means: any spelling of an address (`2001:DB8:0::1`, `::ffff:1.2.3.4`), or a prefix.
    /// Nil when the text after `ip_block:` is none, or is ambiguous (`010.0.0.1`, `10.1.2.3/8`).
    package static func network(ofBlock key: String) -> IPNetwork? {
        guard key.hasPrefix(blockPrefix) else { return nil }
        return IPNetwork(key.dropFirst(blockPrefix.count))
    }

    /// The same of all blocks, those of accounts included.
    package static func subject(ofBlock key: String) -> BlockSubject? {
        if let network = network(ofBlock: key) { return BlockSubject(network) }
        guard key.hasPrefix(lockPrefix), let subject = BlockSubject(key.dropFirst(lockPrefix.count)) else { return nil }
        return subject.account == nil ? nil : subject
    }
}
