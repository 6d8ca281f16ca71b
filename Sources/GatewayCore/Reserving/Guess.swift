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
    /// Names of those that count it.
    let rules: [String]
    /// How often it was told that the address is blocked.
    var timesBlocked = 0

    private let headLength: Int
    private var body: BodyReader
    /// Bytes of head and body that were looked at.
    private var read: Int
    private var payload = 0
    /// Once known it stays; the reader must not be asked again then.
    private var verdict: Body?

    /// What a login may say, in bytes. A body has a bound because it is kept until it is whole.
    static let longestBody = 64 << 10
    /// With head and framing.
    private static let mostBytes = 192 << 10

    init(_ facts: RequestFacts, rules: [String] = [LoginRule.plainName], patienceEnds: Instant) {
        self.rules = rules
        address = facts.client
        headLength = facts.headLength
        body = BodyReader(facts.framing)
        read = facts.headLength
        self.patienceEnds = patienceEnds
    }

    var attempt: LoginAttempt { LoginAttempt(id: id, address: address, rules: rules) }

    enum Body {
        case whole
        case more
        case refused(Refusal)
    }

    /// Looks at what has come. `bytes` begin with the head, now and at every other time.
    func look(at bytes: Span<UInt8>) -> Body {
        if let verdict { return verdict }
        let found = read(bytes)
        if case .more = found {} else { verdict = found }
        return found
    }

    private func read(_ bytes: Span<UInt8>) -> Body {
        while true {
            switch body.read(bytes, from: read) {
            case .data(let range):
                payload += range.count
                read = range.upperBound
                if payload > Guess.longestBody { return .refused(.bodyTooLarge) }
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
        // Told behind a TLS handshake: the server has taken nothing.
        case (.forwarded, .handshakeFailed): state = .held
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
}

enum GuessAnswer: Sendable {
    case granted
    case blocked
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
        worker.control.send(
            .reserve(
                GuessRequest(
                    worker: worker.index, ticket: ticket, guess: guess.attempt,
                    length: connecting + (plan.responseTimeout ?? timeouts.response) + Reservations.margin,
                    patienceEnds: guess.patienceEnds)))
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
        case .granted: guess.state = .held
        case .blocked: guess.state = .blocked
        case .busy: guess.state = .refused(.tooManyGuesses)
        case .unavailable: guess.state = .refused(.guessesUncounted)
        }
        client.reservationKnown()
    }

    /// The exchange of the guess is over.
    func ended(_ guess: Guess) {
        switch guess.state {
        case .held, .answered: worker.control.send(.guessEnded(guess.attempt, isReturned: true))
        case .forwarded: worker.control.send(.guessEnded(guess.attempt, isReturned: false))
        case .collecting, .asking, .failed, .blocked, .refused: break
        }
    }
}
