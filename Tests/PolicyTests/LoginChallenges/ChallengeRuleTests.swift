import Crypto
import Testing

@testable import Policy
@testable import Settings
@testable import Wire

/// The house with challenges of 8 bits, which a test solves at once.
func challengedHouse(_ change: (inout Configuration) -> Void = { _ in }) -> Configuration {
    var configuration = House.configuration()
    var challenge = Configuration.Login.Challenge()
    challenge.difficulty = 8
    challenge.secret = Secret("0123456789abcdef0123456789abcdef")
    configuration.login.challenge = challenge
    change(&configuration)
    return configuration
}

/// Tries numbers from `first` on.
func solve(_ nonce: WorkNonce, from first: Int = 0) -> String {
    var number = first
    while true {
        let text = "\(nonce.text).\(number)"
        if WorkNonce.leadingZeros(of: Bytes.sha256(Array(text.utf8).span)) >= nonce.difficulty { return text }
        number += 1
    }
}

@Suite struct `A challenge of work` {
    private static let client = IPAddress("198.51.100.7")!
    private static let now = WallTime(seconds: 1_700_000_000)
    private static let salt: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7]
    /// Made elsewhere: HMAC-SHA-256 with HMAC-SHA-256(secret, "gateway login challenges") as its key, over what is in front
    /// of the seal, the 16 bytes of the address and the number of its bits.
    private static let known = "AQBlU_NYCAABAgMEBQYHaVEcZEJ_z6PXNuc3rTHFsg"
    private static let solution = known + ".181"
    private static let good = PresentedSolution.work(
        SolutionID(high: 0x6951_1c64_427f_cfa3, low: 0xd736_e737_ad31_c5b2), until: WallTime(seconds: 1_700_000_600))

    private func rule(_ change: (inout Configuration) -> Void = { _ in }) throws -> ChallengeRule {
        try #require(ChallengeRule(challengedHouse(change)))
    }

    private func judge(
        _ text: String, from address: IPAddress = client, at time: WallTime = now, _ rule: ChallengeRule? = nil
    ) throws -> PresentedSolution {
        try (rule ?? self.rule()).judge(Array(text.utf8).span, from: address, at: time)
    }

    @Test func `is the same for every replica`() throws {
        let nonce = try #require(try rule().nonce(for: Self.client, at: Self.now, salt: Self.salt))
        #expect(nonce.text == Self.known)
        #expect(nonce.expiresAt.text == "2023-11-14T22:23:20.000Z")
        #expect(solve(nonce) == Self.solution)
    }

    @Test func `is solved until its time is over`() throws {
        #expect(try judge(Self.solution) == Self.good)
        #expect(try judge(Self.solution, at: WallTime(milliseconds: 1_700_000_599_999)) == Self.good)
        #expect(try judge(Self.solution, at: WallTime(seconds: 1_700_000_600)) == .wrong)
    }

    @Test func `is solved with any number that fits`() throws {
        let nonce = try #require(try rule().nonce(for: Self.client, at: Self.now, salt: Self.salt))
        let another = solve(nonce, from: 182)
        #expect(another != Self.solution)
        #expect(try judge(another) == Self.good, "and is the same solution")
        #expect(try judge(Self.known + ".180") == .wrong)
    }

    @Test func `is another one for another address, secret or moment`() throws {
        #expect(try judge(Self.solution, from: IPAddress("198.51.100.8")!) == .wrong)
        let other = try rule { $0.login.challenge?.secret = Secret("0123456789abcdef0123456789abcdeF") }
        #expect(try judge(Self.solution, other) == .wrong)
        let rule = try rule()
        let one = try #require(rule.nonce(for: Self.client, at: Self.now))
        #expect(rule.nonce(for: Self.client, at: Self.now) != one, "nobody foretells it")
        #expect(try judge(solve(one)) != .wrong)
    }

    @Test func `is of a whole IPv6 prefix, as failures are`() throws {
        let nonce = try #require(try rule().nonce(for: IPAddress("2001:db8:7:2::1")!, at: Self.now))
        #expect(try judge(solve(nonce), from: IPAddress("2001:db8:7:2:ffff::2")!) != .wrong)
        #expect(try judge(solve(nonce), from: IPAddress("2001:db8:7:3::1")!) == .wrong)
    }

    /// Each of its bytes is under the seal, the difficulty and the end among them.
    @Test(arguments: 0..<31) func `is forged in no byte`(place: Int) throws {
        let known = Array(Self.known.utf8)
        var bytes = Base64URL.decode(known.span) ?? []
        try #require(bytes.count == 31)
        bytes[place] ^= 1
        let forged = Base64URL.encode(bytes.span)
        // With the work done, so that it is the seal that tells.
        for number in 0..<100_000 {
            let text = "\(forged).\(number)"
            guard WorkNonce.leadingZeros(of: Bytes.sha256(Array(text.utf8).span)) >= 9 else { continue }
            #expect(try judge(text) == .wrong)
            return
        }
        Issue.record("no solution was found")
    }

    private static let others: [String] = {
        var texts = ["", ".", "1", known, String(repeating: "A", count: 45), String(repeating: ".", count: 8_000)]
        texts += ["\u{0}\u{1}", "ä"]
        texts += [".", ".x", ".-1", ". 1", ".1234567890123", "181", "..181", ".181,"].map { known + $0 }
        let shorter = String(known.dropLast())
        texts += ["=" + String(known.dropFirst()), shorter + "h", shorter, known.replacing("_", with: "/")].map {
            $0 + ".181"
        }
        return texts
    }()

    @Test(arguments: others)
    func `is not solved by what is none`(text: String) throws { #expect(try judge(text) == .wrong) }

    @Test func `that was easier is not good enough once it is harder`() throws {
        let harder = try rule { $0.login.challenge?.difficulty = 9 }
        #expect(try judge(Self.solution, harder) == .wrong)
        let easier = try rule { $0.login.challenge?.difficulty = 7 }
        #expect(try judge(Self.solution, easier) == Self.good)
    }

    @Test func `is sealed by the process where there is no secret, over reloads`() throws {
        let nameless = { try self.rule { $0.login.challenge?.secret = nil } }
        let nonce = try #require(try nameless().nonce(for: Self.client, at: Self.now))
        #expect(try judge(solve(nonce), nameless()) != .wrong)
        #expect(try judge(solve(nonce)) == .wrong)
    }

    @Test func `is posed to nobody unless it is configured`() {
        #expect(ChallengeRule(House.configuration()) == nil)
    }

    @Test func `counts zero bits over bytes`() {
        #expect(WorkNonce.leadingZeros(of: [0x80, 0]) == 0)
        #expect(WorkNonce.leadingZeros(of: [0, 0x1f, 0]) == 11)
        #expect(WorkNonce.leadingZeros(of: [0, 0, 0]) == 24)
    }
}

