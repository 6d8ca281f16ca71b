import Policy
import Testing
import Wire

private let client = IPAddress("198.51.100.7")!
private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }
private func id(_ number: UInt64) -> FailureID { FailureID(high: 0, low: number) }
private func key(_ number: Int) -> LoginKey { LoginKey(IPNetwork(IPAddress(v4: UInt32(number)))) }

@Suite struct `The rule for failed logins` {
    let rule = LoginRule(
        limit: 5, window: .seconds(86_400), block: .seconds(300), exempt: [IPNetwork("10.0.0.0/8")!])

    @Test func `blocks at the limit and at every count above it`() {
        #expect(rule.verdict(on: client, count: 4) == .counted)
        #expect(rule.verdict(on: client, count: 5) == .block)
        #expect(rule.verdict(on: client, count: 6) == .block)
    }

    @Test func `never blocks an exempt address, however often it fails`() {
        #expect(rule.verdict(on: IPAddress("10.1.2.3")!, count: 500) == .exempt)
    }

    @Test func `blocks loopback unless it is exempt`() {
        #expect(rule.verdict(on: IPAddress("127.0.0.1")!, count: 5) == .block)
        let trusting = LoginRule(
            limit: 5, window: .seconds(1), block: .seconds(1), exempt: [IPNetwork("127.0.0.0/8")!])
        #expect(trusting.verdict(on: IPAddress("127.0.0.1")!, count: 5) == .exempt)
    }
}

@Suite struct `Failures are counted for` {
    private func subject(_ text: String, prefix: Int = 64, exempt: String...) -> String {
        let rule = LoginRule(
            limit: 5, window: .seconds(1), block: .seconds(1), exempt: exempt.map { IPNetwork($0)! },
            ipv6Prefix: prefix)
        return rule.subject(of: IPAddress(text)!).description
    }

    @Test func `an IPv4 address by itself, however it is written`() {
        #expect(subject("198.51.100.7") == "198.51.100.7")
        #expect(subject("::ffff:198.51.100.7", prefix: 32) == "198.51.100.7")
    }

    @Test func `the prefix of an IPv6 address, because its host may take any address of it`() {
        #expect(subject("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64")
        #expect(subject("2001:db8:1:2:3:4:5:6", prefix: 56) == "2001:db8:1::/56")
        #expect(subject("2001:db8:1:2:3:4:5:6", prefix: 128) == "2001:db8:1:2:3:4:5:6")
        #expect(subject("fd00:1:2:3::9") == "fd00:1:2:3::/64")
    }

    @Test func `an IPv6 address by itself where its prefix is many people's`() {
        #expect(subject("::1") == "::1")
        #expect(subject("fe80::1234") == "fe80::1234")
        #expect(subject("64:ff9b::198.51.100.7") == "64:ff9b::c633:6407")
    }

    @Test func `an exempt address by itself, so that it does not use up what its neighbours may have`() {
        #expect(subject("2001:db8:1:2::7", exempt: "2001:db8:1:2::7") == "2001:db8:1:2::7")
        #expect(subject("2001:db8:1:2::8", exempt: "2001:db8:1:2::7") == "2001:db8:1:2::/64")
    }
}

@Suite struct `Failure counters in memory` {
    private let client = LoginKey("login@198.51.100.7")!

    @Test func `count within a window that begins with the first failure`() {
        var counters = FailureCounters()
        let first = counters.record(id(1), of: client, window: .seconds(60), at: at(0))
        #expect(first == FailureCounters.Counter(count: 1, deadline: at(60)))
        let second = counters.record(id(2), of: client, window: .seconds(60), at: at(59))
        #expect(second == FailureCounters.Counter(count: 2, deadline: at(60)))
        let later = counters.record(id(3), of: client, window: .seconds(60), at: at(60))
        #expect(later == FailureCounters.Counter(count: 1, deadline: at(120)))
    }

    @Test func `count a failure once that is told twice`() {
        var counters = FailureCounters()
        _ = counters.record(id(1), of: client, window: .seconds(60), at: at(0))
        #expect(counters.record(id(1), of: client, window: .seconds(60), at: at(1)).count == 1)
        #expect(counters.record(id(2), of: client, window: .seconds(60), at: at(1)).count == 2)
    }

    @Test func `end with the block once they were given its deadline`() {
        var counters = FailureCounters()
        for n in 1...5 { _ = counters.record(id(UInt64(n)), of: client, window: .seconds(86_400), at: at(0)) }
        counters.expire(client, at: at(300))
        #expect(counters.counter(of: client, at: at(299))?.count == 5)
        #expect(counters.counter(of: client, at: at(300)) == nil)
        #expect(counters.record(id(6), of: client, window: .seconds(60), at: at(300)).count == 1)
    }

    @Test func `forget the oldest windows rather than grow without bound`() {
        var counters = FailureCounters(capacity: 100)
        for n in 0..<1_000 {
            _ = counters.record(
                id(UInt64(n)), of: key(n), window: .seconds(60), at: at(n / 100))
        }
        #expect(counters.count == 100)
        #expect(counters.counter(of: key(999), at: at(10))?.count == 1)
        #expect(counters.counter(of: key(0), at: at(10)) == nil)
    }

    @Test func `of one rule do not have those of others forgotten`() {
        var counters = FailureCounters(capacity: 100)
        let short = LoginKey(rule: "mfa", key(7).subject)
        _ = counters.record(id(5_000), of: short, window: .seconds(60), at: at(0))
        for n in 0..<1_000 { _ = counters.record(id(UInt64(n)), of: key(n), window: .seconds(86_400), at: at(0)) }
        #expect(counters.record(id(5_001), of: short, window: .seconds(60), at: at(1)).count == 2)
        #expect(counters.count == 100)
        counters.expire(at: at(60))
        #expect(counters.count == 99 && Set(counters.keys).count == 99)
        counters.clear(counters.keys[0])
        #expect(counters.count == 98)
    }
}

@Suite struct `A failure id` {
    @Test func `is written as 32 hexadecimal digits`() {
        #expect(FailureID(high: 1, low: 0xab).description == "000000000000000100000000000000ab")
    }

    @Test func `is another one for each rule, and its own for the plain one`() {
        let login = id(7)
        #expect(login.counted(by: "login") == login)
        #expect(login.counted(by: "mfa") != login && login.counted(by: "mfa") == login.counted(by: "mfa"))
        #expect(login.counted(by: "mfa") != login.counted(by: "reset"))
    }
}
