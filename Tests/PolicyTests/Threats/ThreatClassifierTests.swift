import Settings
import Testing
import Wire

@testable import Policy

/// Logins of people and machines that a test makes up. The same seed gives the same.
struct LoginTraffic {
    var classifier: ThreatClassifier
    var now = Instant(nanoseconds: 1_000_000_000_000)
    private var dice: UInt64 = 88_172_645_463_325_252
    private(set) var findings: [ThreatFinding] = []

    init(_ change: (inout Configuration.Threats) -> Void = { _ in }) {
        var settings = Configuration.Threats()
        change(&settings)
        classifier = ThreatClassifier(settings, seed: 7)
    }

    /// Xorshift: 0 to 2^64 - 1.
    mutating func roll() -> UInt64 {
        dice ^= dice << 13
        dice ^= dice >> 7
        dice ^= dice << 17
        return dice
    }

    mutating func fail(_ address: IPAddress, _ account: AccountMark?) {
        findings += classifier.failed(from: IPNetwork(address), account, at: now)
    }

    mutating func succeed(_ address: IPAddress, _ account: AccountMark?, isSpared: Bool = false) {
        findings += classifier.succeeded(from: IPNetwork(address), account, isSpared: isSpared, at: now)
    }

    mutating func pass(_ time: Interval) { now = now + time }

    var patterns: Set<ThreatPattern> { Set(findings.map(\.pattern)) }

    func first(_ pattern: ThreatPattern) -> ThreatFinding? { findings.first { $0.pattern == pattern } }
}

/// As the HMAC of a name would be: any 128 bits.
func account(_ number: Int) -> AccountMark {
    let word = UInt64(bitPattern: Int64(number))
    return AccountMark(high: ThreatKey.spread(word), low: ThreatKey.spread(word ^ 0xabcd))
}

func host(_ number: Int) -> IPAddress { IPAddress(v4: 0x0a00_0000 + UInt32(number)) }

