import Testing
import Wire

@testable import Policy

private let bridge = IPNetwork("172.18.0.1")!
private let start = Instant(nanoseconds: 1_000_000_000_000)
private func account(_ number: Int) -> AccountMark { AccountMark(high: 7, low: UInt64(number)) }

/// When an address is one that many people speak through.
@Suite struct `An address` {
    private func loggedIn(
        _ watch: inout CollapseGuard, _ accounts: Range<Int>, through network: IPNetwork = bridge, at now: Instant = start
    ) -> Bool {
        var isShared = false
        for number in accounts { isShared = watch.loggedIn(account(number), through: network, at: now, accounts: 20) }
        return isShared
    }

    @Test func `is shared when it carries nearly everything and enough accounts have logged in through it`() {
        var watch = CollapseGuard()
        #expect(!loggedIn(&watch, 0..<19))
        #expect(!watch.carriesNearlyAll(bridge, at: start, accounts: 20))
        #expect(!loggedIn(&watch, 0..<19), "they have been here before")
        #expect(loggedIn(&watch, 19..<20))
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(60), accounts: 20))
    }

    @Test func `is not shared for its traffic alone, however much that is`() {
        var watch = CollapseGuard()
        for minute in 0..<1_000 {
            #expect(!watch.carriesNearlyAll(bridge, at: start + .seconds(60 * minute), accounts: 20))
            // With one account, or with nineteen.
            #expect(!loggedIn(&watch, 0..<19, at: start + .seconds(60 * minute)))
        }
    }

    @Test func `is not shared for its logins alone`() {
        var watch = CollapseGuard()
        #expect(!loggedIn(&watch, 0..<500))
        #expect(!watch.carriesNearlyAll(IPNetwork("172.18.0.2")!, at: start, accounts: 20), "that is another one")
    }

    @Test func `is not shared for what was long ago`() {
        var watch = CollapseGuard()
        _ = loggedIn(&watch, 0..<20)
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(3_599), accounts: 20))
        #expect(!watch.carriesNearlyAll(bridge, at: start + .seconds(3_600), accounts: 20))
        // Three minutes after it was seen to carry everything, that is not known any more.
        _ = loggedIn(&watch, 0..<19, at: start + .seconds(3_700))
        #expect(!loggedIn(&watch, 19..<20, at: start + .seconds(3_780)))
        #expect(watch.carriesNearlyAll(bridge, at: start + .seconds(3_790), accounts: 20))
    }

    @Test func `is never shared where that is switched off`() {
        var watch = CollapseGuard()
        #expect(!watch.carriesNearlyAll(bridge, at: start, accounts: 0))
        #expect(!watch.loggedIn(account(1), through: bridge, at: start, accounts: 0))
    }

    @Test func `that shows itself is not forgotten for others that come and go`() {
        var watch = CollapseGuard()
        _ = loggedIn(&watch, 0..<19, at: start)
        for number in 0..<200 {
            let other = IPNetwork(IPAddress(v4: 0x0a00_0000 + UInt32(number)))
            _ = watch.loggedIn(account(1), through: other, at: start + .milliseconds(number), accounts: 20)
            _ = watch.carriesNearlyAll(bridge, at: start + .milliseconds(number), accounts: 20)
        }
        #expect(loggedIn(&watch, 19..<20, at: start + .seconds(1)))
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
