internal import Ledger
internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Stage *reserve* on the control thread: has the ledger give places to guesses, and lets those that find none wait for
/// their turn, one line for each key that failures are counted under. A guess that is counted under several has a place under
/// each, or none.
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
        let threshold: Int?
        let completion: (Reservation) -> Void
    }

    struct Waiter {
        let request: GuessRequest
        /// What it needs a place for, one after the other: never empty.
        let places: [LoginFailure]
        /// It has solved its challenge, or need not.
        var isSolved = false
        /// It stood in the line before, and has been counted for its room.
        var hasWaited = false
        let answer: (GuessAnswer) -> Void
    }

    private struct Line {
        var waiters: [Waiter] = []
        /// Those whose places of this line the ledger is asked about.
        var asking: Set<FailureID> = []
        /// A place was given back while it was asked: "full" may be old then.
        var isFreed = false
        /// Those that have gone while it was asked about them.
        var gone: Set<FailureID> = []
    }

    private var authority: Authority
    private var awaitingSuccessor: [FailureID: Asked] = [:]
    /// Places that this process has, to be told to whoever gives them from now on.
    private var held: [FailureID: (guess: LoginFailure, until: Instant)] = [:]
    /// How many of them there must be before those are looked for that are over.
    private var nextPurge = 4 * GuessDesk.mostWaiting
    private var lines: [LoginKey: Line] = [:]
    private(set) var waiting = 0
    private(set) var rules: LoginRules
    /// Nil: nothing is asked of logins.
    var challenges: ChallengeDesk?
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

    init(_ login: Configuration.Login, _ rules: LoginRules, ledger: any Ledger, on loop: EventLoop) {
        authority = .ledger(ledger)
        self.rules = rules
        refusesWithoutAuthority = login.whenLedgerAway == .refuse
        timer = LoopTimer(on: loop) { [unowned self] in tick() }
    }

    func adopt(_ rules: LoginRules) { self.rules = rules }

    func adopt(_ login: Configuration.Login) {
        refusesWithoutAuthority = login.whenLedgerAway == .refuse
    }

    // MARK: Workers

    func reserve(_ request: GuessRequest, answer: @escaping (GuessAnswer) -> Void) {
        let places = request.guess.counted(by: rules)
        guard !places.isEmpty else { return answer(.granted) }
        let waiter = withSolution(Waiter(request: request, places: places, answer: answer))
        // Nobody overtakes, and what cannot be granted is not asked for.
        if let busy = places.first(where: isBusy) {
            enqueue(waiter, in: busy.key, first: false)
        } else {
            attempt(waiter)
        }
    }

    private func isBusy(_ place: LoginFailure) -> Bool {
        let rule = rules[place.key.rule]
        // Who is held back by nothing waits for nobody.
        guard rule.holdsBack(place.address), let line = lines[place.key] else { return false }
        return !line.waiters.isEmpty || line.asking.count >= rule.limit(under: place.key)
    }

    /// - Parameter isReturned: the guess never reached a backend, or its answer is known; else its places are left to end.
    func ended(_ guess: LoginAttempt, isReturned: Bool) {
        for place in places(of: guess) { ended(place, isReturned: isReturned) }
    }

    private func ended(_ place: LoginFailure, isReturned: Bool) {
        // Left to end, it is still to be told to whoever gives places from then on.
        guard isReturned else { return }
        giveBack(place)
        callNext(place.key)
    }

    /// The process that we took over from gives one back.
    func returnedByPredecessor(_ place: LoginFailure) {
        ended(held[place.id]?.guess ?? rules.own(place), isReturned: true)
    }

    /// A guess was counted as a failure, which gave its place back.
    func counted(_ place: LoginFailure) {
        held[place.id] = nil
        callNext(place.key)
    }

    /// Whoever waited has gone: he hears no answer, and places that are his by then come back from the worker. One whose line
    /// is another since the rules have changed is noticed when his turn comes.
    func withdraw(_ guess: LoginAttempt) {
        for key in guess.counted(by: rules).map(\.key) {
            guard let line = lines[key] else { continue }
            if let place = line.waiters.firstIndex(where: { $0.request.guess.id == guess.id }) {
                challenges?.giveBack(line.waiters[place].request)
                lines[key]?.waiters.remove(at: place)
                waiting -= 1
                forgetIfEmpty(key)
            } else if line.asking.contains(guess.id) {
                lines[key]?.gone.insert(guess.id)
            }
        }
    }

    /// What is counted of a guess. Where it has places, they are those: the rules may be others since.
    func places(of guess: LoginAttempt) -> [LoginFailure] {
        let counted = guess.counted(by: rules)
        return guess.rules.compactMap { rule in
            let id = guess.id.counted(by: rule)
            return held[id]?.guess ?? counted.first { $0.id == id }
        }
    }

    private func giveBack(_ place: LoginFailure) {
        held[place.id] = nil
        switch authority {
        case .ledger(let ledger): ledger.release(place)
        case .successor(let tell): tell(.release(place))
        }
    }

    func attempt(_ waiter: Waiter) {
        for place in waiter.places { lines[place.key, default: Line()].asking.insert(waiter.request.guess.id) }
        take(0, of: waiter)
    }

    /// One place after the other: they are in different slots of a cluster. Whoever does not get all keeps none.
    private func take(_ number: Int, of waiter: Waiter) {
        let place = waiter.places[number]
        ask(place, waiter.request.length, upTo: threshold(of: place, for: waiter)) { [unowned self] reservation in
            let isRefused = refusesWithoutAuthority && reservation.decider == .local
            if !isRefused, reservation.answer == .granted, number + 1 < waiter.places.count {
                return take(number + 1, of: waiter)
            }
            var hasGone = false
            for place in waiter.places {
                lines[place.key]?.asking.remove(waiter.request.guess.id)
                if lines[place.key]?.gone.remove(waiter.request.guess.id) != nil { hasGone = true }
            }
            if isRefused || reservation.answer != .granted {
                for place in waiter.places[..<number] { giveBack(place) }
                if reservation.answer == .granted { giveBack(waiter.places[number]) }
            }
            concluded(waiter, hasGone: hasGone, at: waiter.places[number].key, isRefused ? nil : reservation.answer)
        }
    }

    /// - Parameters:
    ///   - hasGone: nobody waits any more.
    ///   - key: that of the last place that was asked for.
    ///   - answer: nil: nothing may be decided without the authority.
    private func concluded(_ waiter: Waiter, hasGone: Bool, at key: LoginKey, _ answer: Reservation.Answer?) {
        var next = waiter.places.map(\.key)
        switch answer {
        case nil: waiter.answer(.unavailable)
        case .granted: waiter.answer(.granted)
        case .blocked:
            let refusal = refusal(at: key)
            waiter.answer(refusal)
            dismiss(key, refusal)
        case .challenged:
            if !hasGone { challenge(waiter) }
            for other in takeUnsolved(of: key) { challenge(other) }
        case .full:
            let isFreed = lines[key]?.isFreed == true
            lines[key]?.isFreed = false
            if hasGone { challenges?.giveBack(waiter.request) } else { enqueue(waiter, in: key, first: true) }
            if !isFreed, !hasGone { next.removeAll { $0 == key } }
        }
        for key in next { callNext(key) }
    }

    private func enqueue(_ waiter: Waiter, in subject: LoginKey, first: Bool) {
        if !first, !waiter.hasWaited { makeRoom(for: waiter, in: subject) }
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

    /// Where challenges are posed nobody can fill the line of an address without having solved them.
    private func makeRoom(for waiter: Waiter, in subject: LoginKey) {
        guard waiter.isSolved, let line = lines[subject],
            line.waiters.count >= GuessDesk.longestLine || waiting >= GuessDesk.mostWaiting,
            let last = line.waiters.lastIndex(where: { !$0.isSolved })
        else { return }
        lines[subject]?.waiters.remove(at: last)
        waiting -= 1
        line.waiters[last].answer(.busy)
    }

    /// One after the other: who finds a place makes room for the question of the next.
    private func callNext(_ subject: LoginKey) {
        guard var line = lines[subject], !line.waiters.isEmpty || !line.asking.isEmpty else {
            return forgetIfEmpty(subject)
        }
        guard line.asking.isEmpty else {
            lines[subject]?.isFreed = true
            return
        }
        var next = line.waiters.removeFirst()
        next.hasWaited = true
        line.isFreed = false
        line.gone = []
        lines[subject] = line
        waiting -= 1
        attempt(next)
    }

    /// Of addresses it is *screen* that says so.
    private func refusal(at key: LoginKey) -> GuessAnswer {
        guard key.subject.account != nil else { return .blocked }
        guard case .ledger(let ledger) = authority else { return .locked(until: nil) }
        return .locked(until: ledger.lockEnds(of: key.subject))
    }

    /// For whoever waits in the line of one that is blocked the same holds.
    private func dismiss(_ subject: LoginKey, _ refusal: GuessAnswer) {
        guard var line = lines[subject] else { return }
        let waiters = line.waiters
        line.waiters = []
        lines[subject] = line
        waiting -= waiters.count
        for waiter in waiters { waiter.answer(refusal) }
    }

    /// Whoever has solved nothing leaves the line.
    private func takeUnsolved(of subject: LoginKey) -> [Waiter] {
        guard var line = lines[subject] else { return [] }
        let unsolved = line.waiters.filter { !$0.isSolved }
        line.waiters.removeAll { !$0.isSolved }
        lines[subject] = line
        waiting -= unsolved.count
        return unsolved
    }

    private func forgetIfEmpty(_ subject: LoginKey) {
        if let line = lines[subject], line.asking.isEmpty, line.waiters.isEmpty { lines[subject] = nil }
    }

    private func tick() {
        let now = Instant.now()
        var looked = 0
        // In another order each time: those behind a slice that stands still must be looked after, too.
        for subject in lines.keys.shuffled() {
            giveUp(subject, at: now)
            guard looked < GuessDesk.slice, let line = lines[subject], line.asking.isEmpty, !line.waiters.isEmpty
            else { continue }
            looked += 1
            callNext(subject)
        }
        held = held.filter { $0.value.until > now }
        isTicking = waiting > 0
        if isTicking { timer?.fire(after: GuessDesk.pause) }
    }

    /// Those whose patience is over.
    private func giveUp(_ subject: LoginKey, at now: Instant) {
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
        _ guess: LoginFailure, _ length: Interval, upTo threshold: Int? = nil,
        completion: @escaping (Reservation) -> Void
    ) {
        let done = { [unowned self] (reservation: Reservation) in
            if reservation.answer == .granted { note(guess, length) }
            completion(reservation)
        }
        switch authority {
        case .ledger(let ledger):
            ledger.reserve(guess, for: length, upTo: threshold, now: .now()) { [unowned self] reservation in
                done(reservation)
                // The ledger's last word, while it gives its state away.
                if case .successor(let tell) = authority, reservation.answer == .granted {
                    tell(.reserve(guess, milliseconds: length.milliseconds))
                }
            }
        case .successor(let tell):
            awaitingSuccessor[guess.id] = Asked(guess: guess, length: length, threshold: threshold, completion: done)
            tell(.reserve(guess, milliseconds: length.milliseconds))
        }
    }

    private func note(_ guess: LoginFailure, _ length: Interval) {
        if held.count >= nextPurge {
            let now = Instant.now()
            held = held.filter { $0.value.until > now }
            nextPurge = max(4 * GuessDesk.mostWaiting, 2 * held.count)
        }
        held[guess.id] = (guess, .now() + length)
    }

    // MARK: Upgrades

    /// The process that we took over from asks; its lines are its own.
    func reserveForPredecessor(
        _ guess: LoginFailure, _ length: Interval, completion: @escaping (Reservation) -> Void
    ) {
        ask(rules.own(guess), length, completion: completion)
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
        for one in asked {
            ledger.reserve(
                one.guess, for: one.length, upTo: one.threshold, now: now, completion: one.completion)
        }
    }
}
