internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// A pair of connections that stand and fall together: one for commands, one that hears which keys changed
/// (`CLIENT TRACKING … REDIRECT`, because a subscribed RESP2 connection can do nothing else).
///
/// Redis tells nobody that the redirect is broken, so the loss of either ends the session, and the next one starts with
/// a new tracking and a full scan. That is one path for all faults.
final class RedisSession {
    struct Login {
        var username: String?
        var password: Secret?
        var database: Int
    }

    struct Events {
        /// Logged in, scripts loaded, changes are reported from now on.
        var ready: () -> Void
        /// Keys with the prefix changed; nil: all of them (a flush).
        var invalidated: ([[UInt8]]?) -> Void
        /// The last call.
        var ended: (String) -> Void
    }

    private enum State { case opening, ready, ended }

    /// What the keys begin with whose changes are reported.
    static let mirrored = [BlockKey.blockPrefix, RevocationKey.prefix] + SharedName.Kind.allCases.map(\.rawValue)
    private static let invalidations = "__redis__:invalidate"
    /// Both connections are asked that often whether somebody is there, and given up after so many questions without an
    /// answer. Questions are counted, not seconds: when this thread itself was held up, the answers wait to be read.
    private static let pingInterval = Interval.milliseconds(500)
    private static let patience = 3
    private static let openingPatience = 6

    private let loop: EventLoop
    private let events: Events
    private var data: RedisConnection!
    private var subscriber: RedisConnection!
    private var state = State.opening
    private var timer: LoopTimer?
    /// Ticks since anything was heard; while opening, since the beginning.
    private var silentData = 0
    private var silentSubscriber = 0
    private var hashes: [Script: String] = [:]

    init(to address: SocketAddress, as login: Login, on loop: EventLoop, connectTimeout: Interval, events: Events) {
        self.loop = loop
        self.events = events
        subscriber = RedisConnection(
            to: address, on: loop, connectTimeout: connectTimeout,
            onMessage: { [unowned self] in
                silentSubscriber = 0
                events.invalidated($0.array.map { $0.compactMap(\.data) })
            }, onEnd: { [unowned self] in end("subscriber: \($0)") })
        data = RedisConnection(
            to: address, on: loop, connectTimeout: connectTimeout,
            onEnd: { [unowned self] in end($0) })
        timer = LoopTimer(on: loop) { [unowned self] in tick() }
        timer?.fire(every: RedisSession.pingInterval)
        handshake(login)
    }

    /// Ends it without a word; calls that wait are answered with nil.
    func close() {
        guard state != .ended else { return }
        state = .ended
        timer?.cancel()
        subscriber.close()
        data.close()
        // A connection may be what is calling right now.
        loop.atEndOfTurn { [self] in withExtendedLifetime(self) {} }
    }

    func call(_ arguments: [String], completion: @escaping RedisConnection.Completion = { _ in }) {
        data.call(arguments) { [weak self] reply in
            self?.silentData = 0
            completion(reply)
        }
    }

    /// Runs a script by its hash, and with its text when Redis has forgotten it (SCRIPT FLUSH, a restart behind a proxy).
    func run(
        _ script: Script, keys: [String], _ arguments: [String], completion: @escaping RedisConnection.Completion
    ) {
        let rest = [String(keys.count)] + keys + arguments
        call(["EVALSHA", hashes[script] ?? ""] + rest) { [weak self] reply in
            if let self, reply?.error?.hasPrefix("NOSCRIPT") == true {
                call(["EVAL", script.text] + rest, completion: completion)
            } else {
                completion(reply)
            }
        }
    }

    private func handshake(_ login: Login) {
        for connection in [subscriber!, data!] {
            if let password = login.password {
                let secret = String(decoding: password.revealed, as: UTF8.self)
                require(connection, ["AUTH"] + (login.username.map { [$0] } ?? []) + [secret])
            }
            if login.database != 0 { require(connection, ["SELECT", String(login.database)]) }
        }
        for script in Script.allCases {
            require(data, ["SCRIPT", "LOAD", script.text]) { [unowned self] in hashes[script] = $0.text }
        }
        var identity: Int64?
        require(subscriber, ["CLIENT", "ID"]) { identity = $0.integer }
        require(subscriber, ["SUBSCRIBE", RedisSession.invalidations]) { [unowned self] _ in
            guard let identity else { return }
            require(
                data,
                ["CLIENT", "TRACKING", "ON", "REDIRECT", String(identity), "BCAST"]
                    + RedisSession.mirrored.flatMap { ["PREFIX", $0] }
            ) { [unowned self] _ in
                state = .ready
                silentData = 0
                silentSubscriber = 0
                events.ready()
            }
        }
    }

    /// A step without which there is no session.
    private func require(
        _ connection: RedisConnection, _ arguments: [String], then next: @escaping (RESPValue) -> Void = { _ in }
    ) {
        connection.call(arguments) { [weak self] reply in
            guard let self, state == .opening, let reply else { return }
            // Never the arguments: they may be a password.
            if let error = reply.error { end("\(arguments[0]) was refused: \(error)") } else { next(reply) }
        }
    }

    private func tick() {
        silentData += 1
        silentSubscriber += 1
        if state == .opening {
            if silentData > RedisSession.openingPatience { end("no answer while connecting") }
            return
        }
        guard max(silentData, silentSubscriber) <= RedisSession.patience else { return end("no answer to PING") }
        call(["PING"])
        subscriber.call(["PING"]) { [weak self] _ in self?.silentSubscriber = 0 }
    }

    private func end(_ reason: String) {
        guard state != .ended else { return }
        close()
        events.ended(reason)
    }
}
