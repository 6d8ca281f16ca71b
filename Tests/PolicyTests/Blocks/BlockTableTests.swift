import TestSupport
import Testing
import Wire

@testable import Policy

private func network(_ text: String) -> IPNetwork { IPNetwork(text)! }
private func address(_ text: String) -> IPAddress { IPAddress(text)! }
private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

@Suite struct `The table of blocked addresses` {
    @Test func `matches nothing when it is empty`() {
        #expect(BlockTable().match(address("192.0.2.1"), at: at(0)) == nil)
    }

    @Test func `matches an address until its deadline and not at it`() {
        var table = BlockTable(seed: 1)
        table.apply(.set([BlockEntry(network: network("192.0.2.1"), deadline: at(300))]), at: at(0))
        #expect(
            table.match(address("192.0.2.1"), at: at(299))
                == BlockMatch(network: network("192.0.2.1"), deadline: at(300)))
        #expect(table.match(address("192.0.2.1"), at: at(300)) == nil)
        #expect(table.match(address("192.0.2.2"), at: at(0)) == nil)
    }

    @Test func `finds a v4 address that arrives in its v6 form`() {
        var table = BlockTable(seed: 1)
        table.apply(.set([BlockEntry(network: network("192.0.2.1"), deadline: .never)]), at: at(0))
        #expect(table.match(address("::ffff:192.0.2.1"), at: at(1_000_000))?.deadline == .never)
    }

    @Test func `matches networks of both families by their prefix`() {
        var table = BlockTable(seed: 1)
        table.apply(
            .set([
                BlockEntry(network: network("203.0.113.0/24"), deadline: .never),
                BlockEntry(network: network("2001:db8::/32"), deadline: .never),
            ]), at: at(0))
        #expect(table.match(address("203.0.113.255"), at: at(0))?.network == network("203.0.113.0/24"))
        #expect(table.match(address("203.0.114.0"), at: at(0)) == nil)
        #expect(table.match(address("2001:db8:ffff::1"), at: at(0))?.network == network("2001:db8::/32"))
        #expect(table.match(address("2001:db9::"), at: at(0)) == nil)
    }

    @Test func `does not block v4 clients by a v6 prefix that happens to hold their mapped form`() {
        var table = BlockTable(seed: 1)
        table.apply(.set([BlockEntry(network: network("::/0"), deadline: .never)]), at: at(0))
        #expect(table.match(address("2001:db8::1"), at: at(0)) != nil)
        #expect(table.match(address("192.0.2.1"), at: at(0)) == nil)
        table.apply(.set([BlockEntry(network: network("0.0.0.0/0"), deadline: .never)]), at: at(0))
        #expect(table.match(address("192.0.2.1"), at: at(0))?.network == network("0.0.0.0/0"))
    }

    @Test func `names the block that lasts longest when several match`() {
        var table = BlockTable(seed: 1)
        table.apply(
            .set([
                BlockEntry(network: network("192.0.2.1"), deadline: at(10)),
                BlockEntry(network: network("192.0.2.0/24"), deadline: at(20)),
            ]), at: at(0))
        #expect(table.match(address("192.0.2.1"), at: at(0))?.deadline == at(20))
        table.apply(.lift([network("192.0.2.0/24")]), at: at(0))
        #expect(table.match(address("192.0.2.1"), at: at(0))?.deadline == at(10))
    }

    @Test func `takes a new deadline, a lift, and a whole new set`() {
        var table = BlockTable(seed: 1)
        table.apply(.set([BlockEntry(network: network("192.0.2.1"), deadline: at(10))]), at: at(0))
        table.apply(.set([BlockEntry(network: network("192.0.2.1"), deadline: at(50))]), at: at(0))
        #expect(table.count == 1)
        #expect(table.match(address("192.0.2.1"), at: at(40)) != nil)
        table.apply(.lift([network("192.0.2.1"), network("192.0.2.99")]), at: at(0))
        #expect(table.match(address("192.0.2.1"), at: at(0)) == nil)
        table.apply(.set([BlockEntry(network: network("192.0.2.2"), deadline: at(50))]), at: at(0))
        table.apply(.replaceAll([BlockEntry(network: network("192.0.2.3"), deadline: at(50))]), at: at(0))
        #expect(table.match(address("192.0.2.2"), at: at(0)) == nil)
        #expect(table.match(address("192.0.2.3"), at: at(0)) != nil)
    }

    @Test func `forgets expired entries by sweeping a few slots at a time`() {
        var table = BlockTable(seed: 1)
        let entries = (0..<1_000).map {
            BlockEntry(network: IPNetwork(IPAddress(v4: UInt32($0))), deadline: $0 % 10 == 0 ? at(100) : at(10))
        }
        table.apply(.set(entries), at: at(0))
        #expect(table.count == 1_000)
        for _ in 0..<60 { table.sweep(at: at(50), budget: 64) }
        #expect(table.count == 100)
        let left = (0..<1_000).filter { table.match(IPAddress(v4: UInt32($0)), at: at(50)) != nil }
        #expect(left == Array(stride(from: 0, to: 1_000, by: 10)))
    }

    @Test(arguments: [UInt64(0), 1, .max, 0x5eed]) func `looks at few slots even for neighbours`(_ seed: UInt64) {
        var map = DeadlineMap(seed: seed)
        let ranges: [(Int) -> IPAddress] = [
            { IPAddress(v4: 0x0a00_0000 + UInt32($0)) },
            { IPAddress(v4: UInt32($0) << 16 | 1) },
            { IPAddress(high: 0x2001_0db8 << 32 + UInt64($0), low: 1) },
            { IPAddress(high: 0x2001_0db8 << 32, low: UInt64($0) << 32) },
        ]
        for range in ranges {
            for n in 0..<5_000 { map.set(range(n), .never, at: at(0)) }
        }
        let probes = ranges.flatMap { range in (0..<5_000).map { map.probes(for: range($0)) } }
        #expect(probes.reduce(0, +) < 20_000 * 3)
        #expect(probes.max()! < 100)
    }

    @Test(arguments: [UInt64(7), 8, 9]) func `agrees with a dictionary after thousands of random changes`(
        _ seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        var table = BlockTable(seed: seed)
        var model: [IPNetwork: Instant] = [:]
        for step in 0..<20_000 {
            let now = at(step / 100)
            let host = IPAddress(v4: UInt32(random.next() % 400))
            let target = random.next() % 5 == 0 ? IPNetwork(host, bits: 124) : IPNetwork(host)
            if random.next() % 3 == 0 {
                table.apply(.lift([target]), at: now)
                model[target] = nil
            } else {
                let deadline = now + .seconds(Int(random.next() % 40))
                table.apply(.set([BlockEntry(network: target, deadline: deadline)]), at: now)
                model[target] = deadline
            }
            table.sweep(at: now, budget: 3)
            let probe = IPAddress(v4: UInt32(random.next() % 400))
            let expected = [IPNetwork(probe), IPNetwork(probe, bits: 124)]
                .compactMap { model[$0] }.filter { $0 > now }.max()
            #expect(table.match(probe, at: now)?.deadline == expected)
        }
    }
}