@Suite struct `A pattern of failed logins` {
    @Test func `of one account from one address is that of a guesser`() {
        var traffic = LoginTraffic()
        for _ in 0..<9 { traffic.fail(host(1), account(1)) }
        #expect(traffic.findings.isEmpty)
        traffic.fail(host(2), account(1))
        #expect(
            traffic.findings == [
                ThreatFinding(
                    .singleAccount, .account(account(1)), ThreatMeasures(failures: 10, accounts: 1, networks: 2))
            ])
    }

    @Test func `of one account from many addresses is distributed`() {
        var traffic = LoginTraffic()
        for number in 0..<13 { traffic.fail(host(number), account(1)) }
        #expect(traffic.patterns.contains(.distributed))
        #expect(traffic.first(.distributed)?.subject == .account(account(1)))
        // Estimates: within two of ten.
        #expect((10...15).contains(traffic.first(.distributed)?.measures.networks ?? 0))
    }

    @Test func `of many accounts from one address is spraying`() {
        var traffic = LoginTraffic()
        for number in 0..<8 { traffic.fail(host(1), account(number)) }
        #expect(traffic.findings.isEmpty)
        for number in 8..<13 { traffic.fail(host(1), account(number)) }
        #expect(traffic.patterns == [.spraying])
        #expect(traffic.first(.spraying)?.subject == .network(IPNetwork(host(1))))
    }

    @Test func `of many accounts with many tries each is no spraying`() {
        var traffic = LoginTraffic { $0.accountFailures = 60_000 }
        for number in 0..<20 { for _ in 0..<20 { traffic.fail(host(1), account(number)) } }
        #expect(traffic.findings.isEmpty)
    }

    @Test func `of many accounts from many addresses, once each, is stuffing`() {
        var traffic = LoginTraffic()
        for number in 0..<60 { traffic.fail(host(number % 20), account(number)) }
        #expect(traffic.patterns == [.stuffing])
        #expect(traffic.first(.stuffing)?.subject == .everybody)
    }

    @Test func `of many accounts from many addresses, a few times each, is spraying by all`() {
        var traffic = LoginTraffic()
        for round in 0..<4 { for number in 0..<60 { traffic.fail(host(number + 100 * round), account(number)) } }
        #expect(traffic.findings.contains { $0.pattern == .spraying && $0.subject == .everybody })
    }

    @Test func `ends with a success that is told`() {
        var traffic = LoginTraffic()
        for _ in 0..<4 { traffic.fail(host(1), account(1)) }
        traffic.succeed(host(1), account(1))
        #expect(traffic.findings.isEmpty)
        traffic.fail(host(2), account(1))
        traffic.succeed(host(3), account(1))
        #expect(traffic.first(.successAfterFailures)?.subject == .account(account(1)))
        #expect(traffic.first(.successAfterFailures)?.measures.failures == 5)
        #expect(traffic.first(.successAfterFailures)?.isFromFailing == false, "it may be the owner's")
        traffic.succeed(host(2), account(1))
        #expect(traffic.findings.last?.isFromFailing == true)
    }

    @Test func `ends with a success of another account from the same address`() {
        var traffic = LoginTraffic()
        for number in 0..<7 { traffic.fail(host(1), account(number)) }
        for number in 20..<23 { traffic.succeed(host(1), account(number)) }
        #expect(traffic.findings.map(\.subject) == (20..<23).map { .account(account($0)) }, "each that is lost")
        #expect(traffic.patterns == [.successAfterFailures])
        #expect(traffic.findings.allSatisfy { $0.isFromFailing && $0.measures.failures == 7 })
    }

    @Test func `is not silenced by one name that is tried very often`() {
        var traffic = LoginTraffic()
        for _ in 0..<5_000 { traffic.fail(host(1), account(-1)) }
        for number in 0..<13 { traffic.fail(host(1), account(number)) }
        #expect(traffic.findings.contains { $0.pattern == .spraying })
        for number in 0..<60 { traffic.fail(host(number % 20), account(number)) }
        #expect(traffic.findings.contains { $0.pattern == .stuffing && $0.subject == .everybody })
    }

    @Test func `of more accounts than can be told apart is still one`() {
        var traffic = LoginTraffic { $0.networks = 150 }
        for number in 0..<20_000 {
            traffic.fail(host(1), account(number))
            if number % 100 == 0 { traffic.succeed(host(1), account(-number)) }
        }
        #expect(traffic.findings.last?.subject == .network(IPNetwork(host(1))))
    }

    /// 5 failures set the lock of the account, and the block of the address.
    @Test func `of a guesser who waits until locks are over is seen with the settings as they are`() {
        let lock = Configuration.Accounts(members: ["name"], secret: Secret([])).lock
        for start in stride(from: 0, to: 4_500, by: 61) {
            var traffic = LoginTraffic()
            traffic.pass(.seconds(start))
            for _ in 0..<5 { traffic.fail(host(1), account(1)) }
            #expect(traffic.findings.isEmpty)
            traffic.pass(lock + .seconds(1))
            var lucky = traffic
            lucky.succeed(host(1), account(1))
            #expect(lucky.patterns == [.successAfterFailures], "from \(start) on")
            for _ in 0..<5 { traffic.fail(host(1), account(1)) }
            #expect(traffic.patterns == [.singleAccount], "from \(start) on")
        }
    }

    @Test func `is not washed away by successes of one account`() {
        var traffic = LoginTraffic()
        for number in 0..<13 {
            for _ in 0..<20 { traffic.succeed(host(1), account(-1)) }
            traffic.fail(host(1), account(number))
        }
        #expect(traffic.patterns.contains(.spraying))
    }

    @Test func `is forgotten when its window is over`() {
        var traffic = LoginTraffic()
        for _ in 0..<6 { traffic.fail(host(1), account(1)) }
        traffic.pass(.seconds(4_500))
        for _ in 0..<6 { traffic.fail(host(1), account(1)) }
        #expect(traffic.findings.isEmpty)
        #expect(traffic.classifier.totals(at: traffic.now).failures == 6)
        traffic.pass(.seconds(2_250))
        #expect(traffic.classifier.totals(at: traffic.now).failures == 6, "at least half of the window")
        traffic.pass(.seconds(2_250))
        #expect(traffic.classifier.totals(at: traffic.now).failures == 0)
        #expect(traffic.classifier.totals(at: traffic.now).failedAccounts == 0)
    }

    @Test func `is found within half a window, whenever it begins`() {
        for start in stride(from: 0, to: 4_500, by: 187) {
            var traffic = LoginTraffic()
            traffic.pass(.seconds(start))
            for _ in 0..<10 {
                traffic.fail(host(1), account(1))
                traffic.pass(.seconds(220))
            }
            #expect(traffic.patterns == [.singleAccount], "from \(start) on")
        }
    }

    @Test func `of unknown accounts is told only when somebody succeeds`() {
        var traffic = LoginTraffic()
        for number in 0..<200 { traffic.fail(host(number % 30), nil) }
        #expect(traffic.findings.isEmpty)
        traffic.succeed(host(3), nil)
        #expect(traffic.findings.map(\.subject) == [.network(IPNetwork(host(3)))])
        #expect(traffic.findings.first?.isFromFailing == true)
    }

    @Test func `with other thresholds holds at once, and with another window begins anew`() {
        var traffic = LoginTraffic()
        for _ in 0..<6 { traffic.fail(host(1), account(1)) }
        var settings = Configuration.Threats()
        settings.accountFailures = 7
        traffic.classifier.adopt(settings)
        traffic.fail(host(1), account(1))
        #expect(traffic.patterns == [.singleAccount])
        settings.window = .seconds(60)
        traffic.classifier.adopt(settings)
        #expect(traffic.classifier.totals(at: traffic.now) == ThreatTotals())
    }
}

