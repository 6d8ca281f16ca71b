internal import Policy
internal import Settings
internal import Transport
package import Wire

/// A guess that waits for the authority's word.
struct WaitingGuess {
    let guess: LoginFailure
    let length: Interval
    /// As of `Ledger.reserve`.
    let threshold: Int?
    let completion: (Reservation) -> Void
}

/// Places for guesses: in the store, and a copy of this replica's own here, so that the local ledger knows what is on its
/// way when it has to decide.
extension RedisLedger {
    package func reserve(
        _ guess: LoginFailure, for length: Interval, upTo threshold: Int?, now: Instant,
        completion: @escaping (Reservation) -> Void
    ) {
        guard local.rules[guess.key.rule].holdsBack(guess.address) else {
            return completion(Reservation(.granted, by: .authority))
        }
        if local.isLocked(guess.key, at: now) { return completion(Reservation(.blocked, by: .authority)) }
        let asked = WaitingGuess(guess: guess, length: length, threshold: threshold, completion: completion)
        let authority = authority
        guard authority != nil || mayRecoverSoon else { return reserveLocally(asked) }
        waitingGuesses[guess.id] = asked
        let deadline = now + configuration.deadline
        if guessDeadlines.isEmpty { guessTimer?.fire(after: deadline - clock.now()) }
        guessDeadlines.append((deadline, guess.id))
        if let authority { ask(asked, authority) }
    }

    /// Also while the authority is thought to be away: it may only be slow. If it never hears of it, the place ends by
    /// itself.
    package func release(_ guess: LoginFailure) {
        local.release(guess)
        places[guess.id]?.isOver = true
        switch phase {
        case .mirroring(let session), .inStep(let session): takeOut(guess, session)
        case .idle, .resolving, .connecting, .waiting, .stopped: break
        }
    }

    // MARK: Asking the authority

    /// What was decided here and the store does not know yet is taken off the limit: failures that are still to be carried over,
    /// and places. One that the store knows after all is taken off twice for a moment, which errs on the safe side.
    func ask(_ asked: WaitingGuess, _ session: any RedisStore) {
        let guess = asked.guess
        let rule = local.rules[guess.key.rule]
        let sliding = rule.counted == .sliding ? String(max(1, rule.window.milliseconds)) : ""
        let place = BlockKey.pending(guess.key)
        let failures = unsettled.count(under: guess.key)
        let untold = failures + placesOfOurOwn(besides: guess)
        let most = min(rule.limit(under: guess.key), asked.threshold ?? .max)
        // Below the true limit no block is lost or lifted: nobody goes.
        let isLowered = asked.threshold != nil || untold > 0
        notePlace(of: asked, at: place)
        session.run(
            .reserve,
            keys: [BlockKey.failures(guess.key), place, BlockKey.seen(guess.key)],
            [
                guess.id.description, String(max(0, most - untold)),
                String(max(1, asked.length.milliseconds)), sliding,
            ] + (isLowered ? ["challenge"] : [])
        ) { [weak self] reply in
            self?.answered(asked, reply, untold: failures, session)
        }
    }

