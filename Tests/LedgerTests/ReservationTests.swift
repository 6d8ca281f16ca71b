import Policy
import Testing
import Transport
import Wire

@testable import Ledger

private let client = IPAddress("198.51.100.7")!
private let longPlace = Interval.seconds(60)

private func guess() -> LoginFailure { LoginFailure(id: .random(), address: client) }

extension Harness {
    fileprivate func reserve(
        _ ledger: any Ledger, _ guess: LoginFailure, for length: Interval = longPlace
    ) throws -> Reservation {
        var outcome: Reservation?
        ledger.reserve(guess, for: length, now: .now()) { outcome = $0 }
        wait { outcome != nil }
        return try #require(outcome)
    }

    fileprivate func answer(_ ledger: any Ledger, _ guess: LoginFailure) throws -> Reservation.Answer {
        try reserve(ledger, guess).answer
    }
}

@Suite struct `Places for guesses in the embedded ledger` {
    let directory = TemporaryDirectory()
    let harness = Harness()

    private func open(_ rule: LoginRule = fiveFailures) throws -> EmbeddedLedger {
        let ledger = try EmbeddedLedger(rule: rule, stateDirectory: directory.path, on: harness.loop, sink: harness)
        ledger.start()
        return ledger
    }

    @Test func `are as many as may still fail, and one that is given back is another's`() throws {
        let ledger = try open()
        let guesses = (0..<5).map { _ in guess() }
        for one in guesses { #expect(try harness.answer(ledger, one) == .granted) }
        #expect(try harness.answer(ledger, guess()) == .full)
        // Asked again, it still has its one place.
        #expect(try harness.answer(ledger, guesses[0]) == .granted)
        ledger.release(guesses[0])
        ledger.release(guesses[0])
        #expect(try harness.answer(ledger, guess()) == .granted)
        #expect(try harness.answer(ledger, guess()) == .full)
        harness.stop(ledger)
    }

    @Test func `become failures one by one, and the fifth blocks`() throws {
        let ledger = try open()
        for count in 1...5 {
            let one = guess()
            #expect(try harness.answer(ledger, one) == .granted)
            #expect(try harness.fail(ledger, "198.51.100.7", id: one.id).count == count)
        }
        #expect(try harness.answer(ledger, guess()) == .blocked)
        harness.stop(ledger)
    }

    @Test func `end by themselves`() throws {
        let ledger = try open()
        for _ in 0..<5 {
            #expect(try harness.reserve(ledger, guess(), for: .milliseconds(20)).answer == .granted)
        }
        #expect(harness.wait(.seconds(10)) { (try? harness.answer(ledger, guess())) == .granted })
        harness.stop(ledger)
    }

    @Test func `are not needed by who is never blocked`() throws {
        let ledger = try open(
            LoginRule(limit: 1, window: .seconds(60), block: .seconds(60), exempt: [IPNetwork("198.51.100.0/24")!]))
        for _ in 0..<10 { #expect(try harness.answer(ledger, guess()) == .granted) }
        harness.stop(ledger)
    }
}

@Suite(.enabled(if: RedisServer.isInstalled, "redis-server is not installed"), .serialized)
struct `Places for guesses in a real Redis` {
    private let counter = "login_fail:198.51.100.7"
    private let pending = "login_pending:{login_fail:198.51.100.7}"
    private let block = "ip_block:198.51.100.7"

    @Test func `are five of a thousand that two replicas ask for at once`() throws {
        let fixture = try RedisFixture()
        let (harness, other) = (fixture.harness, Harness())
        let first = try fixture.openConnected()
        let second = try fixture.openReplica(of: first, for: other)
        var answers: [Reservation.Answer] = []
        for _ in 0..<500 {
            first.reserve(guess(), for: longPlace, now: .now()) { answers.append($0.answer) }
            second.reserve(guess(), for: longPlace, now: .now()) { answers.append($0.answer) }
        }
        #expect(
            harness.wait {
                other.loop.turn(); return answers.count == 1_000
            })
        #expect(answers.count { $0 == .granted } == 5 && answers.count { $0 == .full } == 995)
        #expect(try fixture.redis("ZCARD", pending) == "5")
        #expect(try fixture.server.integer("PTTL", pending) > 50_000)
        harness.stop(first)
        other.stop(second)
    }

    @Test func `are given back by a failure, by release and by time, each once`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let guesses = (0..<5).map { _ in guess() }
        for one in guesses { #expect(try harness.answer(ledger, one) == .granted) }
        #expect(try harness.answer(ledger, guess()) == .full)
        // The answer was lost: asked again.
        #expect(try harness.answer(ledger, guesses[1]) == .granted)
        #expect(try harness.fail(ledger, "198.51.100.7", id: guesses[0].id).count == 1)
        #expect(try harness.fail(ledger, "198.51.100.7", id: guesses[0].id).count == 1)
        #expect(try harness.answer(ledger, guess()) == .full, "a failure is no free place")
        ledger.release(guesses[1])
        let short = guess()
        #expect(try harness.reserve(ledger, short, for: .seconds(1)).answer == .granted)
        #expect(try harness.answer(ledger, guess()) == .full)
        #expect(harness.wait(.seconds(10)) { (try? harness.answer(ledger, guess())) == .granted })
        // It comes late, and counts all the same.
        #expect(try harness.fail(ledger, "198.51.100.7", id: short.id).count == 2)
        #expect(try fixture.server.integer("TTL", counter) > 86_000)
        harness.stop(ledger)
    }

    @Test func `that are given back while Redis cannot be reached are given back when it can`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let guesses = (0..<5).map { _ in guess() }
        for one in guesses { #expect(try harness.answer(ledger, one) == .granted) }
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        // This one goes out on a connection that is no more, the others when there is none.
        ledger.release(guesses[0])
        #expect(
            harness.wait {
                switch ledger.phase {
                case .mirroring, .inStep: false
                default: true
                }
            })
        for one in guesses.dropFirst() { ledger.release(one) }
        #expect(harness.wait { ledger.state == .connected })
        #expect(harness.wait { (try? fixture.redis("ZCARD", pending)) == "0" })
        harness.stop(ledger)
    }

