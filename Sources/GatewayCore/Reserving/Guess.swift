internal import Ledger
internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// A login on its way through stage *reserve*, until its verdict is known. Only logins have one, and of those only the ones
/// that are counted against an address.
final class Guess {
    enum State {
        /// Its body is not whole yet. It holds no place: a slow body must not keep others waiting. → `asking`
        case collecting
        /// The control thread was asked for a place. → `held`, `blocked`, `refused`
        case asking
        /// It has a place, and no byte of it went out: whatever ends it gives the place back. → `forwarded`
        case held
        /// The backend may have it. Unless a verdict comes, the place is kept until it ends by itself. → `answered`, `failed`
        case forwarded
        /// The backend's verdict is known, and is not that the login failed.
        case answered
        /// Reported; counting it gives the place back.
        case failed
        /// The address has reached its limit; *screen* will say so. → `asking`, if its block was lifted meanwhile
        case blocked
        case refused(Refusal)
    }

    let id = FailureID.random()
    let address: IPAddress
    var state = State.collecting
    /// Until then it may wait for a place.
    let patienceEnds: Instant
    /// When a place was asked for, and the worker's number for that.
    var askedAt = Instant.never
    var ticket = -1
    /// Until then it must be on its way: its place lasts as long as an answer may take from there on.
    private var leavesBy = Instant.never
    /// Its token was verified for the first time when it was looked at before it had to wait.
    var bringsNewToken = false
    /// What its token's issuer said when it was asked for it.
    var answer: KnownAnswer?
    /// Names of those that count it.
    let rules: [String]
    /// How often it was told that the address is blocked.
    var timesBlocked = 0
    /// Whose it is; nil: not known, or nothing asks for it.
    var account: AccountMark?
    /// When that may be tried again, which is locked.
    var lockEnds: Instant?
    /// What it brings to a challenge, and the first of the guesses that it was: a solution is good for all of them.
    var solution = PresentedSolution.nothing
    private(set) var solver: FailureID?
    /// Which challenge it is to be answered with.
    var posed = PosedKind.work

    private let headLength: Int
    private let framing: BodyFraming
    private var body: BodyReader
    /// Bytes of head and body that were looked at.
    private var read: Int
    private var payload = 0
    /// Once known it stays; the reader must not be asked again then.
    private var verdict: Body?

    /// What a login may say, in bytes. A body has a bound because it is kept until it is whole.
    static let longestBody = 64 << 10
    /// Of the margin of a place (`Reservations`), what may pass until it is used.
    private static let slack = Interval.seconds(2)
    /// With head and framing.
    private static let mostBytes = 192 << 10

    init(_ facts: RequestFacts, rules: [String] = [LoginRule.plainName], patienceEnds: Instant) {
        self.rules = rules
        address = facts.client
        headLength = facts.headLength
        framing = facts.framing
        body = BodyReader(facts.framing)
        read = facts.headLength
        self.patienceEnds = patienceEnds
    }

    /// It goes on with the solution of another one.
    func inherit(_ former: Guess) {
        bringsNewToken = former.bringsNewToken
        answer = former.answer
        solver = former.solver ?? former.id
    }

    var attempt: LoginAttempt {
        var attempt = LoginAttempt(id: id, address: address, rules: rules)
        attempt.account = account
        return attempt
    }

    /// What its backend gets as its body, when that is whole.
    func payload(of bytes: Span<UInt8>) -> [UInt8] {
        var reader = BodyReader(framing)
        var payload: [UInt8] = []
        var at = headLength
        while case .data(let range) = reader.read(bytes, from: at) {
            for index in range { payload.append(bytes[index]) }
            at = range.upperBound
        }
        return payload
    }

    /// It has got its place.
    func hold(at now: Instant) {
        state = .held
        leavesBy = now + Guess.slack
    }

    /// It has waited with its place for something else, as its token's issuer: the place could end before the answer is there.
    func isStale(at now: Instant) -> Bool { now > leavesBy }

    /// The backend may have it, and has not said what it is worth.
    var isForwarded: Bool {
        if case .forwarded = state { return true }
        return false
    }

    /// Its place is needed no more.
    var isAnswered: Bool {
        if case .answered = state { return true }
        return false
    }

    enum Body {
        case whole
        case more
        case refused(Refusal)
    }

    /// Looks at what has come. `bytes` begin with the head, now and at every other time.
    /// - Parameter limit: of every request's body, in bytes; 0: none.
    func look(at bytes: Span<UInt8>, limit: Int = 0) -> Body {
        if let verdict { return verdict }
        let found = read(bytes, limit > 0 ? min(limit, Guess.longestBody) : Guess.longestBody)
        if case .more = found {} else { verdict = found }
        return found
    }

