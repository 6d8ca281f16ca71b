internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Challenges on the control thread: knows which solutions are used up, and asks the provider of CAPTCHAs about its tokens,
/// a bounded number at a time and each of them once.
final class ChallengeDesk {
    private typealias Siteverify = Configuration.Login.Siteverify

    /// What becomes of a login that is to be challenged.
    enum Step {
        /// It has done what was asked.
        case go
        case pose(PosedKind)
        /// Nobody can say whether it has.
        case refuse
    }

    private enum Verdict {
        case good, bad
        /// It cannot be known at the moment.
        case away
        /// It was not asked, since whoever sends logins has it asked too much.
        case crowded
    }

    private struct Question {
        let fetch: DocumentFetch
        /// Whose logins brought the token.
        let subject: IPNetwork
        let asked: Instant
        var asking: [(Verdict) -> Void]
    }

    private let loop: EventLoop
    private let log: OperationalLog
    private let metrics: ChallengeMetrics
    /// Of its own: a provider that cannot be found keeps nobody else waiting.
    private lazy var resolver = ResolverPort(Resolver(), on: loop, memory: .seconds(60))
    private let reader = SiteverifyReader()
    private var challenge: Configuration.Login.Challenge?
    private var tls: TLSClientContext?
    private var book = SolutionBook()
    private var questions: [SolutionID: Question] = [:]
    private var quota = TokenQuota()
    private var sparing = ProviderBreaker()
    private var trail = ProviderTrail()

