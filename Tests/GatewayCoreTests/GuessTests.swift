import Glibc
import Ledger
import Policy
import Testing
import Transport
import Wire

@testable import GatewayCore
@testable import Settings

@Suite struct `A guess` {
    private func guess(_ framing: BodyFraming, head: String) -> Guess {
        var facts = RequestFacts(client: IPAddress("198.51.100.7")!)
        facts.framing = framing
        facts.headLength = head.utf8.count
        return Guess(facts, patienceEnds: .now())
    }

    /// What is said of each beginning of a login, one byte more at a time.
    private func looks(_ framing: BodyFraming, head: String, body: String) -> [String] {
        let guess = guess(framing, head: head)
        let bytes = Array((head + body).utf8)
        var words: [String] = []
        for count in head.utf8.count...bytes.count {
            switch guess.look(at: bytes.span.extracting(..<count)) {
            case .more: words.append("more")
            case .whole: words.append("whole")
            case .refused(let refusal): words.append("\(refusal.status)")
            }
        }
        return words
    }

    @Test func `is whole with the last byte of its body, and stays it`() {
        #expect(looks(.length(2), head: "HEAD", body: "ab") == ["more", "more", "whole"])
        #expect(looks(.length(2), head: "HEAD", body: "abX") == ["more", "more", "whole", "whole"])
        #expect(looks(.none, head: "HEAD", body: "") == ["whole"])
        let chunks = "1\r\na\r\n0\r\n\r\n"
        let expected = Array(repeating: "more", count: chunks.utf8.count) + ["whole"]
        #expect(looks(.chunked, head: "HEAD", body: chunks) == expected)
    }

    @Test func `with a broken chunk is refused, and stays it`() {
        #expect(looks(.chunked, head: "HEAD", body: "zz").suffix(1) == ["400"])
    }

    @Test func `is refused from one byte above 64 KiB on`() {
        #expect(!Guess.isTooLong(.length(65_536)) && Guess.isTooLong(.length(65_537)))
        let guess = guess(.chunked, head: "")
        let body = Array("10001\r\n".utf8) + Array(repeating: UInt8(ascii: "x"), count: 65_537)
        guard case .more = guess.look(at: body.span.extracting(..<(body.count - 1))) else {
            Issue.record("64 KiB are allowed")
            return
        }
        guard case .refused(.bodyTooLarge) = guess.look(at: body.span) else {
            Issue.record("one more is not")
            return
        }
    }

    @Test func `is refused before it goes anywhere when its body is longer than any may be`() {
        let body = Array("5\r\nabcde\r\n0\r\n\r\n".utf8)
        guard case .refused(.bodyTooLarge) = guess(.chunked, head: "").look(at: body.span, limit: 4) else {
            Issue.record("it is one byte too long")
            return
        }
        guard case .whole = guess(.chunked, head: "").look(at: body.span, limit: 5) else {
            Issue.record("it is as long as it may be")
            return
        }
    }

    @Test func `that has not gone with its place in time asks for another one`() {
        let guess = guess(.none, head: "")
        let now = Instant.now()
        guess.hold(at: now)
        #expect(!guess.isStale(at: now + .seconds(2)))
        #expect(guess.isStale(at: now + .milliseconds(2_001)))
    }

    @Test func `tells what its backend gets as its body, without chunks and what follows`() {
        let chunks = Array("HEAD3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\nT: 1\r\n\r\nGET /".utf8)
        #expect(guess(.chunked, head: "HEAD").payload(of: chunks.span) == Array("{\"a\":1}".utf8))
        #expect(guess(.length(2), head: "HEAD").payload(of: Array("HEADabGET".utf8).span) == Array("ab".utf8))
        #expect(guess(.none, head: "HEAD").payload(of: Array("HEADGET".utf8).span) == [])
    }

    @Test func `counts for its account, too, once that is known`() {
        let guess = guess(.none, head: "")
        #expect(guess.attempt.rules == ["login"] && guess.attempt.account == nil)
        guess.account = AccountMark(high: 1, low: 2)
        #expect(guess.attempt.rules == ["login"] && guess.attempt.account == guess.account)
    }

