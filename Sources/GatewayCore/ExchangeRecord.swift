internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// What there is of an exchange until it is settled: its state, and what must be known for its log line, its metrics, and
/// for sending it again. Used for one exchange after another, of any connection of its worker; an object, so that reading
/// one member claims no access to the rest.
final class ExchangeRecord {
    /// The request's part of the log line, and behind it the head as it was sent upstream. From the worker's pool, nil
    /// between exchanges: an idle connection holds no buffer.
    private var buffer: RecordBuffer?
    private var pending = PendingAccess()
    /// What `buffer` held of the line, for an exchange that lasts; it is counted then.
    private var line: [UInt8]?
    private var replayLength = 0

    /// What is under way, of a request that may go to an upstream; nil: nothing.
    var exchange: Exchange?
    var pool: UpstreamPool?
    /// The request's, on its way to the server.
    var requestBody = BodyRelay(reading: .none, writingChunks: false)

    let trace = RequestTrace()
    let way = ForwardingText()
    private let sender = SenderText()
    var plan: Plan?
    /// What the connection may change to.
    var upgrade: Policy.Upgrade?
    var facts = RequestFacts(client: IPAddress(v4: 0))
    private var generation: Generation?
    /// Those of the configuration that the exchange began with: the indices in `facts` and `plan` are its own.
    private(set) var metrics: MetricShard?
    private var method = MethodLabel.other
    /// Of a CORS request; nearly always empty.
    private var origin: [UInt8] = []
    /// For the audit records of a login.
    var audit: AuditRequest?
    /// Of a login that is counted against its address.
    var guess: Guess?
    /// The guess when its verdict is known and it has given its places back.
    var judgedGuess: Guess?
    /// How it stands with the rate limit that its answer tells of.
    var rate: RateStanding?
    var identity: VerifiedToken?
    var startedAt = Instant(nanoseconds: 0)
    var status = 0
    var bytesIn: Int64 = 0
    var bytesOut: Int64 = 0
    /// Bytes of a large body that the server was seen to have taken.
    var taken: Int64 = 0
    var refusal: Refusal?
    var leasedAt: Instant?
    var server: ServerLabel?
    var upstreamStatus: Int?
    var retries = 0
    /// What chooses the server, of an upstream with `consistent_hash`.
    var affinity: UInt64 = 0
    /// The answer was cut off in the middle.
    var wasCut = false
    var isEventStream = false
    /// The rules by which its answer is that to a failed login.
    var failedRows = LoginRows()
    /// One of them is of the class `login`, as it was when that was found.
    var failsLogin = false
    /// Why a tunnel ended, or an answer was cut off.
    var end: TunnelEnd?
    /// The client learns the end of the answer from the end of the connection.
    var closesClient = false
    /// The first byte of the request has arrived.
    var hasBegun = false
    /// Which its issuer is asked about, while the request waits for that.
    var askedToken: [UInt8] = []
    private(set) var isSettled = true
    /// It is the one that connections share while they wait; it is never written to.
    let isResting: Bool

    init(isResting: Bool = false) { self.isResting = isResting }

    /// Forgets the last exchange; the next one begins. `facts` are the Gatekeeper's to fill anew.
    func reset(startedAt: Instant) {
        assert(!isResting)
        self.startedAt = startedAt
        pending = PendingAccess()
        replayLength = 0
        if exchange != nil { exchange = nil }
        requestBody = BodyRelay(reading: .none, writingChunks: false)
        plan = nil
        if upgrade != nil { upgrade = nil }
        trace.clear()
        method = .other
        if !origin.isEmpty { origin = [] }
        if audit != nil { audit = nil }
        if judgedGuess != nil { judgedGuess = nil }
        status = 0
        bytesIn = 0
        bytesOut = 0
        taken = 0
        refusal = nil
        if server != nil { server = nil }
        leasedAt = nil
        upstreamStatus = nil
        retries = 0
        affinity = 0
        wasCut = false
        isEventStream = false
        end = nil
        closesClient = false
        hasBegun = false
        isSettled = false
        failedRows = LoginRows()
        failsLogin = false
        facts.counted = .nothing
        if rate != nil { rate = nil }
    }

    func context(under current: Generation) -> ResponseContext {
        ResponseContext(
            isHead: facts.isHead, minorVersion: facts.minorVersion, loginRows: loginRows(under: current),
            isSecure: facts.isSecure, upgrade: upgrade, tokenIsInQuery: plan?.tokenIsInQuery ?? false,
            rate: rate)
    }

    /// The rules for logins may be others since the request was decided.
    func loginRows(under current: Generation) -> LoginRows {
        guard plan?.isLogin == true, let rows = plan?.loginRows else { return LoginRows() }
        guard let generation else { return rows }
        return generation.rows(rows, under: current)
    }

    /// A head was judged, and `facts` are there; keeps what the log line will say of it, because the bytes will be gone by then.
    func begin(_ bytes: Span<UInt8>, peer: IPAddress, worker: Worker) {
        assert(!isResting)
        hasBegun = true
        // Nearly always those of the last exchange.
        if generation !== worker.generation {
            generation = worker.generation
            way.clear()
        }
        if metrics !== worker.telemetry.metrics { metrics = worker.telemetry.metrics }
        noteSize(in: bytes)
        worker.gatekeeper.name(trace, bytes, peer: peer)
        method = MethodLabel(bytes.extracting(facts.method))
        if !facts.origin.isEmpty { origin = bytes.extracting(facts.origin).withUnsafeBufferPointer { Array($0) } }
        let gatekeeper = worker.gatekeeper
        let buffer = worker.buffers.take()
        var memory = buffer.pendingMemory
        pending.note(
            method: bytes.extracting(facts.method), host: bytes.extracting(facts.authority),
            path: gatekeeper.pathForLogs(bytes, facts.path), userAgent: bytes.extracting(facts.userAgent),
            in: &memory)
        self.buffer = buffer
    }