@Suite struct `The token of a CAPTCHA` {
    private static let client = IPAddress("198.51.100.7")!

    private func judge(
        _ text: String, from address: IPAddress = client, whenAway: Configuration.Login.Siteverify.WhenAway
    )
        throws -> PresentedSolution
    {
        let configuration = challengedHouse {
            var siteverify = Configuration.Login.Siteverify(
                .turnstile, url: WebAddress("https://captcha.example.org/verify")!, siteKey: "site",
                secret: Secret("s3cret-s3cret"))
            siteverify.whenAway = whenAway
            $0.login.challenge?.siteverify = siteverify
        }
        let rule = try #require(ChallengeRule(configuration))
        return rule.judge(Array(text.utf8).span, from: address, at: WallTime(seconds: 1_700_000_000))
    }

    private func id(_ solution: PresentedSolution) -> SolutionID? {
        if case .token(_, let id) = solution { id } else { nil }
    }

    @Test func `is told apart by its bytes and by who shows it`() throws {
        let one = try judge("0.token", whenAway: .refuse)
        #expect(one == .token(Array("0.token".utf8), try #require(id(one))))
        #expect(try id(one) == id(judge("0.token", whenAway: .refuse)))
        #expect(try id(one) != id(judge("0.tokeN", whenAway: .refuse)))
        #expect(try id(one) != id(judge("0.token", from: IPAddress("198.51.100.8")!, whenAway: .refuse)))
    }

    @Test(arguments: ["", "a b", "a\tb", "a\u{7f}", "ä", String(repeating: "a", count: 8_193)])
    func `is none with other characters, or too many`(text: String) throws {
        #expect(try judge(text, whenAway: .refuse) == .wrong)
    }

