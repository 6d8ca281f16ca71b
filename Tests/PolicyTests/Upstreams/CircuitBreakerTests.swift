import Settings
import Testing
import Wire

@testable import Policy

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

@Suite struct `A circuit breaker` {
    private let rule = Configuration.Upstream.CircuitBreaker()

    private func halfOpen() -> CircuitBreaker {
        var breaker = CircuitBreaker()
        _ = breaker.failing(at: at(0), rule)
        _ = breaker.advance(to: at(60))
        return breaker
    }

    @Test func `opens for a minute`() {
        var breaker = CircuitBreaker()
        #expect(breaker.failing(at: at(5), rule) == .opened(for: .seconds(60)))
        #expect(breaker.state == .open(until: at(65)))
        #expect(breaker.deadline == at(65))
    }

    @Test func `is half open when the minute is over`() {
        var breaker = CircuitBreaker()
        _ = breaker.failing(at: at(0), rule)
        #expect(breaker.advance(to: at(59.9)) == nil)
        #expect(breaker.advance(to: at(60)) == .halfOpened)
        #expect(breaker.state == .halfOpen(successes: 0, until: at(63)))
        #expect(breaker.deadline == at(63))
    }

    /// Whoever is let through first may be in no hurry, and must not keep everybody out.
    @Test func `lets others find out when those before them do not come back`() {
        var breaker = halfOpen()
        #expect(breaker.probed(true, at: at(61), rule) == nil)
        #expect(breaker.advance(to: at(62.9)) == nil)
        #expect(breaker.advance(to: at(63)) == .probesOverdue)
        #expect(breaker.state == .halfOpen(successes: 1, until: at(66)))
        #expect(breaker.advance(to: at(65.9)) == nil)
        #expect(breaker.advance(to: at(66)) == .probesOverdue)
        #expect(breaker.probed(true, at: at(67), rule) == nil)
        #expect(breaker.probed(true, at: at(67), rule) == .closed)
        #expect(breaker.deadline == .never)
    }

    @Test func `has nothing to do as long as it is closed`() {
        var breaker = CircuitBreaker()
        #expect(breaker.deadline == .never)
        #expect(breaker.advance(to: at(1_000)) == nil)
    }

    @Test func `is half open as soon as a check finds a server that works`() {
        var breaker = CircuitBreaker()
        #expect(breaker.serverReturned(at: at(0)) == nil)
        _ = breaker.failing(at: at(0), rule)
        #expect(breaker.serverReturned(at: at(5)) == .halfOpened)
        #expect(breaker.state == .halfOpen(successes: 0, until: at(8)))
        #expect(breaker.serverReturned(at: at(5)) == nil)
    }

    @Test func `closes when so many requests have succeeded`() {
        var breaker = halfOpen()
        #expect(breaker.probed(true, at: at(61), rule) == nil)
        #expect(breaker.probed(true, at: at(61), rule) == nil)
        #expect(breaker.probed(true, at: at(61), rule) == .closed)
        #expect(breaker.state == .closed)
    }

    @Test func `opens again with the first that fails`() {
        var breaker = halfOpen()
        _ = breaker.probed(true, at: at(61), rule)
        #expect(breaker.probed(false, at: at(62), rule) == .opened(for: .seconds(60)))
        #expect(breaker.probed(true, at: at(62), rule) == nil)
        #expect(breaker.state == .open(until: at(122)))
    }

    /// What was under way when it opened comes back late, well or badly.
    @Test func `does not listen to requests from before`() {
        var breaker = CircuitBreaker()
        #expect(breaker.probed(true, at: at(0), rule) == nil)
        #expect(breaker.probed(false, at: at(0), rule) == nil)
        _ = breaker.failing(at: at(0), rule)
        #expect(breaker.failing(at: at(30), rule) == nil)
        #expect(breaker.state == .open(until: at(60)))
        var half = halfOpen()
        #expect(half.failing(at: at(61), rule) == nil)
        #expect(half.state == .halfOpen(successes: 0, until: at(63)))
    }

    @Test func `closes when the rule is switched off`() {
        var breaker = halfOpen()
        #expect(breaker.reset() == .closed)
        #expect(breaker.reset() == nil)
    }
}

