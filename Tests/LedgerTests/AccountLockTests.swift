import Policy
import Testing
import Transport
import Wire

@testable import Ledger

private let alice = AccountMark("0123456789abcdef0000000000000001")!
private let bob = AccountMark("0123456789abcdef0000000000000002")!
private let pairs = LoginRule(
    "accounts", by: .pair, limit: 2, window: .seconds(300), block: .seconds(1_800), exempt: [])
private let rules = LoginRules([fiveFailures, pairs])

extension Harness {
    fileprivate func failure(_ account: AccountMark, _ address: String) -> LoginFailure {
        let address = IPAddress(address)!
        return LoginFailure(id: .random(), address: address, key: pairs.key(of: address, account))
    }

    fileprivate func answer(
        _ ledger: any Ledger, _ account: AccountMark, _ address: String = "198.51.100.7"
    ) throws -> Reservation.Answer {
        var outcome: Reservation?
        ledger.reserve(failure(account, address), for: .milliseconds(1), now: .now()) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome).answer
    }

    @discardableResult
    fileprivate func fail(
        _ ledger: any Ledger, of account: AccountMark, _ address: String = "198.51.100.7"
    ) throws -> FailureOutcome {
        var outcome: FailureOutcome?
        ledger.recordFailure(failure(account, address), now: .now()) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }
}

/// What holds for locks in both homes, with what is different about each behind it.
private func holds(_ ledger: any Ledger, _ harness: Harness) throws {
    #expect(try harness.fail(ledger, of: alice).count == 1)
    #expect(try harness.answer(ledger, alice) == .granted)
    let second = try harness.fail(ledger, of: alice)
    #expect(second.isNewlyBlocked && second.block?.origin == .automatic(failures: 2))
    #expect(try harness.answer(ledger, alice) == .blocked)
    // Neither the address nor anybody else is held back by it.
    #expect(try harness.answer(ledger, bob) == .granted)
    #expect(try harness.answer(ledger, alice, "198.51.100.8") == .granted)
    #expect(!harness.isBlocked("198.51.100.7") && harness.deltas.allSatisfy { $0 == .replaceAll([]) })
    #expect(ledger.blocks() == [] && ledger.blockCount == 0 && ledger.lockCount == 1)
    #expect(ledger.locks().map(\.subject.description) == ["\(alice)@198.51.100.7"])
    let end = try #require(ledger.lockEnds(of: ledger.locks()[0].subject))
    #expect(end > .now() + .seconds(1_790) && end < .now() + .seconds(1_810))

    // Blocks are another matter.
    #expect(try harness.unblock(ledger, .network(IPNetwork("198.51.100.7")!)).lifted == [])
    #expect(try harness.unblock(ledger, .all).lifted == [])
    #expect(try harness.answer(ledger, alice) == .blocked)
    #expect(try harness.unblock(ledger, .accounts(bob, from: nil)).lifted == [])
    #expect(try harness.unblock(ledger, .accounts(alice, from: IPNetwork("198.51.100.8")!)).lifted == [])
    #expect(try harness.unblock(ledger, .accounts(alice, from: nil)).lifted.count == 1)
    #expect(try harness.answer(ledger, alice) == .granted)
    #expect(ledger.lockCount == 0 && ledger.locks() == [])
    #expect(try harness.fail(ledger, of: alice).count == 1, "what failed is forgotten")

    // A success forgets, too.
    ledger.forgetFailures(under: pairs.key(of: IPAddress("198.51.100.7")!, alice)!)
    #expect(try harness.fail(ledger, of: alice).count == 1)
    #expect(try harness.fail(ledger, of: alice).isNewlyBlocked)
    _ = try harness.fail(ledger, of: bob)
    _ = try harness.fail(ledger, of: bob, "198.51.100.8")
    #expect(try harness.fail(ledger, of: bob, "198.51.100.8").isNewlyBlocked)
    #expect(try harness.unblock(ledger, .accounts(nil, from: IPNetwork("198.51.100.8")!)).lifted.count == 1)
    #expect(ledger.lockCount == 1)
    #expect(try harness.unblock(ledger, .accounts(nil, from: nil)).lifted.count == 1)
    #expect(try harness.fail(ledger, of: bob).count == 1)
    #expect(ledger.lockCount == 0)
}

@Suite struct `Locks of accounts in the embedded ledger` {
    let directory = TemporaryDirectory()
    let harness = Harness()

    private func open(_ rules: LoginRules = rules) throws -> EmbeddedLedger {
        let ledger = try EmbeddedLedger(rules: rules, stateDirectory: directory.path, on: harness.loop, sink: harness)
        ledger.start()
        return ledger
    }

    @Test func `hold back one account of one address, until they are lifted`() throws {
        let ledger = try open()
        try holds(ledger, harness)
        harness.stop(ledger)
    }

    @Test func `survive a restart with what failed`() throws {
        let first = try open()
        for _ in 0..<2 { try harness.fail(first, of: alice) }
        try harness.fail(first, of: bob)
        harness.stop(first)
        let second = try open()
        #expect(try harness.answer(second, alice) == .blocked)
        #expect(second.lockCount == 1 && second.blockCount == 0)
        #expect(try harness.fail(second, of: bob).isNewlyBlocked)
        harness.stop(second)
    }