    @Test func `keeps its place only while the backend may have it`() {
        let guess = guess(.none, head: "")
        func word(after event: Exchange.Event) -> String {
            guess.note(event)
            return switch guess.state {
            case .collecting: "collecting"
            case .held: "held"
            case .forwarded: "forwarded"
            case .answered: "answered"
            default: "another"
            }
        }
        #expect(word(after: .connected) == "collecting")
        guess.state = .held
        #expect(word(after: .connectFailed) == "held")
        #expect(word(after: .connected) == "forwarded")
        #expect(word(after: .upstreamLost) == "forwarded", "nobody knows the verdict")
        #expect(word(after: .handshakeFailed(.upstreamDistrusts)) == "held", "the server took nothing")
        #expect(word(after: .connected) == "forwarded")
        #expect(word(after: .connectFailed) == "held", "the kept connection was gone")
        #expect(word(after: .connected) == "forwarded")
        #expect(word(after: .requestTooLarge) == "held", "nothing was sent")
        #expect(word(after: .connected) == "forwarded")
        #expect(word(after: .responseHead(failedLogin: false)) == "answered")
    }
}

/// Takes no notice.
private final class Deaf: LedgerSink {
    func ledger(changed delta: BlockDelta) {}
    func ledger(revoked delta: RevocationDelta) {}
    func ledger(shared: [SharedName: SharedText]) {}
    func ledger(noted event: LedgerEvent) {}
}

@Suite struct `The line of an address` {
    private let sink = Deaf()
    private let loop = EventLoop()

    private func rule(limit: Int, exempt: [IPNetwork] = []) -> LoginRule {
        LoginRule(limit: limit, window: .seconds(60), block: .seconds(60), exempt: exempt)
    }

    private func desk(limit: Int, _ others: [LoginRule] = []) throws -> (GuessDesk, EmbeddedLedger) {
        var template = Array("/tmp/gateway-test-XXXXXX".utf8CString)
        let path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        let rules = LoginRules([rule(limit: limit)] + others)
        let ledger = try EmbeddedLedger(rules: rules, stateDirectory: path, on: loop, sink: sink)
        ledger.start()
        return (GuessDesk(login(limit: limit), rules, ledger: ledger, on: loop), ledger)
    }

    private func login(limit: Int) -> Configuration.Login {
        .init(endpoints: [], limit: limit, window: .seconds(60), block: .seconds(60), failureStatuses: [401])
    }

    private func request(
        of client: String = "198.51.100.7", patience: Interval = .seconds(60), rules: [String] = ["login"]
    ) -> GuessRequest {
        GuessRequest(
            worker: 0, ticket: 0, guess: LoginAttempt(id: .random(), address: IPAddress(client)!, rules: rules),
            length: .seconds(60), patienceEnds: .now() + patience)
    }

    /// The login failed, by all of its rules.
    private func fail(_ guess: LoginAttempt, _ desk: GuessDesk, _ ledger: EmbeddedLedger) {
        for place in desk.places(of: guess) { ledger.recordFailure(place, now: .now()) { _ in desk.counted(place) } }
    }

    @Test func `is one for all addresses of an IPv6 prefix`() throws {
        let (desk, ledger) = try desk(limit: 1)
        var answers: [GuessAnswer] = []
        let first = request(of: "2001:db8:1:2::1")
        for one in [first, request(of: "2001:db8:1:2:ffff::2"), request(of: "2001:db8:1:3::1")] {
            desk.reserve(one) { answers.append($0) }
        }
        #expect(answers.count == 2 && desk.waiting == 1, "the third is of another prefix")
        fail(first.guess, desk, ledger)
        #expect(answers.count == 3 && desk.waiting == 0)
        if case .blocked = answers.last {} else { Issue.record("it was let go") }
    }

    @Test func `moves up as places are given back, in the order of coming`() throws {
        let (desk, _) = try desk(limit: 2)
        var served: [Int] = []
        let requests = (0..<6).map { _ in request() }
        for (number, request) in requests.enumerated() { desk.reserve(request) { _ in served.append(number) } }
        #expect(served == [0, 1] && desk.waiting == 4)
        desk.ended(requests[1].guess, isReturned: true)
        desk.ended(requests[0].guess, isReturned: true)
        #expect(served == [0, 1, 2, 3])
        // Of this one nobody knows what became of it: its place is kept.
        desk.ended(requests[2].guess, isReturned: false)
        #expect(served == [0, 1, 2, 3] && desk.waiting == 2)
    }