@Suite struct `Ordinary logins` {
    @Test func `of 500 users behind one address who mistype 3 of 100 are no attack`() {
        var traffic = LoginTraffic()
        // A day: each logs in eight times, and who mistypes tries again until it is right.
        for _ in 0..<4_000 {
            let user = account(Int(traffic.roll() % 500))
            while traffic.roll() % 100 < 3 { traffic.fail(host(1), user) }
            traffic.succeed(host(1), user)
            traffic.pass(.milliseconds(21_600))
        }
        #expect(traffic.findings.isEmpty)
    }

    @Test func `of the same who all come at nine are none`() {
        var traffic = LoginTraffic()
        for number in 0..<500 {
            while traffic.roll() % 100 < 3 { traffic.fail(host(1), account(number)) }
            traffic.succeed(host(1), account(number))
            traffic.pass(.seconds(1))
        }
        #expect(traffic.findings.isEmpty)
    }

    @Test func `of 20,000 users from as many addresses, of which 5 of 100 fail, are none`() {
        var traffic = LoginTraffic()
        for number in 0..<20_000 {
            if traffic.roll() % 100 < 5 { traffic.fail(host(number), account(number)) }
            traffic.succeed(host(number), account(number))
            traffic.pass(.milliseconds(40))
        }
        #expect(traffic.findings.isEmpty)
    }
}

@Suite struct `A neighbour of somebody who fails` {
    @Test func `is not told of because a device tries an old password`() {
        var traffic = LoginTraffic { $0.accountFailures = 60_000 }
        for _ in 0..<200 { traffic.fail(host(1), account(1)) }
        for number in 2..<5 { traffic.succeed(host(1), account(number)) }
        #expect(traffic.findings.isEmpty)
    }

    @Test func `is not told of behind an address that speaks for many`() {
        var traffic = LoginTraffic()
        for _ in 0..<40 { traffic.fail(host(1), nil) }
        traffic.succeed(host(1), nil, isSpared: true)
        #expect(traffic.findings.isEmpty)
    }
}

