internal import Settings
internal import Transport
internal import Wire

/// Asks one node after the other who serves what, until one of them says.
///
/// What it says is where to look, no more: each session asks its server itself whether it is a master.
final class RedisMapSeeker {
    private enum State {
        /// → `ended`, when one has answered, none has, or nobody wants to know any more.
        case asking(RedisSlotMap.Address, left: ArraySlice<RedisSlotMap.Address>)
        case ended
    }

    typealias Completion = (Result<RedisSlotMap, LedgerError>) -> Void

    private let book: RedisClusterBook
    private let loop: EventLoop
    private let entry: RedisCluster.Entry
    private let completion: Completion
    private var state = State.ended
    private var connection: RedisConnection?
    private var timer: LoopTimer?
    private var lastProblem = ""
    /// Tells the answers of one node from those of an earlier one.
    private var turn = 0

    private static let patience = Interval.milliseconds(700)

    /// - Parameter completion: comes once after `begin`, unless `stop` was called.
    init(_ book: RedisClusterBook, on loop: EventLoop, entry: RedisCluster.Entry, completion: @escaping Completion) {
        self.book = book
        self.loop = loop
        self.entry = entry
        self.completion = completion
        timer = LoopTimer(on: loop) { [unowned self] in failed(turn, "no answer") }
    }

    func begin() { ask(book.candidates[...]) }

    func stop() {
        state = .ended
        timer?.cancel()
        drop()
        // Whoever is told may let it go, and it may be what is calling right now.
        loop.atEndOfTurn { [self] in withExtendedLifetime(self) {} }
    }

    private func ask(_ candidates: ArraySlice<RedisSlotMap.Address>) {
        guard let candidate = candidates.first else {
            stop()
            return completion(.failure(LedgerError("no node tells who serves what: \(lastProblem)")))
        }
        state = .asking(candidate, left: candidates.dropFirst())
        turn += 1
        timer?.fire(after: RedisMapSeeker.patience)
        book.resolve(candidate.host) { [weak self, turn] result in
            guard let self, self.turn == turn, case .asking = state else { return }
            switch result {
            // One name may stand for many nodes.
            case .success(let found): connect(to: found[book.attempts % found.count], candidate, turn)
            case .failure(let error): failed(turn, error.description)
            }
        }
    }

    private func connect(to address: IPAddress, _ node: RedisSlotMap.Address, _ turn: Int) {
        let door: RedisSession.Door
        do throws(LedgerError) {
            door = try entry.door(.ip(address, port: node.port), node.host, .node(slot: nil))
        } catch {
            return failed(turn, error.description)
        }
        let connection = RedisConnection(
            to: door.address, opening: door.opening, on: loop, connectTimeout: RedisMapSeeker.patience,
            onEnd: { [unowned self] in failed(turn, $0) })
        self.connection = connection
        let login = entry.login()
        if let password = login.password {
            let secret = String(decoding: password.revealed, as: UTF8.self)
            connection.call(["AUTH"] + (login.username.map { [$0] } ?? []) + [secret]) { [weak self] in
                guard let error = $0?.error else { return }
                let told = RedisRemedy.explain(error, command: ["AUTH"], user: login.username)
                self?.failed(turn, "AUTH was refused: \(told)")
            }
        }
        connection.call(["CLUSTER", "SLOTS"]) { [weak self] in
            guard let self, self.turn == turn, case .asking = state, let reply = $0 else { return }
            if let error = reply.error {
                let told = RedisRemedy.explain(error, command: ["CLUSTER|SLOTS"], user: login.username)
                return failed(turn, "CLUSTER SLOTS was refused: \(told)")
            }
            do throws(LedgerError) {
                let map = try RedisSlotMap(reply, toldBy: node)
                stop()
                completion(.success(map))
            } catch {
                failed(turn, error.description)
            }
        }
    }

    private func failed(_ turn: Int, _ problem: String) {
        guard case .asking(let node, let left) = state, self.turn == turn else { return }
        book.note(node, problem: problem)
        book.distrust()
        lastProblem = "\(node.text): \(problem)"
        drop()
        ask(left)
    }

    private func drop() {
        let former = connection
        connection = nil
        former?.close()
        // It may be what is calling right now.
        loop.atEndOfTurn { withExtendedLifetime(former) {} }
    }
}
