internal import Policy
internal import Transport
internal import Wire

/// Asks the workers about keys and gathers their answers, on the control thread.
final class KeyDesk {
    private struct Round {
        var answers: [KeyAnswer] = []
        var deadline: Instant
        let done: ([KeyAnswer]) -> Void
    }

    /// How many workers there are to answer.
    private let running: () -> Int
    /// Asks all of them.
    private let send: (KeyQuestion, _ ticket: Int) -> Void
    private var rounds: [Int: Round] = [:]
    private var lastTicket = 0
    private var timer: LoopTimer?
    /// A worker that hangs must not keep an operator for ever.
    private let patience: Interval

    init(
        running: @escaping () -> Int, on loop: EventLoop, patience: Interval = .seconds(2),
        send: @escaping (KeyQuestion, _ ticket: Int) -> Void
    ) {
        self.running = running
        self.send = send
        self.patience = patience
        timer = LoopTimer(on: loop) { [unowned self] in giveUp() }
    }

    /// The completion gets one answer of each worker, or fewer after `patience`.
    func ask(_ question: KeyQuestion, then done: @escaping ([KeyAnswer]) -> Void) {
        guard running() > 0 else { return done([]) }
        lastTicket += 1
        rounds[lastTicket] = Round(deadline: .now() + patience, done: done)
        if rounds.count == 1 { timer?.fire(after: patience) }
        send(question, lastTicket)
    }

    func received(_ answer: KeyAnswer, _ ticket: Int) {
        guard var round = rounds.removeValue(forKey: ticket) else { return }
        round.answers.append(answer)
        if round.answers.count < running() { rounds[ticket] = round } else { round.done(round.answers) }
    }

    private func giveUp() {
        let now = Instant.now()
        let late = rounds.filter { $0.value.deadline <= now }.sorted { $0.key < $1.key }
        for (ticket, round) in late {
            rounds[ticket] = nil
            round.done(round.answers)
        }
        if let next = rounds.values.map(\.deadline).min() { timer?.fire(after: next - now) }
    }
}

/// What all workers together have seen of one key.
struct KeyCensus {
    var requests = 0
    var lastUsed: WallTime?
    var lastExpiry: WallTime?
    /// A token that two workers have met is one.
    var live: Set<LiveToken> = []

    static func sum(_ answers: [KeyAnswer]) -> [String: KeyCensus] {
        var all: [String: KeyCensus] = [:]
        for case .usage(let keys) in answers {
            for usage in keys {
                var sum = all[usage.key] ?? KeyCensus()
                sum.requests += usage.requests
                sum.lastUsed = [sum.lastUsed, usage.lastUsed].compactMap { $0 }.max()
                sum.lastExpiry = [sum.lastExpiry, usage.lastExpiry].compactMap { $0 }.max()
                sum.live.formUnion(usage.live)
                all[usage.key] = sum
            }
        }
        return all
    }
}

extension Set<LiveToken> {
    var users: Int { Set<Int>(map(\.user)).count }

    /// Those that would be good for longer.
    func outliving(_ time: WallTime) -> Set<LiveToken> { filter { $0.expiresAt > time } }
}
