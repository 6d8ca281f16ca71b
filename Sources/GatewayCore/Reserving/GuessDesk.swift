internal import Ledger
internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Stage *reserve* on the control thread: has the ledger give places to guesses, and lets those that find none wait for
/// their turn, one line for each address or prefix that failures are counted for.
final class GuessDesk {
    /// Who gives places.
    private enum Authority {
        case ledger(any Ledger)
        /// The process that takes over from this one.
        case successor(tell: (HandoverMessage) -> Void)
    }

    private struct Asked {
        let guess: LoginFailure
        let length: Interval
        let completion: (Reservation) -> Void
    }

    private struct Waiter {
        let request: GuessRequest
        /// It stood in the line before, and has been counted for its room.
        var hasWaited = false
        let answer: (GuessAnswer) -> Void
    }

    private struct Line {
        var waiters: [Waiter] = []
        /// Those of the line that the ledger was asked about.
        var asking = 0
        /// A place was given back while it was asked: "full" may be old then.
        var isFreed = false
        /// Those that have gone while it was asked about them.
        var gone: Set<FailureID> = []
    }

    private var authority: Authority
    private var awaitingSuccessor: [FailureID: Asked] = [:]
    /// Places that this process has, to be told to whoever gives them from now on, and whose lines they are of.
    private var held: [FailureID: (guess: LoginFailure, of: IPNetwork, until: Instant)] = [:]
    /// How many of them there must be before those are looked for that are over.
    private var nextPurge = 4 * GuessDesk.mostWaiting
    private var lines: [IPNetwork: Line] = [:]
    private(set) var waiting = 0
    private var rule: LoginRule
    private var refusesWithoutAuthority: Bool
    private var timer: LoopTimer?
    private var isTicking = false

    /// Waiting logins of one line, and of all. Whoever comes then is refused at once.
    static let longestLine = 256
    static let mostWaiting = 4_096
    /// Other replicas give places back without a word: it is looked for them that often.
    private static let pause = Interval.milliseconds(50)
    /// Lines that are looked after in one turn of the timer.
    private static let slice = 64

    init(_ login: Configuration.Login, _ rule: LoginRule, ledger: any Ledger, on loop: EventLoop) {
        authority = .ledger(ledger)
        self.rule = rule
        refusesWithoutAuthority = login.whenLedgerAway == .refuse
        timer = LoopTimer(on: loop) { [unowned self] in tick() }
    }

    func adopt(_ rule: LoginRule) { self.rule = rule }

    func adopt(_ login: Configuration.Login) {
        refusesWithoutAuthority = login.whenLedgerAway == .refuse
    }

    // MARK: Workers

    func reserve(_ request: GuessRequest, answer: @escaping (GuessAnswer) -> Void) {
        let subject = rule.subject(of: request.guess.address)
        let waiter = Waiter(request: request, answer: answer)
        // Nobody overtakes, and what cannot be granted is not asked for.
        if let line = lines[subject], !line.waiters.isEmpty || line.asking >= rule.limit {
            enqueue(waiter, in: subject, first: false)
        } else {
            attempt(waiter, of: subject)
        }
    }

    /// - Parameter isReturned: the guess never reached a backend, or its answer is known; else the place is left to end.
    func ended(_ guess: LoginFailure, isReturned: Bool) {
        // Left to end, it is still to be told to whoever gives places from then on.
        guard isReturned else { return }
        let subject = lose(guess)
        switch authority {
        case .ledger(let ledger): ledger.release(guess)
        case .successor(let tell): tell(.release(guess))
        }
        callNext(subject)
    }

    /// A guess was counted as a failure, which gave its place back.
    func counted(_ guess: LoginFailure) {
        callNext(lose(guess))
    }

    /// Whoever waited has gone: he hears no answer, and a place that is his by then comes back from the worker. One whose
    /// line is another since the rule has changed is noticed when his turn comes.
    func withdraw(_ guess: LoginFailure) {
        let subject = rule.subject(of: guess.address)
        guard let line = lines[subject] else { return }
        if let place = line.waiters.firstIndex(where: { $0.request.guess.id == guess.id }) {
            lines[subject]?.waiters.remove(at: place)
            waiting -= 1
            forgetIfEmpty(subject)
        } else if line.asking > 0 {
            lines[subject]?.gone.insert(guess.id)
        }
    }

    /// - Parameter subject: its line, which stays its own when the rule changes.
    private func attempt(_ waiter: Waiter, of subject: IPNetwork) {
        let guess = waiter.request.guess
        lines[subject, default: Line()].asking += 1
        ask(guess, of: subject, waiter.request.length) { [unowned self] reservation in
            lines[subject]?.asking -= 1
            let hasGone = lines[subject]?.gone.remove(guess.id) != nil
            if refusesWithoutAuthority, reservation.decider == .local {
                if reservation.answer == .granted { ended(guess, isReturned: true) }
                waiter.answer(.unavailable)
            } else {
                switch reservation.answer {
                case .granted: waiter.answer(.granted)
                case .blocked:
                    waiter.answer(.blocked)
                    dismiss(subject)
                case .full:
                    let isFreed = lines[subject]?.isFreed == true
                    lines[subject]?.isFreed = false
                    if !hasGone { enqueue(waiter, in: subject, first: true) }
                    guard isFreed || hasGone else { return }
                }
            }
            callNext(subject)
        }
    }

