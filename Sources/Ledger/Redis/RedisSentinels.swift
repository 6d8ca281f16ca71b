internal import Settings
internal import Transport
internal import Wire

/// Asks the sentinels who is the master, and stays with the one that answered to hear when that changes.
///
/// What a sentinel says is where to look, no more: the session asks the server itself whether it is the master.
final class RedisSentinels {
    private enum State {
        /// Nobody needs to know. → `asking`
        case resting
        /// → `following`, or `resting` when none of them answers.
        case asking(turn: Int, completion: (Result<Configuration.SocketAddressText, LedgerError>) -> Void)
        /// It answered and will tell of a change. → `asking`; `resting` when it is lost.
        case following(Configuration.SocketAddressText)
    }

    private let settings: Configuration.RedisSentinels
    private let loop: EventLoop
    private let resolve: Resolve
    private let secure: () throws(LedgerError) -> TLSClientContext?
    private let onSwitch: (String) -> Void
    private var state = State.resting
    private var connection: RedisConnection?
    private var timer: LoopTimer?
    /// The next one to ask.
    private var next = 0
    private var silent = 0
    /// Tells the answers of one question from those of an earlier one.
    private var turn = 0
    /// Sentinels that have not been asked yet.
    private var left = 0
    private var lastProblem = ""
    private var lookups: [String: Lookup] = [:]

    typealias Resolve = (_ host: String, _ completion: @escaping (Result<[IPAddress], ResolveError>) -> Void) -> Void

    /// A name that was asked for and not waited for any longer.
    private enum Lookup {
        /// → `late`, or none.
        case underWay
        /// Good for one attempt.
        case late([IPAddress], at: Instant)
    }
    private static let patience = Interval.milliseconds(700)
    private static let pingInterval = Interval.milliseconds(500)
    /// A late answer is used so long; attempts are made every other second.
    private static let freshness = Interval.seconds(10)

    /// - Parameter onSwitch: the master is another one, or nobody would tell; ask again.
    init(
        _ settings: Configuration.RedisSentinels, on loop: EventLoop, resolve: @escaping Resolve,
        secure: @escaping () throws(LedgerError) -> TLSClientContext?, onSwitch: @escaping (String) -> Void
    ) {
        self.settings = settings
        self.loop = loop
        self.resolve = resolve
        self.secure = secure
        self.onSwitch = onSwitch
        timer = LoopTimer(on: loop) { [unowned self] in tick() }
    }

    /// Each sentinel once, beginning with the one behind the last; the completion comes unless `stop` was called.
    func find(_ completion: @escaping (Result<Configuration.SocketAddressText, LedgerError>) -> Void) {
        drop()
        ask(attempt: 0, completion)
    }

    func stop() {
        drop()
        state = .resting
        timer?.cancel()
    }

    private func ask(
        attempt: Int, _ completion: @escaping (Result<Configuration.SocketAddressText, LedgerError>) -> Void
    ) {
        guard attempt < settings.addresses.count else {
            state = .resting
            return completion(.failure(LedgerError("no sentinel knows the master: \(lastProblem)")))
        }
        let sentinel = settings.addresses[next % settings.addresses.count]
        next += 1
        turn += 1
        left = settings.addresses.count - attempt - 1
        state = .asking(turn: turn, completion: completion)
        timer?.fire(after: RedisSentinels.patience)
        locate(sentinel, turn)
    }

    /// One question for a name at a time: others of the gateway wait behind it for the resolver, and while a name server is
    /// silent each attempt would add one that nobody waits for any more.
    private func locate(_ sentinel: Configuration.SocketAddressText, _ turn: Int) {
        switch lookups[sentinel.host] {
        case .underWay: return failed(turn, "\(sentinel.host): its name is still being resolved")
        case .late(let found, let at) where Instant.now() - at < RedisSentinels.freshness:
            lookups[sentinel.host] = nil
            return connect(to: found[0], sentinel, turn)
        case .late, nil: lookups[sentinel.host] = .underWay
        }
        resolve(sentinel.host) { [weak self] result in
            guard let self else { return }
            lookups[sentinel.host] = nil
            switch result {
            case .success(let found) where isAsking(turn): connect(to: found[0], sentinel, turn)
            case .success(let found): lookups[sentinel.host] = .late(found, at: .now())
            case .failure(let error): failed(turn, "\(sentinel.host): \(error.description)")
            }
        }
    }