    @Test func `are refused at the limit, where a block that was lost is set`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        // As a replica leaves it that dies between its two steps.
        _ = try fixture.redis("SET", counter, "5", "EX", "80000")
        #expect(try harness.answer(ledger, guess()) == .blocked)
        #expect(harness.isBlocked("198.51.100.7"), "the workers know before the answer")
        #expect(try fixture.server.integer("TTL", block) > 290)
        #expect(harness.wait { (try? fixture.server.integer("TTL", counter)).map { $0 <= 300 } == true })
        harness.stop(ledger)
    }

    @Test func `go one at a time when somebody lifted the block alone, and the next failure blocks again`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        for _ in 0..<5 {
            let one = guess()
            #expect(try harness.answer(ledger, one) == .granted)
            _ = try harness.fail(ledger, "198.51.100.7", id: one.id)
        }
        #expect(try harness.answer(ledger, guess()) == .blocked)
        #expect(try fixture.redis("DEL", block) == "1")
        #expect(harness.wait { !harness.isBlocked("198.51.100.7") })
        let next = guess()
        #expect(try harness.answer(ledger, next) == .granted)
        #expect(try harness.answer(ledger, guess()) == .full)
        ledger.release(next)
        let last = guess()
        #expect(try harness.answer(ledger, last) == .granted)
        #expect(try harness.fail(ledger, "198.51.100.7", id: last.id).isNewlyBlocked)
        #expect(try harness.answer(ledger, guess()) == .blocked)
        harness.stop(ledger)
    }

    @Test func `are decided here when Redis hangs, from what was on its way`() throws {
        let fixture = try RedisFixture(deadline: .milliseconds(100))
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        // Until then the answer could be late on a busy machine, which is not what this is about.
        for _ in 0..<3 { #expect(try harness.answer(ledger, guess()) == .granted) }
        fixture.server.freeze()
        let late = guess()
        #expect(try harness.reserve(ledger, late) == Reservation(.granted, by: .local))
        #expect(try harness.reserve(ledger, guess()) == Reservation(.granted, by: .local))
        #expect(try harness.reserve(ledger, guess()) == Reservation(.full, by: .local))
        fixture.server.thaw()
        #expect(harness.wait { ledger.state == .connected })
        // What Redis granted to a guess that goes by the local word stays; to one that was refused it does not.
        #expect(harness.wait { (try? fixture.redis("ZCARD", pending)).flatMap { Int($0) }.map { $0 <= 5 } == true })
        #expect(try harness.answer(ledger, late) == .granted)
        harness.stop(ledger)
    }

    @Test func `are given back although the session ends before Redis has heard of it`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        let guesses = (0..<5).map { _ in guess() }
        for one in guesses { #expect(try harness.answer(ledger, one) == .granted) }
        _ = try fixture.redis("CLIENT", "KILL", "TYPE", "normal")
        // One is said into a connection that is dead already, one when there is none.
        ledger.release(guesses[0])
        let isConnecting = { if case .connecting = ledger.phase { true } else { false } }
        #expect(harness.wait(until: isConnecting))
        ledger.release(guesses[1])
        #expect(harness.wait { (try? fixture.redis("ZCARD", pending)) == "3" })
        #expect(harness.wait { ledger.places.count == 3 })
        // And one that Redis refuses to take back.
        _ = try fixture.redis("REPLICAOF", "127.0.0.1", "1")
        ledger.release(guesses[2])
        #expect(try harness.reserve(ledger, guess()).decider == .local)
        _ = try fixture.redis("REPLICAOF", "NO", "ONE")
        #expect(harness.wait { (try? fixture.redis("ZCARD", pending)) == "2" })
        harness.stop(ledger)
    }

    @Test func `are decided here for a counter that is no integer`() throws {
        let fixture = try RedisFixture()
        let harness = fixture.harness
        let ledger = try fixture.openConnected()
        _ = try fixture.redis("RPUSH", counter, "x")
        #expect(try harness.reserve(ledger, guess()) == Reservation(.granted, by: .local))
        #expect(fixture.sees { if case .counterUnusable = $0 { true } else { false } })
        #expect(ledger.state == .connected)
        harness.stop(ledger)
    }
}
