package import Settings
package import Wire

/// Finds patterns of attacks in the outcomes of logins: what one login says when those of the same account, of the same
/// network and of all others are known. Of a login it keeps counts and bits, never a name.
///
/// Its memory is fixed (`memoryBytes`), whoever sends what. Time runs in halves of the window: a login counts in the
/// half that it happened in and in the next one, so for at least half of the window and at most all of it.
package struct ThreatClassifier: Sendable {
    static let accountCapacity = 16_384
    static let networkCapacity = 8_192
    /// A login fails a few times for one account before its user gives up or is blocked.
    private static let fewTries = 5
    /// Stolen passwords are tried once, or twice where it matters.
    private static let fewestTries = 2

    private struct Account: ThreatRecord {
        let key: ThreatKey
        var half: Int64
        var failures = HalvedCount()
        /// That it failed from.
        var networks = NarrowSketch()

        init(_ key: ThreatKey, half: Int64) { (self.key, self.half) = (key, half) }

        mutating func turn(isNext: Bool) {
            failures.turn(isNext: isNext)
            networks.turn(isNext: isNext)
        }
    }

    private struct Network: ThreatRecord {
        let key: ThreatKey
        var half: Int64
        var failures = HalvedCount()
        /// Those whose account is known; of one account a few at most.
        var tries = HalvedCount()
        var successes = HalvedCount()
        var failedAccounts = MediumSketch()
        var succeededAccounts = MediumSketch()

        init(_ key: ThreatKey, half: Int64) { (self.key, self.half) = (key, half) }

        mutating func turn(isNext: Bool) {
            failures.turn(isNext: isNext)
            tries.turn(isNext: isNext)
            successes.turn(isNext: isNext)
            failedAccounts.turn(isNext: isNext)
            succeededAccounts.turn(isNext: isNext)
        }
    }

    private var settings: Configuration.Threats
    private let seed: UInt64
    private var accounts: ThreatTable<Account>
    private var networks: ThreatTable<Network>
    private var half: Int64 = .min
    private var failures = (current: 0, former: 0)
    /// As those of a network.
    private var tries = (current: 0, former: 0)
    private var successes = (current: 0, former: 0)
    private var failedAccounts = WideSketch()
    private var succeededAccounts = WideSketch()
    private var failedNetworks = WideSketch()

    /// Of the tables and sketches.
    package static var memoryBytes: Int {
        accountCapacity * MemoryLayout<Account>.stride + networkCapacity * MemoryLayout<Network>.stride + 3 * 4_096
    }

    /// - Parameter seed: random, and known to nobody.
    package init(_ settings: Configuration.Threats, seed: UInt64) {
        self.settings = settings
        self.seed = seed
        accounts = ThreatTable(capacity: ThreatClassifier.accountCapacity, seed: seed)
        networks = ThreatTable(capacity: ThreatClassifier.networkCapacity, seed: ~seed)
    }

    /// Other thresholds hold at once. With another window everything begins anew.
    package mutating func adopt(_ settings: Configuration.Threats) {
        if settings.window == self.settings.window {
            self.settings = settings
        } else {
            let (accounts, networks) = (accounts.evictions, networks.evictions)
            self = ThreatClassifier(settings, seed: seed)
            self.accounts.evictions = accounts
            self.networks.evictions = networks
        }
    }

    // MARK: Logins

    /// - Parameters:
    ///   - network: that failures are counted for: an address, or an IPv6 prefix.
    ///   - account: nil: not known.
    package mutating func failed(
        from network: IPNetwork, _ account: AccountMark?, at now: Instant
    ) -> [ThreatFinding] {
        advance(to: now)
        let key = ThreatKey(network)
        failures.current += 1
        failedNetworks.insert(key.hash(seed))
        guard let account else {
            if let place = placeOfUnnamed(key) { networks[place].failures.add() }
            return []
        }
        let place = networks.place(of: key, at: half)
        networks[place].failures.add()
        let name = ThreatKey(account)
        let hash = name.hash(seed)
        networks[place].failedAccounts.insert(hash)
        failedAccounts.insert(hash)
        let target = accounts.place(of: name, at: half)
        accounts[target].failures.add()
        accounts[target].networks.insert(key.hash(seed))
        // One account with very many must not make the average of all large.
        if accounts[target].failures.sum <= ThreatClassifier.fewTries + 1 {
            tries.current += 1
            networks[place].tries.add()
        }
        return [finding(of: accounts[target], account), finding(of: networks[place], network), findingOfAll()]
            .compactMap(\.self)
    }

    /// - Parameter isSpared: the address speaks for many, and failures of some are no sign against others.
    package mutating func succeeded(
        from network: IPNetwork, _ account: AccountMark?, isSpared: Bool = false, at now: Instant
    ) -> [ThreatFinding] {
        advance(to: now)
        successes.current += 1
        let key = ThreatKey(network)
        guard let account else {
            guard let place = placeOfUnnamed(key) else { return [] }
            networks[place].successes.add()
            var finding = isSpared ? nil : success(from: networks[place], .network(network))
            finding?.isFromFailing = true
            return [finding].compactMap(\.self)
        }
        let place = networks.place(of: key, at: half)
        networks[place].successes.add()
        let name = ThreatKey(account)
        let hash = name.hash(seed)
        networks[place].succeededAccounts.insert(hash)
        succeededAccounts.insert(hash)
        var finding: ThreatFinding?
        if let target = accounts.find(name, at: half) { finding = success(of: accounts[target], account) }
        // Who is lost is the account, whoever took it.
        if finding == nil, !isSpared { finding = success(from: networks[place], .account(account)) }
        finding?.isFromFailing = networks[place].failures.sum > 0
        return [finding].compactMap(\.self)
    }

    /// Where accounts are known a login without one takes no place of those that say more: names cost an attacker
    /// nothing, and leaving them out costs him even less.
    private mutating func placeOfUnnamed(_ key: ThreatKey) -> Int? {
        let knowsNames = tries.current + tries.former > 0 || succeededAccounts.count > 0
        return knowsNames ? networks.freePlace(of: key, at: half) : networks.place(of: key, at: half)
    }

    // MARK: Patterns

    private func finding(of record: Account, _ account: AccountMark) -> ThreatFinding? {
        let measures = measures(of: record)
        if measures.networks >= settings.networks {
            return ThreatFinding(.distributed, .account(account), measures)
        }
        guard measures.failures >= settings.accountFailures else { return nil }
        return ThreatFinding(.singleAccount, .account(account), measures)
    }

    private func finding(of record: Network, _ network: IPNetwork) -> ThreatFinding? {
        let failed = record.failedAccounts.count
        guard failed >= settings.sprayingAccounts,
            record.failedAccounts.isFull || record.tries.sum <= failed * ThreatClassifier.fewTries,
            isAttack(record)
        else { return nil }
        return ThreatFinding(.spraying, .network(network), measures(of: record))
    }

    private func findingOfAll() -> ThreatFinding? {
        let (failed, networks) = (failedAccounts.count, failedNetworks.count)
        let tries = tries.current + tries.former
        let isFull = failedAccounts.isFull
        guard failed >= settings.stuffingAccounts, networks >= settings.networks,
            isFull || tries <= failed * ThreatClassifier.fewTries, isAttackOfAll
        else { return nil }
        // Few passwords for all, from many addresses, are sprayed.
        let pattern = isFull || tries <= failed * ThreatClassifier.fewestTries ? ThreatPattern.stuffing : .spraying
        return ThreatFinding(
            pattern, .everybody,
            ThreatMeasures(failures: failures.current + failures.former, accounts: failed, networks: networks))
    }

    private func success(of record: Account, _ account: AccountMark) -> ThreatFinding? {
        guard record.failures.sum >= settings.failuresBeforeSuccess else { return nil }
        return ThreatFinding(.successAfterFailures, .account(account), measures(of: record))
    }

    /// Of an address that speaks for many only when most of them do not mistype, but guess.
    /// Many failures of one account are a device with an old password, and say nothing of its neighbours.
    private func success(from record: Network, _ subject: ThreatSubject) -> ThreatFinding? {
        guard record.failures.sum >= settings.failuresBeforeSuccess else { return nil }
        let isAttack =
            record.tries.sum > 0
            ? record.failedAccounts.count >= settings.failuresBeforeSuccess && isAttack(record)
            : isAttack(record.failures.sum, beside: record.successes.sum)
        return isAttack ? ThreatFinding(.successAfterFailures, subject, measures(of: record)) : nil
    }

    /// Where there are more accounts than can be told apart, logins are held against each other instead; where only
    /// those that failed are too many, what is known of them is too little, and may do.
    private func isAttack(_ record: Network) -> Bool {
        let (failed, succeeded) = (record.failedAccounts, record.succeededAccounts)
        return !succeeded.isFull && isAttack(failed.count, beside: succeeded.count)
            || (succeeded.isFull || failed.isFull) && isAttack(record.failures.sum, beside: record.successes.sum)
    }

    private var isAttackOfAll: Bool {
        let (isFull, succeededIsFull) = (failedAccounts.isFull, succeededAccounts.isFull)
        return !succeededIsFull && isAttack(failedAccounts.count, beside: succeededAccounts.count)
            || (succeededIsFull || isFull)
                && isAttack(failures.current + failures.former, beside: successes.current + successes.former)
    }

    /// Each account counts once, so that nobody makes his failures a small part by many logins of his own account.
    private func isAttack(_ failed: Int, beside succeeded: Int) -> Bool {
        failed * 100 >= settings.failureRatio * (failed + succeeded)
    }

    private func measures(of record: Account) -> ThreatMeasures {
        ThreatMeasures(failures: record.failures.sum, accounts: 1, networks: record.networks.count)
    }

    private func measures(of record: Network) -> ThreatMeasures {
        ThreatMeasures(failures: record.failures.sum, accounts: record.failedAccounts.count, networks: 1)
    }

    // MARK: Time

    /// What counts now.
    package mutating func totals(at now: Instant) -> ThreatTotals {
        advance(to: now)
        var totals = ThreatTotals()
        totals.failures = failures.current + failures.former
        totals.successes = successes.current + successes.former
        totals.failedAccounts = failedAccounts.count
        totals.succeededAccounts = succeededAccounts.count
        totals.networks = failedNetworks.count
        totals.accountEvictions = accounts.evictions
        totals.networkEvictions = networks.evictions
        return totals
    }

    private mutating func advance(to now: Instant) {
        let current = now.nanoseconds / max(1, settings.window.nanoseconds / 2)
        guard current > half else { return }
        let isNext = current - 1 == half
        half = current
        failures = (0, isNext ? failures.current : 0)
        tries = (0, isNext ? tries.current : 0)
        successes = (0, isNext ? successes.current : 0)
        failedAccounts.turn(isNext: isNext)
        succeededAccounts.turn(isNext: isNext)
        failedNetworks.turn(isNext: isNext)
    }
}
