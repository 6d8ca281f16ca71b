import Policy
import Testing
import Transport
import Wire

@testable import Ledger

/// What one replica decided while Redis was away holds when Redis is back and has not heard of it yet.
@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Guesses behind an outage` {
    private let brief = Interval.milliseconds(250)
    private let address = "198.51.100.7"
    private let longPlace = Interval.seconds(120)

    private final class Answers {
        var all: [Reservation] = []
        var granted: Int { all.count { $0.answer == .granted } }
    }

    private func guess() -> LoginFailure { LoginFailure(id: .random(), address: IPAddress(address)!) }

    private func ask(_ number: Int, of ledger: RedisLedger, _ answers: Answers) {
        for _ in 0..<number {
            ledger.reserve(guess(), for: longPlace, now: .now()) { answers.all.append($0) }
        }
    }

    private func count(_ ledger: RedisLedger) -> Int? {
        ledger.local.counters.counter(of: guess().key, at: .now())?.count
    }

    @Test func `are as few as failures of the outage leave, before Redis was told of these`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.freeze()
        for _ in 1...4 { #expect(try harness.fail(ledger, address).decider == .local) }
        let answers = Answers()
        harness.onEvent = { [unowned ledger, unowned harness] event in
            guard case .recovered = event else { return }
            harness.onEvent = nil
            ask(12, of: ledger, answers)
            #expect(answers.all.isEmpty, "Redis is asked")
        }
        fixture.server.thaw()
        #expect(harness.wait { answers.all.count == 12 })
        #expect(answers.granted <= 1)
        #expect(count(ledger) == 4, "Redis knows of fewer")
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        ask(12, of: ledger, answers)
        #expect(harness.wait { answers.all.count == 24 })
        #expect(answers.granted == 1)
        #expect(try fixture.redis("GET", "login_fail:198.51.100.7") == "4")
        #expect(count(ledger) == 4)
        #expect(!harness.isBlocked(address))
        harness.stop(ledger)
    }

    @Test func `are as few while the gateway still takes stock, and block nobody`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        for _ in 1...4 { #expect(try harness.fail(ledger, address).decider == .local) }
        try fixture.server.start()
        let answers = Answers()
        #expect(harness.wait { ledger.authority != nil })
        ask(12, of: ledger, answers)
        #expect(harness.wait { answers.all.count == 12 })
        #expect(answers.granted <= 1)
        #expect(harness.wait { ledger.state == .connected && ledger.unsettled.isEmpty })
        ask(12, of: ledger, answers)
        #expect(harness.wait { answers.all.count == 24 })
        #expect(answers.granted == 1)
        #expect(!harness.isBlocked(address))
        harness.stop(ledger)
    }

    @Test func `are as few as those leave that are still under way`() throws {
        let fixture = try RedisFixture(deadline: brief)
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        fixture.server.kill()
        #expect(harness.wait { ledger.state.word == "degraded" })
        let underWay = (0..<4).map { _ in guess() }
        let first = Answers()
        for one in underWay { ledger.reserve(one, for: longPlace, now: .now()) { first.all.append($0) } }
        #expect(first.granted == 4 && first.all.allSatisfy { $0.decider == .local })
        try fixture.server.start()
        #expect(harness.wait { ledger.state == .connected })
        let answers = Answers()
        ask(12, of: ledger, answers)
        #expect(harness.wait { answers.all.count == 12 })
        #expect(answers.granted == 1)
        for one in underWay { ledger.release(one) }
        ask(12, of: ledger, answers)
        #expect(harness.wait { answers.all.count == 24 })
        #expect(answers.granted == 5)
        harness.stop(ledger)
    }

    @Test func `count failures under each key by itself`() {
        var unsettled = UnsettledFailures()
        let mine = guess()
        let other = LoginFailure(id: .random(), address: IPAddress("198.51.100.8")!)
        let at = WallTime(milliseconds: 1)
        unsettled[mine.id] = UnsettledFailure(failure: mine, at: at)
        unsettled[mine.id] = UnsettledFailure(failure: mine, at: at)
        unsettled[other.id] = UnsettledFailure(failure: other, at: at)
        #expect(unsettled.count == 2 && unsettled.count(under: mine.key) == 1)
        unsettled.removeValue(forKey: mine.id)
        unsettled[mine.id] = nil
        #expect(unsettled.count(under: mine.key) == 0 && unsettled.count(under: other.key) == 1)
        #expect(unsettled.values.map(\.failure) == [other])
    }
}