    /// What has come of the request whose head `bytes` begin with; of one in chunks everything, since their end is not
    /// known here. Whoever passes the body on counts anew.
    func noteSize(in bytes: Span<UInt8>) {
        let head = Int64(facts.headLength)
        switch facts.framing {
        case .none: bytesIn = head
        case .length(let length): bytesIn = head + min(length, Int64(bytes.count) - head)
        default: bytesIn = Int64(bytes.count)
        }
    }

    /// The origin that an answer of our own may name, if the route that allows it is still the one it was.
    func origin(under current: Generation) -> [UInt8] { !origin.isEmpty && generation === current ? origin : [] }

    /// The indices in `facts` and `plan` are those of this generation.
    func isOf(_ current: Generation) -> Bool { generation === current }

    /// As the configuration that the exchange began with calls it.
    var routeName: String? { facts.route.flatMap { generation?.configuration.routes[$0].name } }

    /// Keeps the composed head, so that it can be sent again. One that does not fit is not sent again.
    func keepForReplay(_ head: Span<UInt8>) {
        replayLength = buffer?.keep(head) ?? 0
    }

    /// The head for another attempt; empty when there is none.
    func withReplay<R>(_ body: (Span<UInt8>) -> R) -> R {
        guard let buffer else { return body(Span()) }
        return body(buffer.kept(replayLength))
    }

    var canReplay: Bool { replayLength > 0 }

    /// The exchange becomes a tunnel or an event stream. It is counted now, since how long it stays open says nothing of
    /// how fast it was answered, and holds no buffer while it is quiet.
    func willLast(_ worker: Worker) {
        guard let buffer else { return }
        count(worker.clock.now, worker)
        line = buffer.pendingBytes.extracting(first: Int(pending.count)).withUnsafeBufferPointer { Array($0) }
        replayLength = 0
        worker.buffers.give(buffer)
        self.buffer = nil
    }

    var lasts: Bool { line != nil }

    private func count(_ now: Instant, _ worker: Worker) {
        (metrics ?? worker.telemetry.metrics).countRequest(
            route: facts.route, method: method, status: status, duration: now - startedAt)
    }

    /// Counts the exchange, writes its log line and gives the buffer back.
    /// - Parameters:
    ///   - proxy: who announced the peer.
    ///   - isCheck: the peer asked about a request of a client of its own.
    func settle(peer: IPAddress, port: UInt16, proxy: IPAddress?, isCheck: Bool, worker: Worker) {
        assert(!isResting)
        isSettled = true
        let now = worker.clock.now
        if !(wasCut && status == 0), !lasts { count(now, worker) }
        if let line = line.take() {
            writeLine(line.span, peer, port, proxy, isCheck, now, worker)
        } else if let buffer = buffer.take() {
            writeLine(buffer.pendingBytes, peer, port, proxy, isCheck, now, worker)
            worker.buffers.give(buffer)
        } else {
            // A request that never became whole; its line says what is known.
            writeLine(Span(), peer, port, proxy, isCheck, now, worker)
        }
        if identity != nil { identity = nil }
        if pool != nil { pool = nil }
    }

    /// A settled exchange keeps no configuration alive but the present one.
    func forget(allBut current: Generation) {
        guard isSettled, let generation, generation !== current else { return }
        self.generation = nil
        metrics = nil
    }

    /// Nothing of the last exchange is wanted any more, its configuration least of all.
    func rest() {
        generation = nil
        metrics = nil
        server = nil
    }

    private func writeLine(
        _ kept: Span<UInt8>, _ peer: IPAddress, _ port: UInt16, _ proxy: IPAddress?, _ isCheck: Bool, _ now: Instant,
        _ worker: Worker
    ) {
        let feed = worker.gatekeeper.hasFeeds ? noteFeed(now, worker) : nil
        let line = AccessFacts(
            finished: worker.clock.wall, duration: now - startedAt, client: facts.client, peer: peer, peerPort: port,
            proxy: proxy, status: status, bytesIn: Int(bytesIn), bytesOut: Int(bytesOut),
            route: facts.route,
            upstream: server == nil ? nil : plan?.upstream, upstreamStatus: upstreamStatus,
            upstreamTime: leasedAt.map { now - $0 }, refusal: refusal.map(AccessRefusal.init), end: end,
            isCheck: isCheck, isByBreakGlass: (plan?.glassEnds ?? .never) != .never)
        let serverText = server?.bytes ?? []
        let user = identity?.subject ?? []
        let generation = generation ?? worker.generation
        let trace = trace
        worker.access.append(
            line, pending, in: kept, from: sender, names: generation.names,
            server: serverText.span, requestID: trace.requestID, traceID: trace.traceID, user: user.span,
            feed: feed)
    }
}

/// What log lines say of a server, made once per server.
final class ServerLabel: Sendable {
    let bytes: [UInt8]
    init(_ text: String) { bytes = AccessNames.member(server: text) }
}

extension AccessRefusal {
    init(_ refusal: Refusal) {
        self.init(stage: refusal.labels.stage, code: refusal.labels.code, reason: refusal.labels.reason)
    }
}
