internal import Ledger
internal import Policy
internal import Wire

/// Logins from where so many have failed that a challenge must be solved. The ledger keeps them at that number as it keeps
/// others at the limit: so of any number at once, on any number of replicas, exactly as many reach backends without a solution.
extension GuessDesk {
    /// The waiter, with what its login brings.
    func withSolution(_ waiter: Waiter) -> Waiter {
        guard let challenges, !challenges.isOff else { return waiter }
        let request = waiter.request
        let isSolved = challenges.accepts(request)
        return Waiter(request: request, places: waiter.places, isSolved: isSolved) { answer in
            if case .granted = answer { challenges.used(request) } else { challenges.giveBack(request) }
            waiter.answer(answer)
        }
    }

    /// How many failures there may be in front of it, where that is less than the limit.
    func threshold(of place: LoginFailure, for waiter: Waiter) -> Int? {
        waiter.isSolved ? nil : rules[place.key.rule].challengeThreshold(under: place.key)
    }

    /// It has solved nothing, and so many have failed.
    func challenge(_ waiter: Waiter) {
        guard let challenges, !waiter.isSolved else { return waiter.answer(.challenged(.work)) }
        let subject = rules.plain.subject(of: waiter.request.guess.address)
        challenges.meet(waiter.request, of: subject) { [unowned self] step in
            switch step {
            case .go:
                var solved = waiter
                solved.isSolved = true
                attempt(solved)
            case .pose(let kind): waiter.answer(.challenged(kind))
            case .refuse: waiter.answer(.unchecked)
            }
        }
    }
}