    @Test func `of several rules has a place under each, or none`() throws {
        let mfa = LoginRule("mfa", limit: 1, window: .seconds(60), block: .seconds(60), exempt: [])
        let (desk, ledger) = try desk(limit: 2, [mfa])
        var served: [Int] = []
        let requests = [["login", "mfa"], ["mfa", "login"], ["login"], ["mfa"]].map { request(rules: $0) }
        for (number, request) in requests.enumerated() { desk.reserve(request) { _ in served.append(number) } }
        // The second has not kept its place by the first rule, or the third would have found none.
        #expect(served == [0, 2] && desk.waiting == 2)
        desk.ended(requests[0].guess, isReturned: true)
        #expect(served == [0, 2, 1] && desk.waiting == 1)
        desk.ended(requests[1].guess, isReturned: true)
        #expect(served == [0, 2, 1, 3] && desk.waiting == 0)
        // Places by both rules are free again but for what the third and the fourth have.
        let last = request(rules: ["login", "mfa"])
        desk.reserve(last) { _ in served.append(9) }
        #expect(desk.waiting == 1)
        desk.ended(requests[3].guess, isReturned: true)
        #expect(served.last == 9)
        fail(last.guess, desk, ledger)
        #expect(ledger.blocks().map(\.reason) == ["failed_logins:mfa"])
        #expect(ledger.blocks().first?.origin == .automatic(failures: 1))
    }

    @Test func `gives back the place that was taken, though another prefix is counted by since`() throws {
        let (desk, ledger) = try desk(limit: 1)
        func adopt(prefix: Int) {
            let rules = LoginRules(
                LoginRule(limit: 1, window: .seconds(60), block: .seconds(60), exempt: [], ipv6Prefix: prefix))
            desk.adopt(rules)
            ledger.adopt(rules)
        }
        let first = request(of: "2001:db8:1:2::1")
        desk.reserve(first) { _ in }
        adopt(prefix: 56)
        desk.ended(first.guess, isReturned: true)
        adopt(prefix: 64)
        var served = 0
        desk.reserve(request(of: "2001:db8:1:2::2")) { if case .granted = $0 { served += 1 } }
        #expect(served == 1)
    }

    @Test func `is the one that it was when somebody of it is spared from now on`() throws {
        let (desk, ledger) = try desk(limit: 1)
        var served: [Int] = []
        let first = request(of: "2001:db8:1:2::1")
        for (number, one) in [first, request(of: "2001:db8:1:2::2"), request(of: "2001:db8:1:2::3")].enumerated() {
            desk.reserve(one) { _ in served.append(number) }
        }
        let spared = LoginRules(rule(limit: 1, exempt: [IPNetwork("2001:db8:1:2::1")!]))
        ledger.adopt(spared)
        desk.adopt(spared)
        desk.ended(first.guess, isReturned: true)
        #expect(served == [0, 1], "nobody has to look")
    }

    @Test func `tells whoever gives places from now on of those that are left to end`() throws {
        let (desk, _) = try desk(limit: 3)
        let (lost, returned, held) = (request(), request(), request())
        for one in [lost, returned, held] { desk.reserve(one) { _ in } }
        desk.ended(lost.guess, isReturned: false)
        desk.ended(returned.guess, isReturned: true)
        var told: Set<FailureID> = []
        desk.leave { if case .reserve(let guess, _) = $0 { told.insert(guess.id) } }
        #expect(told == [lost.guess.id, held.guess.id])
    }

    @Test func `keeps the turn of whoever is first, however many come while the ledger is asked`() throws {
        let (desk, _) = try desk(limit: 1)
        // Another process gives places, and takes its time.
        desk.leave(to: { _ in })
        var refused: [Int] = []
        let requests = (0..<GuessDesk.longestLine + 2).map { _ in request() }
        for (number, request) in requests.enumerated() {
            desk.reserve(request) { if case .busy = $0 { refused.append(number) } }
        }
        #expect(refused == [GuessDesk.longestLine + 1] && desk.waiting == GuessDesk.longestLine)
        desk.successorReserved(requests[0].guess.id, Reservation(.full, by: .authority))
        #expect(refused == [GuessDesk.longestLine + 1] && desk.waiting == GuessDesk.longestLine + 1)
    }