    private func enqueue(_ waiter: Waiter, in subject: IPNetwork, first: Bool) {
        var line = lines[subject] ?? Line()
        // Whoever was first must not lose his turn to those who have filled the line while the ledger was asked about him.
        guard waiter.request.patienceEnds > .now(), first || line.waiters.count < GuessDesk.longestLine,
            waiter.hasWaited || waiting < GuessDesk.mostWaiting
        else {
            waiter.answer(.busy)
            return forgetIfEmpty(subject)
        }
        line.waiters.insert(waiter, at: first ? 0 : line.waiters.count)
        lines[subject] = line
        waiting += 1
        guard !isTicking else { return }
        isTicking = true
        timer?.fire(after: GuessDesk.pause)
    }

    /// One after the other: who finds a place makes room for the question of the next.
    private func callNext(_ subject: IPNetwork) {
        guard var line = lines[subject], !line.waiters.isEmpty || line.asking > 0 else { return forgetIfEmpty(subject) }
        guard line.asking == 0 else {
            lines[subject]?.isFreed = true
            return
        }
        var next = line.waiters.removeFirst()
        next.hasWaited = true
        line.isFreed = false
        line.gone = []
        lines[subject] = line
        waiting -= 1
        attempt(next, of: subject)
    }

    /// Whoever waits in the line of a blocked one learns it from *screen*.
    private func dismiss(_ subject: IPNetwork) {
        guard var line = lines[subject] else { return }
        let waiters = line.waiters
        line.waiters = []
        lines[subject] = line
        waiting -= waiters.count
        for waiter in waiters { waiter.answer(.blocked) }
    }

    private func forgetIfEmpty(_ subject: IPNetwork) {
        if let line = lines[subject], line.asking == 0, line.waiters.isEmpty { lines[subject] = nil }
    }

    private func tick() {
        let now = Instant.now()
        var looked = 0
        // In another order each time: those behind a slice that stands still must be looked after, too.
        for subject in lines.keys.shuffled() {
            giveUp(subject, at: now)
            guard looked < GuessDesk.slice, let line = lines[subject], line.asking == 0, !line.waiters.isEmpty
            else { continue }
            looked += 1
            callNext(subject)
        }
        held = held.filter { $0.value.until > now }
        isTicking = waiting > 0
        if isTicking { timer?.fire(after: GuessDesk.pause) }
    }

    /// Those whose patience is over.
    private func giveUp(_ subject: IPNetwork, at now: Instant) {
        guard var line = lines[subject], line.waiters.contains(where: { $0.request.patienceEnds <= now }) else {
            return
        }
        let late = line.waiters.filter { $0.request.patienceEnds <= now }
        line.waiters.removeAll { $0.request.patienceEnds <= now }
        lines[subject] = line
        waiting -= late.count
        for waiter in late { waiter.answer(.busy) }
        forgetIfEmpty(subject)
    }

    // MARK: Places

    private func ask(
        _ guess: LoginFailure, of subject: IPNetwork, _ length: Interval, completion: @escaping (Reservation) -> Void
    ) {
        let done = { [unowned self] (reservation: Reservation) in
            if reservation.answer == .granted { note(guess, of: subject, length) }
            completion(reservation)
        }
        switch authority {
        case .ledger(let ledger):
            ledger.reserve(guess, for: length, now: .now()) { [unowned self] reservation in
                done(reservation)
                // The ledger's last word, while it gives its state away.
                if case .successor(let tell) = authority, reservation.answer == .granted {
                    tell(.reserve(guess, milliseconds: length.milliseconds))
                }
            }
        case .successor(let tell):
            awaitingSuccessor[guess.id] = Asked(guess: guess, length: length, completion: done)
            tell(.reserve(guess, milliseconds: length.milliseconds))
        }
    }

    private func note(_ guess: LoginFailure, of subject: IPNetwork, _ length: Interval) {
        if held.count >= nextPurge {
            let now = Instant.now()
            held = held.filter { $0.value.until > now }
            nextPurge = max(4 * GuessDesk.mostWaiting, 2 * held.count)
        }
        held[guess.id] = (guess, subject, .now() + length)
    }

    /// Its place is nobody's any more. Returns whose line may move up.
    private func lose(_ guess: LoginFailure) -> IPNetwork {
        held.removeValue(forKey: guess.id)?.of ?? rule.subject(of: guess.address)
    }

    // MARK: Upgrades

    /// The process that we took over from asks; its lines are its own.
    func reserveForPredecessor(
        _ guess: LoginFailure, _ length: Interval, completion: @escaping (Reservation) -> Void
    ) {
        ask(guess, of: rule.subject(of: guess.address), length, completion: completion)
    }

    /// From now on another process gives places. It learns of those that we have: the ledger keeps them in memory only.
    func leave(to tell: @escaping (HandoverMessage) -> Void) {
        authority = .successor(tell: tell)
        let now = Instant.now()
        for place in held.values where place.until > now {
            tell(.reserve(place.guess, milliseconds: (place.until - now).milliseconds))
        }
    }

    func successorReserved(_ id: FailureID, _ reservation: Reservation) {
        awaitingSuccessor.removeValue(forKey: id)?.completion(reservation)
    }

    /// This process gives places again.
    func reserve(with ledger: any Ledger) {
        authority = .ledger(ledger)
        let now = Instant.now()
        for place in held.values where place.until > now {
            ledger.reserve(place.guess, for: place.until - now, now: now) { _ in }
        }
        let asked = awaitingSuccessor.values
        awaitingSuccessor = [:]
        for one in asked { ledger.reserve(one.guess, for: one.length, now: now, completion: one.completion) }
    }
}
