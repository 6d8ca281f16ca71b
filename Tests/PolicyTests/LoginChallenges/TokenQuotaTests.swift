import Testing
import Wire

@testable import Policy

@Suite struct `How often a provider is asked for one address` {
    private let one = IPNetwork(IPAddress("198.51.100.7")!)
    private let other = IPNetwork(IPAddress("198.51.100.8")!)
    private let start = Instant(nanoseconds: 0)

    @Test func `is four questions at a time`() {
        var quota = TokenQuota()
        for _ in 0..<4 {
            #expect(quota.allows(one, at: start))
            quota.asked(one)
        }
        #expect(!quota.allows(one, at: start) && quota.allows(other, at: start))
        quota.answered(one, isBad: false, at: start)
        #expect(quota.allows(one, at: start))
    }

    @Test func `is until ten tokens were not good, for ten minutes from the first one on`() {
        var quota = TokenQuota()
        for second in 0..<10 {
            let now = start + .seconds(second)
            #expect(quota.allows(one, at: now))
            quota.asked(one)
            quota.answered(one, isBad: true, at: now)
        }
        #expect(!quota.allows(one, at: start + .seconds(599)) && quota.allows(other, at: start + .seconds(599)))
        #expect(quota.allows(one, at: start + .seconds(600)))
        quota.forgetBad()
        #expect(quota.allows(one, at: start), "another provider is asked")
    }

    @Test func `counts what is open, and good ones not`() {
        var quota = TokenQuota()
        for number in 0..<100 {
            quota.asked(one)
            quota.answered(one, isBad: number < 8, at: start)
        }
        quota.asked(one)
        #expect(quota.allows(one, at: start))
        quota.asked(one)
        #expect(!quota.allows(one, at: start), "both may be bad")
    }

    @Test func `is remembered of so many`() {
        var quota = TokenQuota(half: 4)
        for number in 0..<100 {
            let subject = IPNetwork(IPAddress("192.0.2.\(number)")!)
            for _ in 0..<10 {
                quota.asked(subject)
                quota.answered(subject, isBad: true, at: start)
            }
            #expect(quota.count <= 8 && !quota.allows(subject, at: start))
        }
        #expect(quota.allows(IPNetwork(IPAddress("192.0.2.1")!), at: start))
    }
}