    @Test func `has work in its place only where that is asked for instead`() throws {
        let work = "AQBlU_NYCAABAgMEBQYHaVEcZEJ_z6PXNuc3rTHFsg.181"
        if case .work = try judge(work, whenAway: .proofOfWork) {} else { Issue.record("it is as good as the other") }
        #expect(try judge(work, whenAway: .refuse) == .wrong)
        #expect(try judge(work, whenAway: .allow) == .wrong)
    }
}

@Suite struct `Failures in front of a challenge` {
    @Test func `are those of the plain rule, and of no other one`() {
        let configuration = challengedHouse {
            $0.login.rules = [
                .init(
                    name: "slow", kind: .login, endpoints: [], failureStatuses: [401], limit: 50,
                    window: .seconds(30 * 86_400), block: .seconds(60))
            ]
        }
        let rules = LoginRules(configuration)
        let address = IPNetwork(IPAddress("203.0.113.7")!)
        let key = { (rule: String) in LoginKey(rule: rule, address) }
        #expect(rules.plain.challengeThreshold(under: key(LoginRule.plainName)) == 3)
        #expect(rules["slow"].challengeThreshold(under: key("slow")) == nil)
    }

    @Test func `are as near to the limit at an address that many share`() {
        var configuration = challengedHouse()
        configuration.accounts = .init(members: ["user"], secret: Secret("0123456789abcdef0123456789abcdef"))
        let address = IPNetwork(IPAddress("203.0.113.7")!)
        let rules = LoginRules(configuration, shared: [address])
        #expect(rules.plain.challengeThreshold(under: LoginKey(address)) == 98)
        #expect(rules.plain.challengeThreshold(under: LoginKey(IPNetwork(IPAddress("203.0.113.8")!))) == 3)
    }
}

@Suite struct `The book of solutions` {
    private let now = WallTime(seconds: 1_700_000_000)
    private let later = WallTime(seconds: 1_700_000_600)
    private let one = SolutionID(high: 1, low: 1)
    private let guesses = (0..<3).map { FailureID(high: 9, low: UInt64($0)) }

    @Test func `gives each solution to one guess, which may ask again`() {
        var book = SolutionBook()
        #expect(book.claim(one, for: guesses[0], until: later, at: now) == .granted)
        #expect(book.claim(one, for: guesses[1], until: later, at: now) == .spent)
        #expect(book.claim(one, for: guesses[0], until: later, at: now) == .granted)
        #expect(book.claim(SolutionID(high: 1, low: 2), for: guesses[1], until: later, at: now) == .granted)
    }

    @Test func `takes one back from the guess that has it`() {
        var book = SolutionBook()
        _ = book.claim(one, for: guesses[0], until: later, at: now)
        book.giveBack(one, by: guesses[1])
        #expect(book.claim(one, for: guesses[1], until: later, at: now) == .spent)
        book.giveBack(one, by: guesses[0])
        #expect(book.claim(one, for: guesses[1], until: later, at: now) == .granted)
        #expect(book.claim(one, for: guesses[0], until: later, at: now) == .spent)
    }

    @Test func `knows tokens that were found good, until their time is over`() {
        var book = SolutionBook()
        #expect(book.claim(one, for: guesses[0], until: nil, at: now) == .unknown)
        book.learn(one, until: later)
        #expect(book.claim(one, for: guesses[0], until: nil, at: now) == .granted)
        #expect(book.claim(one, for: guesses[1], until: nil, at: now) == .spent)
        #expect(book.claim(one, for: guesses[1], until: nil, at: later) == .unknown)
    }

    /// On its way from the worker: what has ended is forgotten, and could be claimed again.
    @Test func `gives out none that has ended`() {
        var book = SolutionBook()
        #expect(book.claim(one, for: guesses[0], until: now, at: now) == .unknown)
        #expect(book.claim(one, for: guesses[0], until: later, at: now) == .granted)
        #expect(book.claim(one, for: guesses[1], until: later, at: later) == .unknown)
    }

    @Test func `forgets the oldest when it is full`() {
        var book = SolutionBook(half: 4)
        for number in 0..<100 {
            #expect(
                book.claim(SolutionID(high: 0, low: UInt64(number)), for: guesses[0], until: later, at: now) == .granted
            )
            #expect(book.count <= 8)
        }
        for number in 96..<100 {
            #expect(
                book.claim(SolutionID(high: 0, low: UInt64(number)), for: guesses[1], until: later, at: now) == .spent)
        }
    }
}
