internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Stage *reserve*: a login waits as the bytes that it is, before anything went upstream, so that what has changed meanwhile
/// holds for it: blocks, revocations, a reload.
extension ClientConnection {
    enum Admission {
        case go
        /// It waits in the stash.
        case wait
        case refuse(Refusal)
    }

    /// How much later than the control thread a connection loses patience.
    private static let slack = Interval.seconds(2)
    /// How long a place is waited for by a client that sends nothing more.
    private static let halfClosed = Interval.seconds(1)
    /// A block that *screen* does not see is asked about again, but not for ever.
    private static let mostBlocked = 32

    /// The Gatekeeper's word on the request at the front of `bytes`. Inlined: a verdict is large, and handed on twice otherwise.
    @inline(__always)
    func decide(_ bytes: Span<UInt8>, _ record: ExchangeRecord, _ now: Instant, _ wall: WallTime) -> Verdict {
        let worker = worker
        guard let known = record.guess?.answer else {
            return worker.gatekeeper.decide(
                bytes, peer: peer, link: link, now: now, wall: wall, facts: &record.facts)
        }
        worker.gatekeeper.recall(known, at: wall)
        defer { worker.gatekeeper.forgetAnswer() }
        return worker.gatekeeper.decide(bytes, peer: peer, link: link, now: now, wall: wall, facts: &record.facts)
    }

    /// The login at the front is decided again: what happened once must not happen twice, or be forgotten.
    func loginWaits() {
        record.facts.counted = .address
        record.hasBegun = true
        guard let guess = record.guess else { return }
        if worker.gatekeeper.isNewToken { guess.bringsNewToken = true }
        if let answer = worker.gatekeeper.justAnswered { guess.answer = answer }
    }

    /// May the login at the front of `bytes` go?
    func admit(_ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        let client = record.facts.client
        if worker.gatekeeper.isSpared(client, at: worker.clock.now) { return .go }
        // The trusted proxies are others since a reload: it is somebody else's guess.
        if let guess = record.guess, guess.address != client { endGuess() }
        guard let guess = record.guess else {
            if Guess.isTooLong(record.facts.framing) { return .refuse(.bodyTooLarge) }
            let login = worker.generation.configuration.login
            let guess = Guess(
                record.facts, rules: worker.generation.rules.counting(plan.loginRows),
                patienceEnds: worker.clock.now + login.wait)
            return begin(guess, plan, bytes)
        }
        switch guess.state {
        case .collecting: return collect(guess, plan, bytes)
        case .held where guess.isStale(at: worker.clock.now):
            endGuess()
            let next = Guess(record.facts, rules: guess.rules, patienceEnds: guess.patienceEnds)
            next.inherit(guess)
            return begin(next, plan, bytes)
        case .held, .forwarded, .answered, .failed: return .go
        case .refused(let refusal): return .refuse(refusal)
        case .asking: return .wait
        case .blocked:
            guess.timesBlocked += 1
            guard guess.timesBlocked < ClientConnection.mostBlocked else { return .refuse(.tooManyGuesses) }
            return ask(guess, plan, bytes)
        }
    }

    private func begin(_ guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        record.guess = guess
        return collect(guess, plan, bytes)
    }

    private func collect(_ guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        switch guess.look(at: bytes, limit: worker.generation.configuration.limits.bodyBytes) {
        case .refused(let refusal): return .refuse(refusal)
        case .whole:
            // Whoever has not read what he was sent before would not read his answer either, and keep a place for nothing.
            return outbox.isEmpty ? ask(guess, plan, bytes) : waitForReader(bytes)
        case .more:
            if worker.isShortOfMemory { return .refuse(.shortOfMemory) }
            let isFirst = phase != .collecting && bytes.count == record.facts.headLength
            let expects = isFirst && record.facts.expectsContinue
            keepCollecting(bytes)
            // The backend cannot ask for a body that it will only see whole.
            if expects { sendGoAhead() }
            return .wait
        }
    }

