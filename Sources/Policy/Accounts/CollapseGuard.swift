package import Wire

/// Finds the addresses that many people speak through: a bridge or a NAT in front of the gateway, behind which everybody would be
/// locked out by one guesser. Such an address is given a higher limit for its failures, while each account in its hands is
/// counted as ever, so it is never without protection.
///
/// It takes both: nearly all requests come from the address (`TrafficShare`), and many accounts have logged in through it. Whoever
/// floods the gateway has the first alone. Pure, with time as a parameter; the control thread's.
package struct CollapseGuard: Sendable {
    private struct Known {
        /// When each has logged in last. At most as many as are asked for.
        var accounts: [AccountMark: Instant] = [:]
        /// Until then it is known to carry nearly all requests.
        var carriesUntil: Instant?
    }

    /// Logins of so long count.
    package static let window = Interval.seconds(3_600)
    /// A window of `TrafficShare` without the finding may be one with too few requests.
    private static let memory = Interval.seconds(180)
    /// Addresses that are looked at. Beyond it those that have shown nothing for the longest time are forgotten.
    static let most = 64

    private var known: [IPNetwork: Known] = [:]

    package init() {}

    /// Nearly all requests come from it, and it may speak for others.
    /// - Parameter accounts: how many must have logged in.
    /// - Returns: whether it is shared, as far as is known now.
    package mutating func carriesNearlyAll(_ network: IPNetwork, at now: Instant, accounts: Int) -> Bool {
        makeRoom(for: network)
        known[network, default: Known()].carriesUntil = now + CollapseGuard.memory
        return isShared(network, at: now, accounts: accounts)
    }

    /// A login of the account through it has succeeded.
    package mutating func loggedIn(
        _ account: AccountMark, through network: IPNetwork, at now: Instant, accounts: Int
    ) -> Bool {
        makeRoom(for: network)
        var found = known[network] ?? Known()
        found.accounts[account] = now
        while found.accounts.count > max(1, accounts), let oldest = found.accounts.min(by: { $0.value < $1.value }) {
            found.accounts[oldest.key] = nil
        }
        known[network] = found
        return isShared(network, at: now, accounts: accounts)
    }

    private func isShared(_ network: IPNetwork, at now: Instant, accounts: Int) -> Bool {
        guard accounts > 0, let found = known[network], let until = found.carriesUntil, until > now else {
            return false
        }
        return found.accounts.values.count { $0 + CollapseGuard.window > now } >= accounts
    }

    private mutating func makeRoom(for network: IPNetwork) {
        guard known[network] == nil, known.count >= CollapseGuard.most else { return }
        func shownAt(_ one: Known) -> Instant {
            max(one.accounts.values.max() ?? Instant(nanoseconds: .min), one.carriesUntil ?? Instant(nanoseconds: .min))
        }
        if let stalest = known.min(by: { shownAt($0.value) < shownAt($1.value) }) { known[stalest.key] = nil }
    }
}
