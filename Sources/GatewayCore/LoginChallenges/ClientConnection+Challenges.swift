internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// What a login brings to a challenge, and what it is told of one.
extension ClientConnection {
    /// Looks for the solution in the head at the front of `bytes`.
    func readSolution(of guess: Guess, _ bytes: Span<UInt8>) {
        guard worker.generation.rules.challenge != nil else { return }
        guess.solution = worker.gatekeeper.solution(bytes, from: guess.address, at: worker.clock.wall)
    }

    /// A provider may have to be asked when a place was found not to be had.
    var patienceWithProvider: Interval {
        worker.generation.configuration.login.challenge?.siteverify?.timeout ?? .zero
    }

    /// The refusal that is written next tells of the challenge. `bytes` are those of the login, which was just decided.
    func pose(_ bytes: Span<UInt8>) {
        guard let guess = record.guess else { return }
        let trace = record.trace
        worker.gatekeeper.pose(
            guess.posed, to: guess.address, bytes, at: worker.clock.wall, requestID: trace.requestID)
    }
}