    init(
        _ login: Configuration.Login, trust: TLSClientContext?, on loop: EventLoop, log: OperationalLog,
        metrics: ChallengeMetrics
    ) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
        challenge = login.challenge
        tls = trust
    }

    /// Takes over a configuration. Questions that are open have their answers from whom they were put to.
    func adopt(_ login: Configuration.Login, trust: TLSClientContext?) {
        tls = trust
        if challenge?.siteverify != login.challenge?.siteverify {
            sparing = ProviderBreaker()
            trail = ProviderTrail()
            quota.forgetBad()
        }
        challenge = login.challenge
    }

    /// Nothing is to be done for a login.
    var isOff: Bool { challenge == nil }

    // MARK: Solutions

    /// Whether the login brings a solution that is known to be good; from now on that is its own.
    func accepts(_ request: GuessRequest) -> Bool {
        guard !isOff else { return false }
        return claim(request) == .granted
    }

    private func claim(_ request: GuessRequest) -> SolutionBook.Claim {
        let solver = request.solver ?? request.guess.id
        switch request.solution {
        case .nothing, .wrong: return .unknown
        case .work(let id, let until): return book.claim(id, for: solver, until: until, at: .now())
        case .token(_, let id): return book.claim(id, for: solver, until: nil, at: .now())
        }
    }

    /// The login goes on with it.
    func used(_ request: GuessRequest) {
        guard let id = request.solution.id, let kind = request.solution.kind,
            book.isHeld(id, by: request.solver ?? request.guess.id)
        else { return }
        metrics.count(kind, .solved)
    }

    /// The login did not go.
    func giveBack(_ request: GuessRequest) {
        guard let id = request.solution.id else { return }
        book.giveBack(id, by: request.solver ?? request.guess.id)
    }

    // MARK: Challenging

    /// So many have failed before this login, and what it brings was not accepted.
    /// - Parameter subject: whose failures those are.
    func meet(_ request: GuessRequest, of subject: IPNetwork, then next: @escaping (Step) -> Void) {
        guard case .token(let token, let id) = request.solution, let siteverify = challenge?.siteverify else {
            if let kind = request.solution.kind { metrics.count(kind, .spent) }
            if case .wrong = request.solution { metrics.count(.proofOfWork, .wrong) }
            return next(stepWithout(.now()))
        }
        switch claim(request) {
        case .granted: return next(.go)
        case .spent:
            metrics.count(.siteverify, .spent)
            return next(pose(.captcha))
        case .unknown: break
        }
        ask(siteverify, token, id, of: subject, request.guess.address) { [unowned self] verdict in
            switch verdict {
            case .good where claim(request) == .granted: next(.go)
            case .good:
                metrics.count(.siteverify, .spent)
                next(pose(.captcha))
            case .bad:
                metrics.count(.siteverify, .wrong)
                next(pose(.captcha))
            case .away: next(stepWhenAway)
            case .crowded: next(stepWhenCrowded)
            }
        }
    }

    private func pose(_ kind: PosedKind) -> Step {
        metrics.count(kind == .captcha ? .siteverify : .proofOfWork, .posed)
        return .pose(kind)
    }

    /// Of a login that brings nothing.
    private func stepWithout(_ now: Instant) -> Step {
        guard let siteverify = challenge?.siteverify else { return pose(.work) }
        guard sparing.spares(at: now) else { return pose(.captcha) }
        switch siteverify.whenAway {
        case .proofOfWork: return pose(.work)
        case .allow: return .go
        // It may be back when the CAPTCHA is solved.
        case .refuse: return pose(.captcha)
        }
    }

    private var stepWhenAway: Step {
        switch challenge?.siteverify?.whenAway {
        case .allow: .go
        case .refuse: .refuse
        case .proofOfWork, nil: pose(.work)
        }
    }

    /// It lies with those who send logins, so nobody is let off with less than the CAPTCHA.
    private var stepWhenCrowded: Step {
        challenge?.siteverify?.whenAway == .refuse ? .refuse : pose(.captcha)
    }

    // MARK: Asking the provider

    private func ask(
        _ siteverify: Siteverify, _ token: [UInt8], _ id: SolutionID, of subject: IPNetwork, _ client: IPAddress,
        then done: @escaping (Verdict) -> Void
    ) {
        if questions[id] != nil {
            questions[id]?.asking.append(done)
            return
        }
        let now = Instant.now()
        // Whether it is away comes last: whoever is allowed to ask must ask.
        let reason: Verdict? =
            if !quota.allows(subject, at: now) {
                .bad
            } else if questions.count >= siteverify.maximumPending {
                .crowded
            } else if siteverify.url.isSecure && tls == nil || !sparing.allows(at: now) {
                .away
            } else {
                nil
            }
        if let reason {
            metrics.count(.spared)
            return done(reason)
        }
        quota.asked(subject)
        let fetch = DocumentFetch(
            siteverify.url, asking: SiteverifyRequest.bytes(about: token, of: client, siteverify),
            maximumBytes: SiteverifyReader.maximumBytes, tls: siteverify.url.isSecure ? tls : nil,
            timeout: siteverify.timeout, on: loop, resolver: resolver
        ) { [unowned self] in ended($0, id, siteverify) }
        questions[id] = Question(fetch: fetch, subject: subject, asked: now, asking: [done])
    }

    private func ended(
        _ result: Result<FetchedDocument, ProviderProblem>, _ id: SolutionID, _ siteverify: Siteverify
    ) {
        guard let question = questions.removeValue(forKey: id) else { return }
        // It is the caller.
        loop.atEndOfTurn { withExtendedLifetime(question.fetch) {} }
        let now = Instant.now()
        let life = challenge?.life ?? .zero
        let verdict: Verdict
        switch result {
        case .success(let document):
            sparing.succeeded()
            verdict = judge(reader.read(document.bytes, siteverify, life: life, at: .now()), siteverify)
        // Its considered word, and be it that it does not understand the token: else whoever makes up tokens that it chokes
        // on would be let off with less.
        case .failure(let problem) where isWord(problem, siteverify):
            sparing.succeeded()
            failed(problem.description, siteverify)
            verdict = .bad
        case .failure(let problem):
            if sparing.failed(at: now, asked: question.asked) { tellOfSparing(siteverify) }
            failed(problem.description, siteverify)
            verdict = .away
        }
        if case .good = verdict { book.learn(id, until: .now() + life) }
        quota.answered(question.subject, isBad: verdict == .bad, at: now)
        for done in question.asking { done(verdict) }
    }

    /// Whether it is said of the token. That it was asked too much is not; but where logins went on without it, whoever asks too
    /// much would be served.
    private func isWord(_ problem: ProviderProblem, _ siteverify: Siteverify) -> Bool {
        problem.isAnswer && (!problem.isRationed || siteverify.whenAway == .allow)
    }

    private func judge(_ answer: SiteverifyAnswer, _ siteverify: Siteverify) -> Verdict {
        switch answer {
        case .good, .bad:
            metrics.count(answer == .good ? .good : .bad)
            if let failures = trail.worked() { tellOfReturn(failures, siteverify) }
            return answer == .good ? .good : .bad
        case .secretUnknown: failed("it does not know the secret", siteverify)
        case .unreadable: failed("the answer is no JSON object that says whether the CAPTCHA was solved", siteverify)
        }
        return .bad
    }

    private func failed(_ reason: String, _ siteverify: Siteverify) {
        metrics.count(.failed)
        guard let failures = trail.failed(at: .now()) else { return }
        log.log(
            .warning, "challenge.unverified", "The provider of the CAPTCHA does not say whether it was solved",
            [
                ("url", .text(siteverify.url.shown)), ("reason", .text(reason)), ("failures", .number(failures)),
                ("when_away", .text(siteverify.whenAway.rawValue)),
            ])
    }

    private func tellOfSparing(_ siteverify: Siteverify) {
        log.log(
            .error, "challenge.spared", "The provider of the CAPTCHA does not answer and is not asked for a while",
            [
                ("url", .text(siteverify.url.shown)), ("seconds", .number(Int(ProviderBreaker.time.seconds))),
                ("when_away", .text(siteverify.whenAway.rawValue)),
            ])
    }

    private func tellOfReturn(_ failures: Int, _ siteverify: Siteverify) {
        log.log(
            .info, "challenge.works", "The provider of the CAPTCHA answers again",
            [("url", .text(siteverify.url.shown)), ("failures", .number(failures))])
    }
}

extension PresentedSolution {
    fileprivate var id: SolutionID? {
        switch self {
        case .nothing, .wrong: nil
        case .work(let id, _), .token(_, let id): id
        }
    }

    /// Of one that may be good.
    fileprivate var kind: ChallengeKind? {
        switch self {
        case .nothing, .wrong: nil
        case .work: .proofOfWork
        case .token: .siteverify
        }
    }
}