    private func isAsking(_ turn: Int) -> Bool {
        if case .asking(let current, _) = state { return current == turn }
        return false
    }

    private func connect(to address: IPAddress, _ sentinel: Configuration.SocketAddressText, _ turn: Int) {
        let who = "sentinel \(sentinel.host):\(sentinel.port)"
        var opening = StreamOpening()
        do throws(LedgerError) {
            if let context = try secure() {
                opening.tls = TLSClient(context, name: settings.serverName ?? sentinel.host)
            }
        } catch {
            return failed(turn, error.description)
        }
        let connection = RedisConnection(
            to: .ip(address, port: sentinel.port), opening: opening, on: loop, connectTimeout: RedisSentinels.patience,
            onMessage: { [unowned self] in heard($0) },
            onEnd: { [unowned self] in lost(turn, "\(who): \($0)") })
        self.connection = connection
        if let password = settings.password {
            let secret = String(decoding: password.revealed, as: UTF8.self)
            connection.call(["AUTH"] + (settings.username.map { [$0] } ?? []) + [secret]) { [weak self] in
                guard let error = $0?.error else { return }
                let text = RedisRemedy.withoutArguments(error)
                self?.failed(turn, "\(who): AUTH was refused: \(text) — see redis.sentinel_password_file")
            }
        }
        connection.call(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master]) { [weak self] in
            guard let self, isAsking(turn), let reply = $0 else { return }
            if let error = reply.error {
                return failed(turn, "\(who): \(RedisRemedy.explain(error, user: settings.username))")
            }
            guard let parts = reply.array, parts.count == 2, let host = parts[0].text,
                let port = parts[1].text.flatMap({ UInt16($0) })
            else {
                return failed(turn, "\(who) watches no master \"\(settings.master)\": see redis.sentinel_master")
            }
            found(Configuration.SocketAddressText(host: host, port: port))
        }
        connection.call(["SUBSCRIBE", "+switch-master"])
    }

    private func found(_ master: Configuration.SocketAddressText) {
        guard case .asking(_, let completion) = state else { return }
        state = .following(master)
        // Asked first again, as long as it answers.
        next -= 1
        silent = 0
        timer?.fire(every: RedisSentinels.pingInterval)
        completion(.success(master))
    }

    /// The server that it named was not the master, or not there: ask another one next time.
    func distrust() { next += 1 }

    private func tick() {
        switch state {
        case .resting: timer?.cancel()
        case .asking(let turn, _): failed(turn, "a sentinel gives no answer")
        case .following:
            silent += 1
            if silent > 3 { return lost(turn, "the sentinel gives no answer") }
            connection?.call(["PING"]) { [weak self] _ in self?.silent = 0 }
        }
    }

    private func failed(_ turn: Int, _ problem: String) {
        guard case .asking(let current, let completion) = state, current == turn else { return }
        lastProblem = problem
        drop()
        ask(attempt: settings.addresses.count - left, completion)
    }

    private func lost(_ turn: Int, _ problem: String) {
        switch state {
        case .resting: return
        case .asking: failed(turn, problem)
        case .following(let master): followAnother(than: master)
        }
    }

    /// The data is still there; only nobody would tell of a change.
    private func followAnother(than master: Configuration.SocketAddressText) {
        next += 1
        find { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let found) where found == master: return
            case .success(let other): onSwitch("the master is \(other.host):\(other.port) now")
            case .failure:
                // All of them are away. The master may well be there: asked again, without haste.
                state = .following(master)
                silent = 2
                timer?.fire(every: .seconds(1))
            }
        }
    }

    /// `<master> <old address> <old port> <new address> <new port>`
    private func heard(_ parts: [RESPValue]) {
        silent = 0
        guard case .following = state, let text = parts.last?.text else { return }
        let words = text.split(separator: " ")
        guard words.count == 5, words[0] == settings.master else { return }
        onSwitch("the master is \(words[3]):\(words[4]) now")
    }

    private func drop() {
        let former = connection
        connection = nil
        former?.close()
        // It may be what is calling right now.
        loop.atEndOfTurn { withExtendedLifetime(former) {} }
    }
}