@Suite struct `The memory for failed logins` {
    @Test func `is as large as the page says`() throws {
        #expect(ThreatClassifier.memoryBytes < 3_000_000)
        let page = try repositoryText("docs/threats.md", from: #filePath.replacing("/Threats/", with: "/"))
        let size = String(ThreatClassifier.memoryBytes >> 10)
        #expect(page.contains("\(size.dropLast(3)),\(size.suffix(3)) KiB"), "\(size) KiB")
    }

    @Test func `stays so when a million accounts are made up, and an attack is found beside them`() {
        var traffic = LoginTraffic { $0.failureRatio = 100 }
        // One success: no ratio of 100.
        traffic.succeed(host(-1 & 0xffff), account(-1))
        for number in 0..<1_000_000 {
            traffic.fail(host(number), account(number))
            // Ten times among them.
            if number < 200, number % 20 == 0 { traffic.fail(host(9_999_999), account(-7)) }
        }
        #expect(traffic.patterns == [.singleAccount])
        #expect(traffic.first(.singleAccount)?.subject == .account(account(-7)))
        let totals = traffic.classifier.totals(at: traffic.now)
        #expect(totals.failures == 1_000_010)
        #expect(totals.accountEvictions > 900_000 && totals.networkEvictions > 900_000)
        // The target has more failures than what was made up, and is still known.
        traffic.fail(host(9_999_999), account(-7))
        #expect(traffic.findings.last?.measures.failures == 11)
    }

    @Test func `is no hiding place in a flood of a million names`() {
        var traffic = LoginTraffic()
        var last: [ThreatFinding] = []
        for number in 0..<1_000_000 {
            last = traffic.classifier.failed(from: IPNetwork(host(number)), account(number), at: traffic.now)
        }
        #expect(last.map(\.subject) == [.everybody])
        for number in 0..<100 {
            _ = traffic.classifier.succeeded(from: IPNetwork(host(number)), account(-number), at: traffic.now)
        }
        last = traffic.classifier.failed(from: IPNetwork(host(1)), account(1), at: traffic.now)
        #expect(last.contains { $0.subject == .everybody })
    }

    @Test func `keeps who is attacked slowly when it is full of made-up names`() {
        var traffic = LoginTraffic {
            $0.stuffingAccounts = 20_000; $0.failureRatio = 100
        }
        traffic.succeed(host(70_000), account(-1))
        for number in 0..<160_000 {
            traffic.fail(host(number % 1_000), account(number))
            if number >= 100_000, number % 4_000 == 0 { traffic.fail(host(9_999_999), account(-7)) }
        }
        #expect(traffic.findings.contains { $0.subject == .account(account(-7)) })
    }

    @Test func `keeps networks whose failures have names when others fail without`() {
        var traffic = LoginTraffic()
        for number in 0..<6 { traffic.fail(host(1), account(number)) }
        for number in 0..<50_000 { for _ in 0..<8 { traffic.fail(host(100_000 + number), nil) } }
        for number in 6..<13 { traffic.fail(host(1), account(number)) }
        #expect(traffic.first(.spraying)?.subject == .network(IPNetwork(host(1))))
    }

    @Test func `tells what it gave to others, also behind a reload`() {
        var traffic = LoginTraffic()
        for number in 0..<40_000 { traffic.fail(host(number), account(number)) }
        let before = traffic.classifier.totals(at: traffic.now)
        var settings = Configuration.Threats()
        settings.window = .seconds(60)
        traffic.classifier.adopt(settings)
        let behind = traffic.classifier.totals(at: traffic.now)
        #expect(before.accountEvictions > 0 && behind.accountEvictions == before.accountEvictions)
        #expect(behind.networkEvictions == before.networkEvictions && behind.failures == 0)
    }

    @Test func `counts different things within a tenth`() {
        for number in [1, 5, 10, 20, 50, 100] {
            var (narrow, medium) = (NarrowSketch(), MediumSketch())
            for one in 0..<number {
                for _ in 0..<3 {
                    narrow.insert(account(one).high)
                    medium.insert(account(one).high)
                }
            }
            #expect(abs(medium.count - number) <= max(1, number / 8), "\(number): \(medium.count)")
            #expect(abs(narrow.count - number) <= max(1, number / 4), "\(number): \(narrow.count)")
        }
        for number in [10, 1_000, 20_000] {
            var wide = WideSketch()
            for one in 0..<number { wide.insert(account(one).high) }
            #expect(abs(wide.count - number) <= max(1, number / 20), "\(number): \(wide.count)")
            wide.turn(isNext: true)
            #expect(abs(wide.count - number) <= max(1, number / 20))
            wide.turn(isNext: true)
            #expect(wide.count == 0)
        }
    }
}