    /// - Parameter untold: failures that the store had not been told of.
    private func answered(
        _ asked: WaitingGuess, _ reply: RESPValue?, untold: Int, _ session: any RedisStore
    ) {
        // The session ended: it is asked again on the next one, or decided here at its deadline.
        guard let reply else { return }
        let guess = asked.guess
        if let error = reply.error { return guessRefused(guess, error) }
        guard let parts = reply.array, parts.count == 4, let word = parts[0].integer, let count = parts[1].integer,
            let ttl = parts[2].integer, let serverTime = parts[3].integer
        else { return guessRefused(guess, "an unexpected reply") }
        guard RedisLedger.isSane(count: count, ttl: ttl, time: serverTime) else {
            guessRefused(guess, RedisLedger.unusable)
            // The script may have given it a place all the same.
            if !local.holds(guess) { takeOut(guess, session) }
            return
        }
        if word == 0 || word == 2 { places[guess.id] = nil } else { places[guess.id]?.isTold = true }
        guard waitingGuesses[guess.id] != nil else {
            // Decided here meanwhile. A place that is in use keeps its twin in the store.
            if word == 1 || word == 3, !local.holds(guess) { takeOut(guess, session) }
            return
        }
        if count > 0, let deadline = deadline(ofTTL: ttl) {
            learn(FailureCounters.Counter(count: Int(count), deadline: deadline), of: guess.key)
        }
        let findBlock = { [unowned self] in
            block(
                guess, count: Int(count), counterTTL: ttl, serverTime: serverTime, session,
                refused: { [unowned self] in guessRefused(guess, $0) },
                done: { [unowned self] _ in
                    sendDelta()
                    answer(guess, .blocked)
                })
        }
        // The script took the threshold, or what is left, for the limit: a block is neither lost nor lifted below that.
        let isBelow = count < local.rules[guess.key.rule].limit(under: guess.key)
        if let threshold = asked.threshold, Int(count) + untold >= threshold, word != 1, word != 2 || isBelow {
            return answer(guess, .challenged)
        }
        switch word {
        case 1: grant(asked)
        case 2 where !isBelow: findBlock()
        case 3:
            // In another slot of a cluster, so it is a question of its own.
            session.call(["EXISTS", BlockKey.block(guess.key.subject)]) { [weak self] reply in
                guard let self, let reply else { return }
                if let error = reply.error { return guessRefused(guess, error) }
                if reply == .integer(0) { return grant(asked) }
                places[guess.id]?.isOver = true
                takeOut(guess, session)
                findBlock()
            }
        default: answer(guess, .full)
        }
    }

    private func grant(_ asked: WaitingGuess) {
        guard waitingGuesses[asked.guess.id] != nil else { return }
        local.held.expire(at: clock.now())
        local.held.hold(asked.guess.id, of: asked.guess.key, until: clock.now() + asked.length)
        answer(asked.guess, .granted)
    }

    private func answer(_ guess: LoginFailure, _ answer: Reservation.Answer) {
        waitingGuesses.removeValue(forKey: guess.id)?.completion(Reservation(answer, by: .authority))
    }

    /// An error reply; as for failures, one that concerns this key alone is no outage.
    private func guessRefused(_ guess: LoginFailure, _ error: String) {
        if isMoving(error) {
            if let asked = waitingGuesses.removeValue(forKey: guess.id) { reserveLocally(asked) }
            return
        }
        guard RedisLedger.concernsOneKey(error) else { return degrade(.refusing, error) }
        sink.ledger(noted: .counterUnusable(guess.key, error))
        if let asked = waitingGuesses.removeValue(forKey: guess.id) { reserveLocally(asked) }
    }

    // MARK: Deciding here

    func guessDeadlinesPassed() {
        let now = clock.now()
        var passed = 0
        while passed < guessDeadlines.count, guessDeadlines[passed].at <= now {
            if let late = waitingGuesses.removeValue(forKey: guessDeadlines[passed].id) {
                authorityIsSlow()
                reserveLocally(late)
            }
            passed += 1
        }
        guessDeadlines.removeFirst(min(passed, guessDeadlines.count))
        if let next = guessDeadlines.first { guessTimer?.fire(after: next.at - now) }
    }

    func reserveAllLocally() {
        let all = waitingGuesses.values
        waitingGuesses = [:]
        guessDeadlines = []
        guessTimer?.cancel()
        for asked in all { reserveLocally(asked) }
    }

    private func reserveLocally(_ asked: WaitingGuess) {
        let now = clock.now()
        let answer = local.reserve(asked.guess, until: now + asked.length, upTo: asked.threshold, at: now)
        if answer == .granted { ownPlacesEnd = max(ownPlacesEnd, now + asked.length) }
        // The store may have been asked, too, and have said yes.
        places[asked.guess.id]?.isOver = answer != .granted
        asked.completion(Reservation(answer, by: .local))
    }
}