    private func read(_ bytes: Span<UInt8>, _ limit: Int) -> Body {
        while true {
            switch body.read(bytes, from: read) {
            case .data(let range):
                payload += range.count
                read = range.upperBound
                if payload > limit { return .refused(.bodyTooLarge) }
            case .needMore:
                read = bytes.count
                return read > Guess.mostBytes ? .refused(.bodyTooLarge) : .more
            case .end: return .whole
            case .malformed: return .refused(.malformedBody)
            }
        }
    }

    /// A length that is announced is known to be too long at once.
    static func isTooLong(_ framing: BodyFraming) -> Bool {
        if case .length(let length) = framing { return length > Int64(longestBody) }
        return false
    }

    /// What happens to the exchange of the guess.
    func note(_ event: Exchange.Event) {
        switch (state, event) {
        case (.held, .connected): state = .forwarded
        // Told behind a TLS handshake, or of a kept connection that was gone: the server has taken nothing.
        case (.forwarded, .handshakeFailed), (.forwarded, .connectFailed): state = .held
        // Less is allowed since a reload. A login goes out in one piece, and this one did not.
        case (.forwarded, .requestTooLarge): state = .held
        case (.forwarded, .responseHead(failedLogin: false)), (.forwarded, .responseMalformed), (.forwarded, .switched):
            state = .answered
        case (.forwarded, .responseHead(failedLogin: true)), (.forwarded, .failedLoginMalformed): state = .failed
        default: break
        }
    }
}

/// A worker asks whether a guess may go.
struct GuessRequest: Sendable {
    let worker: Int
    /// The worker's number for the login that waits.
    let ticket: Int
    let guess: LoginAttempt
    /// How long its place is kept when nobody gives it back.
    let length: Interval
    /// When it stops waiting for a place.
    let patienceEnds: Instant
    var solution = PresentedSolution.nothing
    /// For whom that is; nil: for the guess.
    var solver: FailureID?
}

enum GuessAnswer: Sendable {
    case granted
    case blocked
    /// The account is, until then; nil: nobody knows.
    case locked(until: Instant?)
    /// So many have failed that it must solve one of these first.
    case challenged(PosedKind)
    /// What it brings cannot be checked.
    case unchecked
    /// Too many of its address are under way, for too long.
    case busy
    /// The ledger's authority is away, and nothing may be decided without it.
    case unavailable
}

/// The logins of one worker that wait for a place.
final class Reservations {
    private unowned let worker: Worker
    private var waiting: [Int: ClientConnection] = [:]
    private var nextTicket = 0
    /// The margin behind the longest time that an answer may take.
    private static let margin = Interval.seconds(5)

    init(_ worker: Worker) { self.worker = worker }

    func ask(for client: ClientConnection, _ guess: Guess, _ plan: Plan) {
        let timeouts = worker.generation.configuration.timeouts
        let connecting = Interval(
            nanoseconds: timeouts.connect.nanoseconds * Int64(worker.pools[plan.upstream].attempts))
        let ticket = nextTicket
        nextTicket += 1
        waiting[ticket] = client
        guess.ticket = ticket
        worker.control.send(
            .reserve(
                GuessRequest(
                    worker: worker.index, ticket: ticket, guess: guess.attempt,
                    length: connecting + (plan.responseTimeout ?? timeouts.response) + Reservations.margin,
                    patienceEnds: guess.patienceEnds, solution: guess.solution, solver: guess.solver)))
    }

    func answered(_ ticket: Int, _ id: LoginAttempt, _ answer: GuessAnswer) {
        // Whoever has gone meanwhile leaves the place to others.
        guard let client = waiting.removeValue(forKey: ticket), client.phase == .reserving,
            let guess = client.record.guess, guess.id == id.id
        else {
            if case .granted = answer { worker.control.send(.guessEnded(id, isReturned: true)) }
            return
        }
        switch answer {
        case .granted: guess.hold(at: worker.clock.now)
        case .blocked: guess.state = .blocked
        case .locked(let end):
            guess.lockEnds = end
            guess.state = .refused(.accountLocked)
        case .challenged(let kind):
            guess.posed = kind
            guess.state = .refused(.challengeRequired)
        case .unchecked: guess.state = .refused(.challengeUnchecked)
        case .busy: guess.state = .refused(.tooManyGuesses)
        case .unavailable: guess.state = .refused(.guessesUncounted)
        }
        client.reservationKnown()
    }

    /// The exchange of the guess is over, or there will be none.
    func ended(_ guess: Guess) {
        switch guess.state {
        case .held, .answered: worker.control.send(.guessEnded(guess.attempt, isReturned: true))
        case .forwarded: worker.control.send(.guessEnded(guess.attempt, isReturned: false))
        case .asking:
            waiting[guess.ticket] = nil
            worker.control.send(.guessWithdrawn(guess.attempt))
        case .collecting, .failed, .blocked, .refused: break
        }
    }
}
