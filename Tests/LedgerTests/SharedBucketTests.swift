import Policy
import Settings
import Testing
import Wire

@testable import Ledger

private func taking(
    _ worth: Interval, most: Interval = .seconds(96), ago age: Interval = .zero
) -> BucketTaking {
    taking("rate:per_address@192.0.2.1", worth, most: most, ago: age)
}

private func taking(
    _ name: String, _ worth: Interval, most: Interval = .seconds(96), ago age: Interval = .zero
) -> BucketTaking {
    BucketTaking(name: name, worth: worth, furthest: most, age: age)
}

@Suite struct `What is told of a shared bucket` {
    @Test func `is in microseconds, and never cheaper or older than it is`() {
        #expect(
            taking(.init(nanoseconds: 142_857_143), most: .init(nanoseconds: 1_001), ago: .init(nanoseconds: 1_999))
                .arguments == ["142858", "1", "2"])
        #expect(taking(.seconds(1), ago: .seconds(-3)).arguments == ["1000000", "0", "96000000"])
    }

    @Test func `stays below what the script can count`() {
        let long = Interval(nanoseconds: .max)
        let micros = taking(long, most: long, ago: long).arguments.compactMap(Int.init)
        #expect(micros.count == 3)
        // With the time of day in front of it, the worth and the bound: whole numbers of a double.
        #expect(micros.allSatisfy { 2 * $0 + 1_800_000_000_000_000 < 1 << 53 })
    }

    @Test func `takes no answer that is none`() {
        #expect(taking(.zero).debt(96_000_000) == .seconds(96))
        #expect(taking(.zero).debt(96_000_001) == .seconds(96), "it was rounded")
        #expect(taking(.zero).debt(0) == .zero)
        for answer in [-1, 96_000_002, Int64.max, .min] { #expect(taking(.zero).debt(answer) == nil) }
        let long = BucketTaking(name: "", worth: .zero, furthest: .init(nanoseconds: .max), age: .zero)
        #expect(long.debt(.max) == nil)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Shared buckets on a real Redis` {
    private func tell(_ harness: Harness, _ ledger: any Ledger, _ takings: [BucketTaking]) throws -> BucketLevels {
        var levels: BucketLevels?
        ledger.tell(takings) { levels = $0 }
        harness.wait { levels != nil }
        return try #require(levels)
    }

    private func isNear(_ found: Interval??, _ seconds: Int) -> Bool {
        guard let debt = found ?? nil else { return false }
        // Some time passes between two questions; never does a bucket get emptier by itself.
        return debt <= .seconds(seconds) && debt > .seconds(seconds - 20)
    }

    @Test func `add up what all replicas have taken, and are gone when they are full`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let other = TemporaryDirectory()
        let one = try fixture.openConnected()
        let two = try fixture.open(stateDirectory: other.path)
        #expect(harness.wait { two.state == .connected })
        #expect(isNear(try tell(harness, one, [taking(.seconds(60))]).debts.first, 60))
        let levels = try tell(harness, two, [taking(.seconds(30)), taking("rate:route:/search@all", .seconds(40))])
        #expect(isNear(levels.debts.first, 90) && isNear(levels.debts.last, 40) && levels.problem == nil)
        #expect(isNear(try tell(harness, one, [taking(.seconds(500))]).debts.first, 96), "and no more than may be")
        let left = try fixture.server.integer("PTTL", "rate:per_address@192.0.2.1")
        #expect((70_000...96_000).contains(left))
        // What began before counts from then; of what is paid back meanwhile nothing is kept.
        let late = try tell(harness, one, [taking("rate:a@b", .seconds(60), ago: .seconds(30))])
        #expect(isNear(late.debts.first, 30))
        #expect(try tell(harness, one, [taking("rate:c@d", .seconds(1), ago: .seconds(1))]).debts == [.zero])
        #expect(try fixture.redis("EXISTS", "rate:c@d") == "0")
        harness.stop(one)
        harness.stop(two)
    }

    @Test(arguments: ["", "x", "nan", "-nan", "-1e300", "-inf"])
    func `that are no number are full`(_ value: String) throws {
        let fixture = try RedisFixture()
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "rate:a@b", value)
        #expect(isNear(try tell(fixture.harness, ledger, [taking("rate:a@b", .seconds(50))]).debts.first, 50))
        _ = try fixture.redis("LPUSH", "rate:c@d", "x")
        #expect(isNear(try tell(fixture.harness, ledger, [taking("rate:c@d", .seconds(50))]).debts.first, 50))
        fixture.harness.stop(ledger)
    }

    /// The clock of the server went back, or somebody has written it.
    @Test(arguments: ["9e15", "1e300", "inf"])
    func `that are too far away are brought back`(_ value: String) throws {
        let fixture = try RedisFixture()
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", "rate:a@b", value)
        #expect(isNear(try tell(fixture.harness, ledger, [taking("rate:a@b", .seconds(1))]).debts.first, 96))
        #expect((60_000...96_000).contains(try fixture.server.integer("PTTL", "rate:a@b")))
        fixture.harness.stop(ledger)
    }

    @Test func `are nobody's business while Redis is away, and nothing is made up for`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        #expect(try tell(harness, ledger, [taking(.seconds(1))]) == BucketLevels(debts: [nil]))
        #expect(ledger.waitingFailures == 0)
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        #expect(isNear(try tell(harness, ledger, [taking(.seconds(50))]).debts.first, 50))
        // One that is lost while it is asked has no answer either.
        fixture.server.freeze()
        var levels: BucketLevels?
        ledger.tell([taking(.seconds(1))]) { levels = $0 }
        fixture.server.thaw()
        fixture.server.kill()
        #expect(harness.wait { levels != nil })
        harness.stop(ledger)
    }

    @Test func `need a right of their own, which is named, and without it everything else goes on`() throws {
        let fixture = try RedisFixture(
            options: [
                "--user", "gateway", "on", ">secret", "~ip_block:*", "~login_fail:*", "~account_lock:*", "~revoked:*",
                "~keyring:*", "~lockdown:*", "~ip_allow:*", "~ip_shared:*", "~login_seen:*", "~login_pending:*",
                "~gateway:epoch", "~gateway:said:*", "&*", "+@all",
            ])
        let harness = fixture.harness
        let ledger = try fixture.open(username: "gateway", password: "secret")
        #expect(harness.wait { ledger.state == .connected })
        let levels = try tell(harness, ledger, [taking(.seconds(1))])
        #expect(levels.debts == [nil])
        #expect(levels.problem?.contains("ACL SETUSER gateway ~rate:*") == true, "\(levels)")
        #expect(try harness.fail(ledger, "192.0.2.1").decider == .authority)
        #expect(ledger.state == .connected)
        _ = try fixture.redis("ACL", "SETUSER", "gateway", "~rate:*")
        #expect(isNear(try tell(harness, ledger, [taking(.seconds(50))]).debts.first, 50))
        harness.stop(ledger)
    }

    /// Each write would be told to every replica, or make the next look longer.
    @Test func `are told to nobody where changes are not told by client tracking`() throws {
        let fixture = try RedisFixture(
            options: ["--user", "gateway", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"])
        let harness = fixture.harness
        let ledger = try fixture.open(username: "gateway", password: "secret")
        #expect(harness.wait { ledger.state == .connected })
        let levels = try tell(harness, ledger, [taking(.seconds(1))])
        #expect(levels.debts == [nil] && levels.problem?.contains("client tracking") == true, "\(levels)")
        #expect(try fixture.redis("KEYS", "rate:*") == "")
        harness.stop(ledger)
    }

    @Test func `are asked for again when Redis has forgotten its scripts`() throws {
        let fixture = try RedisFixture()
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SCRIPT", "FLUSH")
        #expect(isNear(try tell(fixture.harness, ledger, [taking(.seconds(50))]).debts.first, 50))
        fixture.harness.stop(ledger)
    }
}