    private func sendGoAhead() {
        let word = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
        record.bytesOut += Int64(word.count)
        send(word.span, Span())
    }

    /// What came of a login's body is put aside until there is more.
    private func keepCollecting(_ bytes: Span<UInt8>) {
        phase = .collecting
        deadline = worker.clock.now + worker.generation.configuration.timeouts.body
        awaitMore(of: bytes)
    }

    /// The login is looked at again when the client has read what it was sent.
    private func waitForReader(_ bytes: Span<UInt8>) -> Admission {
        stash.keep(bytes)
        phase = .head
        deadline = worker.clock.now + worker.generation.configuration.timeouts.body
        return .wait
    }

    private func ask(_ guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        if let refusal = readAccount(of: guess, plan, bytes) { return .refuse(refusal) }
        readSolution(of: guess, bytes)
        guess.state = .asking
        guess.askedAt = worker.clock.now
        stash.keep(bytes)
        phase = .reserving
        deadline = max(worker.clock.now, guess.patienceEnds) + patienceWithProvider + ClientConnection.slack
        worker.reservations.ask(for: self, guess, plan)
        return .wait
    }

    /// Reads more of a login's body, behind what was put aside of it, which stays where it is: small pieces must not cost more
    /// than large ones. False: nothing more can be done now.
    func collectMore() -> Bool {
        let configuration = worker.generation.configuration
        let room = worker.scratch.room(after: 0, limit: min(Scratch.headRead, Scratch.size - stash.count))
        switch channel.receive(into: room) {
        case .bytes(let count):
            if count < room.count, !peerFinished, !channel.mayHoldMore { canRead = false }
            owesLook = true
            stash.append(worker.scratch.bytes(count))
            deadline = worker.clock.now + configuration.timeouts.body
            let collected = stash.bytes
            if case .more = record.guess?.look(at: collected.span, limit: configuration.limits.bodyBytes) {
                parsed = stash.count
            } else {
                // Worth deciding about.
                parsed = 0
            }
            return true
        case .wouldBlock:
            canRead = false
            return false
        case .ended, .failed:
            canRead = false
            close()
            return false
        }
    }

    func reservationKnown() {
        guard phase == .reserving else { return }
        phase = .head
        resume()
    }

    /// The control thread answers in its time; should it be late, nobody waits for ever.
    func reservationIsLate() {
        // Whoever does not read what he was sent before will not read this either.
        guard outbox.isEmpty else { return close() }
        if let guess = record.guess {
            worker.reservations.ended(guess)
            guess.state = .refused(.guessesUncounted)
        }
        reservationKnown()
    }

    /// Nothing is read while a login waits in line, so a reset is asked for: libevent tells of it as of bytes.
    func hasBroken(_ readiness: Readiness) -> Bool {
        readiness.contains(.readable) && channel.socket.pendingError != 0
    }

    /// Called by the worker's sweep. Whoever has closed his sending side may still want his answer, but nearly always he has
    /// closed the connection: a browser that was told to stop, or whose user has lost patience and asks again. So he has the
    /// time that a place takes when there is one, and does not keep others waiting behind him.
    func leaveLineIfGone() {
        guard peerFinished, let guess = record.guess, guess.askedAt + ClientConnection.halfClosed <= worker.clock.now
        else { return }
        close()
    }

    /// The rest of a login's body did not come in time.
    func bodyIsLate() {
        let count = worker.scratch.load(&stash)
        // What the Gatekeeper knows is of the head that it saw last, which is another one, and the route is one of the
        // configuration of then.
        worker.gatekeeper.forget()
        record.facts.route = nil
        record.begin(worker.scratch.bytes(count), peer: peer, worker: worker)
        phase = .head
        respond(with: .bodyTimeout, keepAlive: false)
    }

    /// The exchange is over, or there will be none.
    func endGuess() {
        guard let guess = record.guess.take() else { return }
        worker.reservations.ended(guess)
    }
}
