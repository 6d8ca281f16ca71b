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
    /// A block that *screen* does not see is asked about again, but not for ever.
    private static let mostBlocked = 32

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
                record.facts, rules: worker.generation.rules.names(of: plan.loginRows),
                patienceEnds: worker.clock.now + login.wait)
            record.guess = guess
            return collect(guess, plan, bytes)
        }
        switch guess.state {
        case .collecting: return collect(guess, plan, bytes)
        case .held, .forwarded, .answered, .failed: return .go
        case .refused(let refusal): return .refuse(refusal)
        case .asking: return .wait
        case .blocked:
            guess.timesBlocked += 1
            guard guess.timesBlocked < ClientConnection.mostBlocked else { return .refuse(.tooManyGuesses) }
            return ask(guess, plan, bytes)
        }
    }

    private func collect(_ guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        switch guess.look(at: bytes) {
        case .refused(let refusal): return .refuse(refusal)
        case .whole: return ask(guess, plan, bytes)
        case .more:
            if worker.isShortOfMemory { return .refuse(.shortOfMemory) }
            let isFirst = phase != .collecting && bytes.count == record.facts.headLength
            let expects = isFirst && record.facts.minorVersion >= 1 && asksToContinue(bytes)
            keepCollecting(bytes)
            // The backend cannot ask for a body that it will only see whole.
            if expects { send(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8).span, Span()) }
            return .wait
        }
    }

    /// What came of a login's body is put aside until there is more.
    private func keepCollecting(_ bytes: Span<UInt8>) {
        phase = .collecting
        deadline = worker.clock.now + worker.generation.configuration.timeouts.body
        awaitMore(of: bytes)
    }

    private func ask(_ guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Admission {
        guess.state = .asking
        stash.keep(bytes)
        phase = .reserving
        deadline = max(worker.clock.now, guess.patienceEnds) + ClientConnection.slack
        worker.reservations.ask(for: self, guess, plan)
        return .wait
    }

    /// Whether the bytes of a login that is being collected are worth another look; else they are put aside.
    func collects(_ bytes: Span<UInt8>) -> Bool {
        guard let guess = record.guess else { return true }
        if case .more = guess.look(at: bytes) {
            keepCollecting(bytes)
            return false
        }
        return true
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
        record.guess?.state = .refused(.guessesUncounted)
        reservationKnown()
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

    /// The one expectation that *read* lets through (RFC 9110 §10.1.1). Looked for again because only a login whose body
    /// did not come with its head has to be told.
    private func asksToContinue(_ head: Span<UInt8>) -> Bool {
        let name: StaticString = "\nexpect:"
        var matched = 0
        for index in head.indices {
            let byte = head[index]
            let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            if lower == name.utf8Start[matched] {
                matched += 1
                if matched == name.utf8CodeUnitCount { return true }
            } else {
                matched = byte == 0x0A ? 1 : 0
            }
        }
        return false
    }
}
