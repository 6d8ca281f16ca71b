import Settings
import Testing
import Wire

@testable import Policy

private let bridge = IPNetwork("172.18.0.1")!
private let start = Instant(nanoseconds: 1_000_000_000_000)

/// The guard, so that what it says may be expected.
private final class Watch {
    private var state = CollapseGuard()

    /// What the last of these logins has shown.
    func loggedIn(
        _ accounts: Range<Int>, through network: IPNetwork = bridge, at now: Instant = start, _ needed: Int = 20
    ) -> Bool {
        var isShared = false
        for number in accounts {
            isShared = state.loggedIn(account(number), through: network, at: now, accounts: needed)
        }
        return isShared
    }

    func carriesNearlyAll(_ network: IPNetwork, at now: Instant, _ needed: Int = 20) -> Bool {
        state.carriesNearlyAll(network, at: now, accounts: needed)
    }
}

/// When an address is one that many people speak through.
@Suite struct `An address` {
    @Test func `is shared when it carries nearly everything and enough accounts have logged in through it`() {
        let watch = Watch()
        #expect(!watch.loggedIn(0..<19))
        #expect(!watch.carriesNearlyAll(bridge, at: start))
        #expect(!watch.loggedIn(0..<19), "they have been here before")
        #expect(watch.loggedIn(19..<20))
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(60)))
    }

    @Test func `is not shared for its traffic alone, however much that is`() {
        let watch = Watch()
        for minute in 0..<1_000 {
            #expect(!watch.carriesNearlyAll(bridge, at: start + .seconds(60 * minute)))
            // With one account, or with nineteen.
            #expect(!watch.loggedIn(0..<19, at: start + .seconds(60 * minute)))
        }
    }

    @Test func `is not shared for its logins alone`() {
        let watch = Watch()
        #expect(!watch.loggedIn(0..<500))
        #expect(!watch.carriesNearlyAll(IPNetwork("172.18.0.2")!, at: start), "that is another one")
    }

    @Test func `is not shared for what was long ago`() {
        let watch = Watch()
        _ = watch.loggedIn(0..<20)
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(3_599)))
        #expect(!watch.carriesNearlyAll(bridge, at: start + .seconds(3_600)))
        // Three minutes after it was seen to carry everything, that is not known any more.
        _ = watch.loggedIn(0..<19, at: start + .seconds(3_700))
        #expect(!watch.loggedIn(19..<20, at: start + .seconds(3_780)))
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(3_790)))
    }

    @Test func `is never shared where that is switched off`() {
        let watch = Watch()
        #expect(!watch.carriesNearlyAll(bridge, at: start, 0))
        #expect(!watch.loggedIn(1..<2, at: start, 0))
    }

    @Test func `that shows itself is not forgotten for others that come and go`() {
        let watch = Watch()
        _ = watch.loggedIn(0..<19, at: start)
        for number in 0..<200 {
            let other = IPNetwork(IPAddress(v4: 0x0a00_0000 + UInt32(number)))
            _ = watch.loggedIn(1..<2, through: other, at: start + .milliseconds(number))
            _ = watch.carriesNearlyAll(bridge, at: start + .milliseconds(number))
        }
        #expect(watch.loggedIn(19..<20, at: start + .seconds(1)))
    }
}

@Suite struct `The limit of a shared address` {
    private let address = IPAddress("172.18.0.1")!
    private var rule: LoginRule {
        var rule = LoginRule(limit: 5, window: .seconds(60), block: .seconds(60), exempt: [])
        rule.share([bridge], 100)
        return rule
    }

    @Test func `is higher, and holds`() {
        let key = rule.key(of: address, nil)!
        #expect(rule.limit(under: key) == 100)
        #expect(rule.verdict(on: address, under: key, count: 99) == .counted)
        #expect(rule.verdict(on: address, under: key, count: 100) == .block)
    }

