internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// A pair of connections that stand and fall together: one for commands, one that hears which keys changed
/// (`CLIENT TRACKING … REDIRECT`, because a subscribed RESP2 connection can do nothing else).
///
/// Redis tells nobody that the redirect is broken, so the loss of either ends the session, and the next one starts with
/// a new tracking and a full scan. That is one path for all faults.
final class RedisSession: RedisStore {
    struct Login {
        var username: String?
        var password: Secret?
        var database: Int
    }

    /// What the server has to be.
    enum Part: Hashable {
        /// Whatever is there.
        case alone
        /// The one of its replicas: they forget what they are told.
        case master
        /// A master of a cluster, and one of the slots that it serves; nil: it is to be given some.
        case node(slot: Int?)
    }

    /// Where and how it begins.
    struct Door {
        var address: SocketAddress
        /// Whom the server has to be; nil: plain text.
        var security: (context: TLSClientContext, name: String)?
        var part = Part.alone
        /// Bytes that may wait to be sent.
        var outputLimit = 64 << 20

        /// Both connections prove by themselves whom they have met.
        var opening: StreamOpening {
            StreamOpening(tls: security.map { TLSClient($0.context, name: $0.name) })
        }
    }

    /// How changes become known, best first.
    enum Feed: Hashable {
        case tracking
        /// Redis publishes what happens to keys (`notify-keyspace-events`); not a flush, and strings only, so scanned too.
        case notifications(insteadBecause: String)
        /// Nobody says anything.
        case scanning(because: String)
    }

    struct Events {
        /// Logged in, scripts loaded, changes are reported from now on, if at all.
        var ready: (Feed) -> Void
        /// Keys with the prefix changed; nil: all of them (a flush).
        var invalidated: ([[UInt8]]?) -> Void
        /// The last call.
        var ended: (String) -> Void
    }

    enum State { case opening, ready, ended }

    /// What the keys begin with whose changes are reported.
    /// Read in this order: what keeps an address from being blocked comes before a million blocks.
    static let mirrored =
        SharedName.Kind.allCases.map(\.rawValue) + [BlockKey.blockPrefix, BlockKey.lockPrefix, RevocationKey.prefix]
    static let invalidations = "__redis__:invalidate"
    /// The end of a key that does not exist, by which permissions are tried.
    static let probe = "gateway-probe"
    /// Both connections are asked that often whether somebody is there, and given up after so many questions without an
    /// answer. Questions are counted, not seconds: when this thread itself was held up, the answers wait to be read.
    private static let pingInterval = Interval.milliseconds(500)
    private static let patience = 3
    private static let openingPatience = 6

    private let loop: EventLoop
    let events: Events
    let login: Login
    let keyspace: RedisKeyspace
    let part: Part
    private(set) var data: RedisConnection!
    private(set) var subscriber: RedisConnection!
    var state = State.opening
    private var timer: LoopTimer?
    /// Ticks since anything was heard; while opening, since the beginning.
    var silentData = 0
    var silentSubscriber = 0
    var hashes: [Script: String] = [:]
    /// What was heard of the key that is changed to find out whether changes are published.
    var heard: Set<String> = []
    /// That key.
    lazy var feedProbe = makeFeedProbe()

    // +Statistics
    let statistics: RedisStatistics
    var refusedStatistics: Set<String> = []
    private var ticks = 0

    init(
        through door: Door, as login: Login, keyspace: RedisKeyspace, on loop: EventLoop, connectTimeout: Interval,
        statistics: RedisStatistics = RedisStatistics(), events: Events
    ) {
        self.loop = loop
        self.statistics = statistics
        self.events = events
        self.login = login
        self.keyspace = keyspace
        part = door.part
        subscriber = RedisConnection(
            to: door.address, opening: door.opening, on: loop, connectTimeout: connectTimeout,
            onMessage: { [unowned self] in published($0) }, onEnd: { [unowned self] in end("subscriber: \($0)") })
        data = RedisConnection(
            to: door.address, opening: door.opening, on: loop, connectTimeout: connectTimeout,
            outputLimit: door.outputLimit, onEnd: { [unowned self] in end($0) })
        timer = LoopTimer(on: loop) { [unowned self] in tick() }
        timer?.fire(every: RedisSession.pingInterval)
        handshake()
    }

    /// Ends it without a word; calls that wait are answered with nil.
    func close() {
        guard state != .ended else { return }
        state = .ended
        timer?.cancel()
        statistics.store.forgetServer()
        subscriber.close()
        data.close()
        // A connection may be what is calling right now.
        loop.atEndOfTurn { [self] in withExtendedLifetime(self) {} }
    }

    var epochKeys: [String] { [BlockKey.epoch] }
    var epochOwners: (String) -> String { { _ in BlockKey.epoch } }
    var movesKeys: Bool { false }

    func call(_ arguments: [String], completion: @escaping RedisConnection.Completion) {
        send(keyspace.command(arguments)) { [weak self] reply in
            completion(self?.keyspace.reply(reply, to: arguments.first) ?? reply)
        }
    }

    /// - Parameter stored: a command with its keys as the store knows them.
    func send(_ stored: [String], completion: @escaping RedisConnection.Completion = { _ in }) {
        statistics.store.commands += 1
        data.call(stored) { [weak self] reply in
            self?.silentData = 0
            if let error = reply?.error, !RedisSession.isAskedAgain(error) { self?.statistics.store.errors += 1 }
            completion(reply)
        }
    }

    /// Nothing is wrong: another question, or another node, has the answer.
    private static func isAskedAgain(_ error: String) -> Bool {
        ["NOSCRIPT", "MOVED ", "ASK ", "TRYAGAIN"].contains { error.hasPrefix($0) }
    }

    private func tick() {
        silentData += 1
        silentSubscriber += 1
        if state == .opening {
            if silentData > RedisSession.openingPatience { end("no answer while connecting") }
            return
        }
        guard max(silentData, silentSubscriber) <= RedisSession.patience else { return end("no answer to PING") }
        // A master that was demoted while nobody wrote to it says so here.
        if part == .alone { call(["PING"]) } else { askRole() }
        subscriber.call(["PING"]) { [weak self] _ in self?.silentSubscriber = 0 }
        ticks += 1
        if ticks % RedisSession.ticksPerStatistics == 0 { askStatistics() }
    }

    func end(_ reason: String) {
        guard state != .ended else { return }
        close()
        events.ended(reason)
    }
}
