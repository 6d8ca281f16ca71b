import Settings
import Testing
import Wire

@testable import Policy

@Suite struct `A feed` {
    private func read(
        _ text: String, sparing: String..., after former: Int? = nil
    ) -> Result<FeedTable, FeedProblem> {
        FeedReader.read(Array(text.utf8), name: "bad", sparing: sparing.map { IPNetwork($0)! }, after: former)
    }

    private func problem(_ text: String, after former: Int? = nil) -> String? {
        if case .failure(let problem) = read(text, after: former) { problem.description } else { nil }
    }

    private func contains(_ table: FeedTable, _ address: String) -> Bool { table.contains(IPAddress(address)!) }

    @Test func `holds the addresses and networks of its lines, whatever comments say`() throws {
        let table = try read(
            """
            ; Spam, 2026-11-29
            203.0.113.0/24 ; SBL1
            198.51.100.7#one
            \t 2001:db8:7::/48\r
            # 10.0.0.1

            2001:db8::9
            """
        ).get()
        #expect(table.count == 4)
        for one in ["203.0.113.0", "203.0.113.255", "198.51.100.7", "2001:db8:7:ffff::1", "2001:db8::9"] {
            #expect(contains(table, one), "\(one)")
        }
        for one in ["203.0.112.255", "203.0.114.0", "198.51.100.6", "198.51.100.8", "10.0.0.1", "2001:db8:8::", "::1"] {
            #expect(!contains(table, one), "\(one)")
        }
    }

    @Test func `finds what overlaps, touches, and begins in another sixteenth`() throws {
        let table = try read("10.0.0.0/8\n10.1.0.0/16\n11.0.0.0/9\n11.128.0.0/9\n9.255.255.255\n").get()
        for one in ["9.255.255.255", "10.0.0.0", "10.200.1.1", "11.0.0.0", "11.255.255.255"] {
            #expect(contains(table, one), "\(one)")
        }
        #expect(!contains(table, "9.255.255.254"))
        #expect(!contains(table, "12.0.0.0"))
        #expect(!contains(table, "2001:db8::"))
    }

    @Test func `holds the first and the last addresses there are`() throws {
        let table = try read("0.0.0.0\n255.255.255.255\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n").get()
        #expect(contains(table, "0.0.0.0") && contains(table, "255.255.255.255"))
        #expect(!contains(table, "0.0.0.1") && !contains(table, "255.255.255.254"))
        #expect(contains(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
    }

    @Test func `agrees with a plain search for a thousand networks`() throws {
        var networks: [IPNetwork] = []
        var word: UInt32 = 1
        func next() -> UInt32 {
            word = word &* 1_664_525 &+ 1_013_904_223
            return word
        }
        for _ in 0..<1_000 { networks.append(IPNetwork(IPAddress(v4: next()), bits: 112 + Int(next() >> 28))) }
        let table = try read(networks.map(\.description).joined(separator: "\n")).get()
        for network in networks {
            for address in [network.base.v4!, network.base.v4! &- 1, next()].map({ IPAddress(v4: $0) }) {
                #expect(table.contains(address) == networks.contains { $0.contains(address) }, "\(address)")
            }
        }
    }

    @Test(arguments: [
        ("1.2.3.4\n<html>\n", "line 2, column 1: \"<html>\" is no address or network"),
        ("1.2.3.4\n1.2.3", "line 2, column 1: \"1.2.3\" is no address or network"),
        ("10.1.2.3/8", "line 1, column 1: \"10.1.2.3/8\" is no address or network"),
        ("  1.2.3.4/33", "line 1, column 3: \"1.2.3.4/33\" is no address or network"),
        ("1.2.3.4 5.6.7.8", "line 1, column 1: \"1.2.3.4 5.6.7.8\" is no address or network"),
        ("\u{1b}[2J", "line 1, column 1: \"?[2J\" is no address or network"),
        ("#\n0.0.0.0/0", "line 2, column 1: 0.0.0.0/0 is too wide: at most an IPv4 /8 or an IPv6 /16"),
        ("10.0.0.0/7", "line 1, column 1: 10.0.0.0/7 is too wide: at most an IPv4 /8 or an IPv6 /16"),
        ("::/0", "line 1, column 1: ::/0 is too wide: at most an IPv4 /8 or an IPv6 /16"),
        ("::/16", "line 1, column 1: ::/16 is too wide: at most an IPv4 /8 or an IPv6 /16"),
        ("::ffff:0:0/96", "line 1, column 1: 0.0.0.0/0 is too wide: at most an IPv4 /8 or an IPv6 /16"),
        ("", "it names no address"), ("# later\n", "it names no address"),
    ]) func `is refused as a whole, with the line`(_ text: String, _ reason: String) {
        #expect(problem(text) == reason)
    }

    @Test func `is refused when all of it is too much`() {
        let wide = (1...33).map { "\($0).0.0.0/8" }.joined(separator: "\n")
        #expect(problem(wide) == "it would block more than an eighth of all addresses")
        #expect(problem((1...32).map { "\($0).0.0.0/8" }.joined(separator: "\n")) == nil)
    }

    @Test func `is refused as it comes from a compressor`() {
        let packed = FeedReader.read([0x1f, 0x8b, 8, 0, 0], name: "bad", sparing: [])
        #expect(packed == .failure(FeedProblem("it is compressed (gzip)")))
    }

    @Test func `is taken where it names somebody who is never blocked, and says how often`() throws {
        let text = "192.0.2.7\n192.0.0.0/8\n198.51.100.0/24\n"
        let table = try read(text, sparing: "192.0.2.0/24", "198.51.100.7", "203.0.113.9").get()
        #expect(table.count == 3)
        #expect(table.spared == 3)
        #expect(try read(text).get().spared == 0)
    }