@Suite struct `A budget of retries` {
    private func granted(_ budget: inout RetryBudget, of wanted: Int, at now: Instant) -> Int {
        (0..<wanted).count { _ in budget.takeRetry(at: now) }
    }

    @Test func `has a few for a quiet upstream`() {
        var budget = RetryBudget(at: at(0))
        #expect(granted(&budget, of: 100, at: at(0.5)) == 50)
    }

    @Test func `adds a fifth of the requests`() {
        var budget = RetryBudget(at: at(0))
        for _ in 0..<1_000 { budget.noteRequest() }
        #expect(granted(&budget, of: 1_000, at: at(0.5)) == 250)
    }

    @Test func `forgets after ten seconds`() {
        var budget = RetryBudget(at: at(0))
        for _ in 0..<1_000 { budget.noteRequest() }
        #expect(granted(&budget, of: 1_000, at: at(0.5)) == 250)
        #expect(granted(&budget, of: 10, at: at(9.5)) == 0)
        #expect(granted(&budget, of: 100, at: at(10.5)) == 50)
    }

    @Test func `counts what came in each second of the window`() {
        var budget = RetryBudget(at: at(0))
        for second in 0..<5 {
            for _ in 0..<100 { budget.noteRequest() }
            budget.advance(to: at(Double(second) + 0.5))
        }
        #expect(granted(&budget, of: 1_000, at: at(4.6)) == 150)
    }
}

@Suite struct `The answer to a health check` {
    private func verdict(_ pieces: String...) -> HealthAnswer.Verdict {
        let answer = HealthAnswer()
        var last = HealthAnswer.Verdict.incomplete
        for piece in pieces { last = answer.take(Array(piece.utf8).span) }
        return last
    }

    @Test func `is its status`() {
        #expect(verdict("HTTP/1.1 204 No Content\r\n\r\n") == .status(204))
        #expect(verdict("HTTP/1.0 503 No\r\nContent-Length: 100000000\r\n\r\nxxxx") == .status(503))
    }

    @Test func `may come in pieces`() {
        #expect(verdict("HTTP/1.1 2", "00 OK\r\nServer: x\r", "\n\r\n") == .status(200))
        #expect(verdict("HTTP/1.1 200 OK\r\nServer: x\r\n") == .incomplete)
    }

    @Test func `comes behind interim ones`() {
        #expect(verdict("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == .status(200))
        #expect(verdict(String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 100)) == .unreadable)
    }

    @Test func `is unreadable when it is no head, or a huge one`() {
        #expect(verdict("\0\u{1} garbage\r\n\r\n") == .unreadable)
        #expect(verdict("HTTP/1.1 200 OK\r\nA: \(String(repeating: "x", count: 20_000))") == .unreadable)
    }

    @Test func `is good by its status`() {
        var check = Configuration.Upstream.HealthCheck()
        #expect(check.accepts(200) && check.accepts(299) && !check.accepts(302) && !check.accepts(503))
        check.statuses = [401]
        #expect(check.accepts(401) && !check.accepts(200))
    }

    @Test func `was asked for on a connection of its own`() {
        var check = Configuration.Upstream.HealthCheck()
        check.path = "/healthz?full=1"
        let plain = String(decoding: check.request(to: "10.0.0.5:9000"), as: UTF8.self)
        #expect(
            plain == "GET /healthz?full=1 HTTP/1.1\r\nHost: 10.0.0.5:9000\r\nUser-Agent: gateway-health-check\r\n"
                + "Accept: */*\r\nConnection: close\r\n\r\n")
        check.host = "api.internal"
        let named = String(decoding: check.request(to: "10.0.0.5:9000"), as: UTF8.self)
        #expect(named.contains("\r\nHost: api.internal\r\n"))
    }

    @Test func `is asked for a tenth sooner or later than the time between two`() {
        let times = (0...255).map { Configuration.Upstream.HealthCheck.spread(.seconds(10), chance: UInt8($0)).seconds }
        #expect(times.min() == 9 && times.max() == 11)
    }
}
