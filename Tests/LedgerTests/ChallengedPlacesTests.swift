import Policy
import Testing
import Transport
import Wire

@testable import Ledger

private let client = IPAddress("198.51.100.7")!
private let longPlace = Interval.seconds(60)

private func guess() -> LoginFailure { LoginFailure(id: .random(), address: client) }

extension Harness {
    fileprivate func answer(
        _ ledger: any Ledger, _ guess: LoginFailure, upTo threshold: Int?
    ) throws -> Reservation.Answer {
        var outcome: Reservation?
        ledger.reserve(guess, for: longPlace, upTo: threshold, now: .now()) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome).answer
    }
}

@Suite struct `Places up to a number of failures` {
    let directory = TemporaryDirectory()
    let harness = Harness()

    private func open() throws -> EmbeddedLedger {
        let ledger = try EmbeddedLedger(
            rule: fiveFailures, stateDirectory: directory.path, on: harness.loop, sink: harness)
        ledger.start()
        return ledger
    }

    @Test func `are so many, with the failures that there were`() throws {
        let ledger = try open()
        let guesses = (0..<3).map { _ in guess() }
        for one in guesses { #expect(try harness.answer(ledger, one, upTo: 3) == .granted) }
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .full)
        let solved = guess()
        #expect(try harness.answer(ledger, solved, upTo: nil) == .granted, "others may go up to the limit")
        ledger.release(solved)
        for one in guesses { _ = try harness.fail(ledger, "198.51.100.7", id: one.id) }
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .challenged)
        #expect(try harness.answer(ledger, guess(), upTo: nil) == .granted)
        harness.stop(ledger)
    }

    @Test func `are none where the block is in force, and after it was lifted`() throws {
        let ledger = try open()
        for _ in 0..<5 { _ = try harness.fail(ledger, "198.51.100.7") }
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .blocked)
        _ = try harness.unblock(ledger, .network(IPNetwork(client)))
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .granted, "the failures are forgotten, too")
        harness.stop(ledger)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Places up to a number of failures in a real Redis` {
    private let pending = "login_pending:{login_fail:198.51.100.7}"
    private let counter = "login_fail:198.51.100.7"
    private let block = "ip_block:198.51.100.7"

    @Test func `are three of a thousand that two replicas ask for at once`() throws {
        let fixture = try RedisFixture()
        let (harness, other) = (fixture.harness, Harness())
        let first = try fixture.openConnected()
        let second = try fixture.openReplica(of: first, for: other)
        var answers: [Reservation.Answer] = []
        for _ in 0..<500 {
            for ledger in [first, second] {
                ledger.reserve(guess(), for: longPlace, upTo: 3, now: .now()) { answers.append($0.answer) }
            }
        }
        #expect(
            harness.wait {
                other.loop.turn(); return answers.count == 1_000
            })
        #expect(answers.count { $0 == .granted } == 3 && answers.count { $0 == .full } == 997)
        #expect(try fixture.redis("ZCARD", pending) == "3")
        harness.stop(first)
        other.stop(second)
    }

    @Test func `are none from there on, and nothing is left of the question`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 0..<3 { _ = try harness.fail(ledger, "198.51.100.7") }
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .challenged)
        #expect(try fixture.redis("EXISTS", pending) == "0")
        #expect(try fixture.redis("EXISTS", block) == "0", "that is not the limit")
        // With the mark of a block of before, which somebody has lifted by hand, the store gives one place: to no such guess.
        for _ in 0..<2 { _ = try harness.fail(ledger, "198.51.100.7") }
        _ = try fixture.redis("DEL", block)
        _ = try fixture.redis("SET", counter, "4", "KEEPTTL")
        #expect(harness.wait { !harness.isBlocked("198.51.100.7") })
        let changes = try setChanges(fixture)
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .challenged)
        #expect(try setChanges(fixture) == changes)
        #expect(try fixture.redis("EXISTS", pending) == "0")
        #expect(try harness.answer(ledger, guess(), upTo: nil) == .granted)
        harness.stop(ledger)
    }

    /// How often members of sets were set or taken out.
    private func setChanges(_ fixture: RedisFixture) throws -> [String] {
        try fixture.redis("INFO", "commandstats").split(whereSeparator: \.isNewline)
            .filter { $0.hasPrefix("cmdstat_zadd:") || $0.hasPrefix("cmdstat_zrem:") }
            .map { String($0.prefix { $0 != "," }) }.sorted()
    }

    @Test func `do not hide a block that was lost`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("SET", counter, "5", "EX", "60")
        #expect(try harness.answer(ledger, guess(), upTo: 3) == .blocked)
        #expect(try fixture.redis("EXISTS", block) == "1")
        harness.stop(ledger)
    }
}