    @Test func `is that of no other, and of no account`() {
        let other = IPAddress("172.18.0.2")!
        #expect(rule.limit(under: rule.key(of: other, nil)!) == 5)
        #expect(rule.verdict(on: other, under: rule.key(of: other, nil)!, count: 5) == .block)
        var pairs = LoginRule("accounts", by: .pair, limit: 3, window: .seconds(60), block: .seconds(60), exempt: [])
        pairs.share([bridge], 100)
        #expect(pairs.limit(under: pairs.key(of: address, account(1))!) == 3)
    }
}

@Suite struct `A shared address` {
    private let address = IPAddress("172.18.0.1")!

    @Test func `has those who name no account counted as one`() {
        for counting in [LoginRule.Counting.pair, .account] {
            for instead in [false, true] {
                var rule = LoginRule(
                    "mfa", by: counting, limit: 3, window: .seconds(60), block: .seconds(60), exempt: [])
                rule.countsAddressesInstead = instead
                rule.share([bridge], 100)
                let key = rule.key(of: address, nil)!
                #expect(key.description == "mfa@\(AccountMark.unnamed)@172.18.0.1")
                #expect(rule.limit(under: key) == 3, "as any account")
                #expect(rule.counts(key.subject))
                #expect(rule.key(of: address, .unnamed) == key, "and as that it comes back after a restart")
                #expect((rule.key(of: IPAddress("172.18.0.2")!, nil) != nil) == instead)
            }
        }
    }

    @Test func `is shared as long as anything counts under its limit`() {
        var configuration = House.configuration()
        configuration.login.window = .seconds(60)
        #expect(LoginRule.sharedLength(configuration) == .seconds(3_600))
        var slow = Configuration.Login.Rule(
            name: "slow", kind: .login, endpoints: [], failureStatuses: [401], limit: 5, window: .seconds(30 * 86_400),
            block: .seconds(60))
        configuration.login.rules = [slow]
        #expect(LoginRule.sharedLength(configuration) == .seconds(30 * 86_400))
        slow.kind = .reset
        configuration.login.rules = [slow]
        #expect(LoginRule.sharedLength(configuration) == .seconds(3_600), "that has no other limit")
    }

    @Test func `is named by what failures are counted by`() {
        let rule = LoginRule(limit: 5, window: .seconds(60), block: .seconds(60), exempt: [])
        #expect(rule.sharedNetwork(named: "172.18.0.1") == bridge)
        #expect(rule.sharedNetwork(named: "2001:db8:1:2::5")?.description == "2001:db8:1:2::/64")
        #expect(rule.sharedNetwork(named: "2001:db8:1:2::/64")?.description == "2001:db8:1:2::/64")
        for useless in ["172.18.0.0/16", "2001:db8::/32", "0.0.0.0/0", "x"] {
            #expect(rule.sharedNetwork(named: useless) == nil)
        }
    }
}

@Suite struct `A rule that counts accounts` {
    private func rule(_ counting: LoginRule.Counting) -> LoginRule {
        var rule = LoginRule("mfa", by: counting, limit: 5, window: .seconds(60), block: .seconds(60), exempt: [bridge])
        rule.countsAddressesInstead = true
        return rule
    }

    @Test func `counts the address of a login whose account nobody knows`() {
        let client = IPAddress("2001:db8:1:2::9")!
        let mark = account(9)
        #expect(rule(.account).key(of: client, mark)?.description == "mfa@\(mark)")
        #expect(rule(.pair).key(of: client, mark)?.description == "mfa@\(mark)@2001:db8:1:2::/64")
        for counting in [LoginRule.Counting.account, .pair] {
            let key = rule(counting).key(of: client, nil)
            #expect(key?.description == "mfa@2001:db8:1:2::/64")
            #expect(rule(counting).counts(key!.subject), "and an unblock of it forgets that")
            #expect(rule(counting).isExempt(IPAddress("172.18.0.1")!))
        }
        #expect(!rule(.pair).counts(BlockSubject(BlockSubject.everywhere, account: mark)))
        #expect(!rule(.account).counts(BlockSubject(bridge, account: mark)))
    }
}