    @Test func `is refused when less than half is left of a long one`() {
        let hundred = (0..<100).map { "192.0.2.\($0)\n" }.joined()
        #expect(
            problem("192.0.2.1", after: 100)
                == "it has 1 entries where 100 were; if that is right, update it with --may-shrink")
        #expect(problem("192.0.2.1", after: 99) == nil, "a short one may")
        #expect(problem("192.0.2.1") == nil, "and one of which nothing is known, or that may be of any size")
        #expect(problem(hundred, after: 200) == nil)
        #expect(
            problem(hundred, after: 202)
                == "it has 100 entries where 202 were; if that is right, update it with --may-shrink")
        #expect(problem(hundred, after: 1) == nil)
    }

    @Test func `holds an IPv4 client behind a translator`() throws {
        let table = try read("203.0.113.7\n").get()
        #expect(contains(table, "64:ff9b::203.0.113.7"))
        #expect(!contains(table, "64:ff9b::203.0.113.8"))
        #expect(!contains(table, "64:ff9b:1::203.0.113.7"))
        #expect(contains(try read("64:ff9b::203.0.113.7").get(), "64:ff9b::203.0.113.7"))
    }

    /// A list that looks random, with every mistake a byte can make: it is refused, or each line that is taken means what
    /// `IPNetwork` reads.
    @Test func `agrees with the reader of settings on whatever a line is`() throws {
        var word: UInt32 = 7
        func next(_ below: Int) -> Int {
            word = word &* 1_664_525 &+ 1_013_904_223
            return Int(word >> 8) % below
        }
        let alphabet = Array("0123456789abcdf:./ ".utf8)
        for seed in ["203.0.113.7", "203.0.113.0/24", "2001:db8::/32", "::ffff:1.2.3.0/120", "1:2:3:4:5:6:7:8"] {
            for _ in 0..<2_000 {
                var line = Array(seed.utf8)
                for _ in 0...next(2) { line[next(line.count)] = alphabet[next(alphabet.count)] }
                let text = String(decoding: line, as: UTF8.self)
                let trimmed = text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
                let wanted = IPNetwork(String(trimmed))
                guard let table = try? read(text).get() else {
                    #expect(wanted == nil || wanted!.isWider(thanV4: 8, v6: 16), "\(text)")
                    continue
                }
                #expect(wanted.map { table.contains($0.base) } == true, "\(text)")
            }
        }
    }
}

@Suite struct `Feeds` {
    private let now = Instant(nanoseconds: 0)

    private func table(_ text: String, _ name: String) throws -> FeedTable {
        try FeedReader.read(Array(text.utf8), name: name, sparing: []).get()
    }

    private func gatekeeper() throws -> Gatekeeper {
        var configuration = House.configuration()
        configuration.trustedProxies = [IPNetwork("203.0.113.9")!]
        configuration.neverBlock = [IPNetwork("198.51.100.99")!]
        let gatekeeper = Gatekeeper(House.rules(configuration))
        gatekeeper.feeds = FeedPlan(
            blocking: [try table("198.51.100.0/24", "drop"), try table("203.0.113.0/24", "tor")],
            observing: [try table("198.51.100.77\n233.252.0.0/24\n203.0.113.9", "new")])
        return gatekeeper
    }

    private func address(_ text: String) -> IPAddress { IPAddress(text)! }

    @Test func `block whom they name, and name the list`() throws {
        let gatekeeper = try gatekeeper()
        #expect(gatekeeper.isBlocked(address("198.51.100.77"), at: now))
        #expect(gatekeeper.feed(holding: address("198.51.100.77")) == "drop")
        #expect(gatekeeper.feed(holding: address("203.0.113.200")) == "tor")
        #expect(!gatekeeper.isBlocked(address("192.0.2.1"), at: now))
        #expect(gatekeeper.blocksAnybody)
        gatekeeper.feeds = FeedPlan()
        #expect(!gatekeeper.blocksAnybody && !gatekeeper.hasFeeds)
        #expect(!gatekeeper.isBlocked(address("198.51.100.77"), at: now))
    }

    @Test func `that are only looked at block nobody`() throws {
        let gatekeeper = try gatekeeper()
        #expect(!gatekeeper.isBlocked(address("233.252.0.1"), at: now))
        #expect(gatekeeper.feed(observing: address("233.252.0.1"), at: now) == "new")
        #expect(gatekeeper.feed(observing: address("192.0.2.1"), at: now) == nil)
        gatekeeper.feeds = FeedPlan(observing: gatekeeper.feeds.observing)
        #expect(!gatekeeper.blocksAnybody && gatekeeper.hasFeeds)
    }

    @Test func `give way to never_block, trusted proxies and allowances`() throws {
        let gatekeeper = try gatekeeper()
        #expect(!gatekeeper.isBlocked(address("198.51.100.99"), at: now), "never_block")
        #expect(!gatekeeper.isBlocked(address("203.0.113.9"), at: now), "a trusted proxy")
        #expect(gatekeeper.feed(observing: address("203.0.113.9"), at: now) == nil, "of whom nobody would be told")
        gatekeeper.allowances.apply(
            .set([BlockEntry(network: IPNetwork("203.0.113.128/25")!, deadline: now + .seconds(1))]), at: now)
        #expect(!gatekeeper.isBlocked(address("203.0.113.200"), at: now))
        #expect(gatekeeper.isBlocked(address("203.0.113.200"), at: now + .seconds(2)))
    }
}