    @Test func `closes up behind whoever has gone`() throws {
        let (desk, _) = try desk(limit: 1)
        var served: [Int] = []
        let requests = (0..<4).map { _ in request() }
        for (number, request) in requests.enumerated() { desk.reserve(request) { _ in served.append(number) } }
        desk.withdraw(requests[1].guess)
        desk.withdraw(requests[1].guess)
        #expect(desk.waiting == 2)
        desk.withdraw(requests[0].guess)
        #expect(desk.waiting == 2, "it does not wait any more")
        desk.ended(requests[0].guess, isReturned: true)
        #expect(served == [0, 2] && desk.waiting == 1)
        desk.withdraw(requests[3].guess)
        #expect(served == [0, 2] && desk.waiting == 0)
    }

    @Test func `has no place for whoever has gone while the ledger was asked about him`() throws {
        let (desk, _) = try desk(limit: 2)
        // Another process gives places, and takes its time.
        var asked: [FailureID] = []
        desk.leave { if case .reserve(let guess, _) = $0 { asked.append(guess.id) } }
        var answers = 0
        let (gone, other) = (request(), request())
        for one in [gone, other] { desk.reserve(one) { _ in answers += 1 } }
        desk.withdraw(gone.guess)
        for one in [gone, other] { desk.successorReserved(one.guess.id, Reservation(.full, by: .authority)) }
        #expect((answers, desk.waiting) == (0, 0))
        #expect(asked == [gone, other, other].map(\.guess.id), "the other is first now")
    }

    @Test func `is told of the block all at once`() throws {
        let (desk, ledger) = try desk(limit: 1)
        var answers: [GuessAnswer] = []
        let first = request()
        desk.reserve(first) { answers.append($0) }
        for _ in 0..<3 { desk.reserve(request()) { answers.append($0) } }
        #expect(answers.count == 1 && desk.waiting == 3)
        fail(first.guess, desk, ledger)
        #expect(answers.count == 4 && desk.waiting == 0)
        #expect(answers.dropFirst().allSatisfy { if case .blocked = $0 { true } else { false } })
    }

    @Test func `of an account is told until when that is locked`() throws {
        let pairs = LoginRule("accounts", by: .pair, limit: 1, window: .seconds(60), block: .seconds(900), exempt: [])
        let (desk, ledger) = try desk(limit: 9, [pairs])
        func login(_ mark: UInt64) -> GuessRequest {
            GuessRequest(
                worker: 0, ticket: 0,
                guess: LoginAttempt(
                    id: .random(), address: IPAddress("198.51.100.7")!, rules: ["login", "accounts"],
                    account: AccountMark(high: 0, low: mark)),
                length: .seconds(60), patienceEnds: .now() + .seconds(60))
        }
        var ends: [Instant?] = []
        var granted = 0
        let take: (GuessAnswer) -> Void = { answer in
            switch answer {
            case .locked(let end): ends.append(end)
            case .granted: granted += 1
            default: Issue.record("\(answer)")
            }
        }
        let first = login(1)
        for one in [first, login(1), login(1), login(2)] { desk.reserve(one, answer: take) }
        #expect(granted == 2 && desk.waiting == 2)
        fail(first.guess, desk, ledger)
        desk.reserve(login(1), answer: take)
        #expect(ends.count == 3 && desk.waiting == 0)
        #expect(ends.allSatisfy { $0.map { $0 > .now() + .seconds(890) } == true })
        #expect(ledger.blocks() == [])
    }

    @Test func `ends with the patience of who stands in it, and has room for 256`() throws {
        let (desk, _) = try desk(limit: 1)
        var busy = 0
        desk.reserve(request()) { _ in }
        for _ in 0..<GuessDesk.longestLine + 3 {
            desk.reserve(request(patience: .milliseconds(20))) { if case .busy = $0 { busy += 1 } }
        }
        #expect(busy >= 3)
        let end = Instant.now() + .seconds(20)
        while desk.waiting > 0, Instant.now() < end { loop.turn() }
        #expect(busy == GuessDesk.longestLine + 3)
    }
}
