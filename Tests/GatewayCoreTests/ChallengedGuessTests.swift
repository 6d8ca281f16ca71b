import Glibc
import Ledger
import Policy
import Telemetry
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

/// Takes no notice.
private final class Deaf: LedgerSink {
    func ledger(changed delta: BlockDelta) {}
    func ledger(revoked delta: RevocationDelta) {}
    func ledger(shared: [SharedName: SharedText]) {}
    func ledger(noted event: LedgerEvent) {}
}

@Suite struct `Logins where some have failed` {
    private let sink = Deaf()
    private let loop = EventLoop()
    private let later = WallTime.now() + .seconds(600)

    private func desk(after threshold: Int? = 2, limit: Int = 4) throws -> (GuessDesk, EmbeddedLedger) {
        var template = Array("/tmp/gateway-test-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        var rule = LoginRule(limit: limit, window: .seconds(60), block: .seconds(60), exempt: [])
        rule.challengeAfter = threshold
        let rules = LoginRules(rule)
        let ledger = try EmbeddedLedger(rules: rules, stateDirectory: path, on: loop, sink: sink)
        ledger.start()
        var login = Configuration.Login(
            endpoints: [], limit: limit, window: .seconds(60), block: .seconds(60), failureStatuses: [401])
        login.challenge = Configuration.Login.Challenge()
        let desk = GuessDesk(login, rules, ledger: ledger, on: loop)
        let logs = try LogWriter(LogTargets(access: .off, audit: .off, operational: .off), spillPath: nil)
        desk.challenges = ChallengeDesk(
            login, trust: nil, on: loop, log: OperationalLog(logs, level: .error), metrics: ChallengeMetrics())
        return (desk, ledger)
    }

    private func request(
        _ solution: PresentedSolution = .nothing, of client: String = "198.51.100.7", solver: FailureID? = nil
    ) -> GuessRequest {
        GuessRequest(
            worker: 0, ticket: 0, guess: LoginAttempt(id: .random(), address: IPAddress(client)!),
            length: .seconds(60), patienceEnds: .now() + .seconds(60), solution: solution, solver: solver)
    }

    private func work(_ number: UInt64) -> PresentedSolution {
        .work(SolutionID(high: 7, low: number), until: later)
    }

    private func fail(_ request: GuessRequest, _ desk: GuessDesk, _ ledger: EmbeddedLedger) {
        for place in desk.places(of: request.guess) {
            ledger.recordFailure(place, now: .now()) { _ in desk.counted(place) }
        }
    }

    /// What each was answered, in a word; nil: it waits.
    private final class Answers {
        var words: [Int: String] = [:]

        func take(_ number: Int) -> (GuessAnswer) -> Void {
            { [self] in
                switch $0 {
                case .granted: words[number] = "go"
                case .challenged(.work): words[number] = "solve"
                case .blocked: words[number] = "blocked"
                default: words[number] = "\($0)"
                }
            }
        }
    }

    @Test func `wait for the verdicts of as many as may go without a solution, and are challenged then`() throws {
        let (desk, ledger) = try desk()
        let answers = Answers()
        let requests = (0..<5).map { _ in request() }
        for (number, request) in requests.enumerated() { desk.reserve(request, answer: answers.take(number)) }
        #expect(answers.words == [0: "go", 1: "go"] && desk.waiting == 3)
        fail(requests[0], desk, ledger)
        #expect(answers.words.count == 2, "one may still fail")
        fail(requests[1], desk, ledger)
        #expect(answers.words == [0: "go", 1: "go", 2: "solve", 3: "solve", 4: "solve"] && desk.waiting == 0)
    }

    @Test func `go on as others succeed`() throws {
        let (desk, _) = try desk()
        let answers = Answers()
        let requests = (0..<3).map { _ in request() }
        for (number, request) in requests.enumerated() { desk.reserve(request, answer: answers.take(number)) }
        desk.ended(requests[0].guess, isReturned: true)
        #expect(answers.words == [0: "go", 1: "go", 2: "go"])
    }

    @Test func `go on with a solution, until the limit`() throws {
        let (desk, ledger) = try desk()
        let answers = Answers()
        for number in 0..<6 {
            let one = request(number < 2 ? .nothing : work(UInt64(number)))
            desk.reserve(one, answer: answers.take(number))
            if answers.words[number] == "go" { fail(one, desk, ledger) }
        }
        #expect(answers.words == [0: "go", 1: "go", 2: "go", 3: "go", 4: "blocked", 5: "blocked"])
    }

    @Test func `use up a solution each, at once and one after the other`() throws {
        let (desk, ledger) = try desk(limit: 9)
        let answers = Answers()
        for _ in 0..<2 {
            let one = request()
            desk.reserve(one) { _ in }
            fail(one, desk, ledger)
        }
        let together = [request(work(1)), request(work(1)), request(work(2))]
        for (number, one) in together.enumerated() { desk.reserve(one, answer: answers.take(number)) }
        #expect(answers.words == [0: "go", 1: "solve", 2: "go"])
        fail(together[0], desk, ledger)
        desk.reserve(request(work(1)), answer: answers.take(3))
        #expect(answers.words[3] == "solve")
        // The same login, which has lost its place while it waited for something else.
        desk.reserve(request(work(1), solver: together[0].guess.id), answer: answers.take(4))
        #expect(answers.words[4] == "go")
    }

    @Test func `keep the solution that they did not use`() throws {
        let (desk, ledger) = try desk(limit: 3)
        let answers = Answers()
        for _ in 0..<2 {
            let one = request()
            desk.reserve(one) { _ in }
            fail(one, desk, ledger)
        }
        let first = request(work(1))
        let second = request(work(2))
        desk.reserve(first, answer: answers.take(0))
        desk.reserve(second, answer: answers.take(1))
        #expect(answers.words == [0: "go"], "it waits for the verdict on the third")
        desk.withdraw(second.guess)
        desk.ended(first.guess, isReturned: true)
        desk.reserve(request(work(2)), answer: answers.take(2))
        #expect(answers.words[2] == "go")
    }

    @Test func `make room for those with a solution when their line is full`() throws {
        let (desk, _) = try desk()
        let answers = Answers()
        for number in 0..<2 + GuessDesk.longestLine { desk.reserve(request(), answer: answers.take(number)) }
        #expect(answers.words == [0: "go", 1: "go"] && desk.waiting == GuessDesk.longestLine)
        desk.reserve(request(work(1)), answer: answers.take(1_000))
        #expect(answers.words == [0: "go", 1: "go", 1 + GuessDesk.longestLine: "busy"])
        #expect(desk.waiting == GuessDesk.longestLine)
        desk.reserve(request(), answer: answers.take(1_001))
        #expect(answers.words[1_001] == "busy" && answers.words[1_000] == nil)
    }

    @Test func `of other addresses are not concerned`() throws {
        let (desk, ledger) = try desk()
        let answers = Answers()
        for _ in 0..<2 {
            let one = request()
            desk.reserve(one) { _ in }
            fail(one, desk, ledger)
        }
        desk.reserve(request(of: "198.51.100.8"), answer: answers.take(0))
        desk.reserve(request(.wrong), answer: answers.take(1))
        #expect(answers.words == [0: "go", 1: "solve"])
    }

    @Test func `are challenged by no rule with a limit as low`() throws {
        let (desk, ledger) = try desk(after: 3, limit: 3)
        let answers = Answers()
        for number in 0..<4 {
            let one = request()
            desk.reserve(one, answer: answers.take(number))
            fail(one, desk, ledger)
        }
        #expect(answers.words == [0: "go", 1: "go", 2: "go", 3: "blocked"])
    }
}