    @Test func `are of the account everywhere, where the rule says so`() throws {
        let everywhere = LoginRule(
            "accounts", by: .account, limit: 2, window: .seconds(300), block: .seconds(1_800), exempt: [])
        let ledger = try open(LoginRules([fiveFailures, everywhere]))
        for address in ["198.51.100.7", "2001:db8::1"] {
            let address = IPAddress(address)!
            let failure = LoginFailure(id: .random(), address: address, key: everywhere.key(of: address, alice))
            ledger.recordFailure(failure, now: .now()) { _ in }
        }
        #expect(ledger.locks().map(\.subject.description) == [alice.description])
        #expect(try harness.unblock(ledger, .accounts(alice, from: nil)).lifted.count == 1)
        harness.stop(ledger)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Locks of accounts in a real Redis` {
    private let lock = "account_lock:\(alice)@198.51.100.7"
    private let counter = "login_fail:accounts@\(alice)@198.51.100.7"

    private func open(_ fixture: RedisFixture) throws -> RedisLedger {
        let ledger = try fixture.openConnected()
        ledger.adopt(rules)
        return ledger
    }

    @Test func `hold back one account of one address, until they are lifted`() throws {
        let fixture = try RedisFixture()
        let ledger = try open(fixture)
        try holds(ledger, fixture.harness)
        fixture.harness.stop(ledger)
    }

    @Test func `stand there for all replicas, and end with their counter`() throws {
        let fixture = try RedisFixture()
        let ledger = try open(fixture)
        for _ in 0..<2 { try fixture.harness.fail(ledger, of: alice) }
        #expect(try fixture.server.integer("TTL", lock) > 1_790)
        #expect(try fixture.redis("GET", lock).contains("\"failures\":2"))
        #expect(fixture.harness.wait { (try? fixture.server.integer("TTL", counter)).map { $0 > 1_790 } == true })
        let keys = try fixture.redis("KEYS", "*")
        #expect(!keys.contains("alice"))
        fixture.harness.stop(ledger)
    }

    @Test func `may be set and deleted by hand`() throws {
        let fixture = try RedisFixture()
        let ledger = try open(fixture)
        let harness = fixture.harness
        _ = try fixture.redis("HSET", lock, "a", "b")
        #expect(harness.wait { ledger.lockCount == 1 })
        #expect(try harness.answer(ledger, alice) == .blocked)
        #expect(fixture.sees { if case .permanentBlock = $0 { true } else { false } })
        _ = try fixture.redis("DEL", lock)
        #expect(harness.wait { ledger.lockCount == 0 })
        #expect(try harness.answer(ledger, alice) == .granted)
        _ = try fixture.redis("SET", "account_lock:alice", "1")
        #expect(fixture.sees { $0 == .unparsableKey("account_lock:alice") })
        harness.stop(ledger)
    }

    @Test func `and what another replica has counted of the account is forgotten, and of nobody else`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let first = try open(fixture)
        for (account, address) in [(alice, "198.51.100.7"), (alice, "2001:db8::1"), (bob, "198.51.100.7")] {
            try harness.fail(first, of: account, address)
        }
        _ = try harness.fail(first, "198.51.100.9")
        let place = TemporaryDirectory()
        let second = try fixture.open(stateDirectory: place.path)
        try #require(harness.wait { second.state == .connected })
        second.adopt(rules)
        func counters() throws -> [String] {
            try fixture.redis("--scan", "--pattern", "login_fail:*").split(separator: "\n").map { String($0) }.sorted()
        }
        let others = ["login_fail:198.51.100.9", "login_fail:accounts@\(bob)@198.51.100.7"]
        #expect(try counters().count == 4)
        _ = try harness.unblock(second, .accounts(alice, from: nil))
        #expect(harness.wait { (try? counters()) == others })
        #expect(try harness.fail(first, of: alice).count == 1)
        _ = try harness.unblock(second, .accounts(nil, from: IPNetwork("198.51.100.8")!))
        #expect(try counters().count == 3)
        _ = try harness.unblock(second, .accounts(nil, from: nil))
        #expect(harness.wait { (try? counters()) == [others[0]] })
        harness.stop(first)
        harness.stop(second)
    }

    @Test func `are put back when the store has lost them`() throws {
        let fixture = try RedisFixture()
        let ledger = try open(fixture)
        for _ in 0..<2 { try fixture.harness.fail(ledger, of: alice) }
        _ = try fixture.redis("FLUSHALL")
        #expect(fixture.harness.wait { (try? fixture.redis("EXISTS", lock)) == "1" })
        #expect(try fixture.harness.answer(ledger, alice) == .blocked)
        fixture.harness.stop(ledger)
    }

    @Test func `are set and lifted here while Redis is away, and carried over`() throws {
        let fixture = try RedisFixture(deadline: .milliseconds(100))
        let ledger = try open(fixture)
        let harness = fixture.harness
        for _ in 0..<2 { try harness.fail(ledger, of: bob) }
        fixture.server.kill()
        #expect(harness.wait { ledger.state != .connected })
        for _ in 0..<2 { try harness.fail(ledger, of: alice) }
        #expect(try harness.answer(ledger, alice) == .blocked)
        #expect(try harness.unblock(ledger, .accounts(bob, from: nil)).decider == .local)
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        #expect(harness.wait { (try? fixture.redis("EXISTS", lock)) == "1" })
        #expect(try harness.answer(ledger, bob) == .granted)
        harness.stop(ledger)
    }
}
