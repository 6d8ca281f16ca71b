internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Asks the introspection endpoint, on the control thread: one question about a token at a time, whoever wants to know, and
/// a bounded number of questions. Every worker gets every answer.
final class IntrospectionDesk {
    private typealias Settings = Configuration.Tokens.Introspection

    private let loop: EventLoop
    private let log: OperationalLog
    private let metrics: IntrospectionMetrics
    private let publish: (IntrospectionAnswer, [UInt8]) -> Void
    /// Of its own, as that of keys: an endpoint that cannot be found keeps nobody else waiting.
    private lazy var resolver = ResolverPort(Resolver(), on: loop)
    private var settings: Settings?
    private var tls: TLSClientContext?
    private var reader: IntrospectionReader
    private var maximumBytes: Int
    private var fetches: [[UInt8]: DocumentFetch] = [:]
    /// What was answered just now: a worker may have asked before it was told.
    private var recent: [[UInt8]: (answer: IntrospectionAnswer, until: Instant)] = [:]
    private var sparing: ProviderBreaker
    private var trail = ProviderTrail()

    private static let memory = Interval.milliseconds(250)

    init(
        _ configuration: Configuration, trust: TLSClientContext?, on loop: EventLoop, log: OperationalLog,
        metrics: IntrospectionMetrics, publish: @escaping (IntrospectionAnswer, [UInt8]) -> Void
    ) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
        self.publish = publish
        settings = configuration.tokens.introspection
        maximumBytes = configuration.tokens.maximumBytes
        reader = IntrospectionReader(maximumBytes: maximumBytes)
        sparing = ProviderBreaker()
        tls = trust
    }

    /// Takes over a configuration. Questions that are open are asked anew where it names another endpoint, so that its answers
    /// alone count from now on.
    func adopt(_ configuration: Configuration, trust: TLSClientContext?) {
        tls = trust
        if maximumBytes != configuration.tokens.maximumBytes {
            maximumBytes = configuration.tokens.maximumBytes
            reader = IntrospectionReader(maximumBytes: maximumBytes)
        }
        guard settings != configuration.tokens.introspection else { return }
        settings = configuration.tokens.introspection
        sparing = ProviderBreaker()
        trail = ProviderTrail()
        recent = [:]
        let open = fetches
        fetches = [:]
        for (token, fetch) in open {
            fetch.cancel()
            begin(token)
        }
    }

    /// A worker wants to know.
    func ask(about token: [UInt8]) {
        let now = Instant.now()
        if let known = recent[token], now < known.until { return publish(known.answer, token) }
        guard fetches[token] == nil else { return }
        begin(token)
    }

    private func begin(_ token: [UInt8]) {
        guard let settings, !settings.url.isSecure || tls != nil else { return publish(.unavailable, token) }
        let now = Instant.now()
        guard fetches.count < settings.maximumPending, sparing.allows(at: now) else {
            metrics.count(.spared)
            return publish(.unavailable, token)
        }
        fetches[token] = DocumentFetch(
            settings.url, asking: IntrospectionRequest.bytes(about: token, of: settings),
            maximumBytes: maximumBytes, tls: settings.url.isSecure ? tls : nil, timeout: settings.timeout, on: loop,
            resolver: resolver
        ) { [unowned self] in ended($0, token) }
    }

    private func ended(_ result: Result<FetchedDocument, ProviderProblem>, _ token: [UInt8]) {
        // It is the caller.
        let fetch = fetches.removeValue(forKey: token)
        loop.atEndOfTurn { withExtendedLifetime(fetch) {} }
        let now = Instant.now()
        var answer = IntrospectionAnswer.unavailable
        switch result {
        case .success(let document):
            sparing.succeeded()
            if let read = reader.read(document.bytes) {
                answer = read
                metrics.count(read == .inactive ? .inactive : .active)
                if let failures = trail.worked() { tellOfReturn(failures) }
            } else {
                failed(ProviderProblem("the answer is no JSON object that says whether the token is active"), now)
            }
        case .failure(let problem):
            if problem.isAnswer { sparing.succeeded() } else { spare(at: now) }
            failed(problem, now)
        }
        if answer != .unavailable { keep(answer, token, now) }
        publish(answer, token)
    }

    private func keep(_ answer: IntrospectionAnswer, _ token: [UInt8], _ now: Instant) {
        guard let settings else { return }
        let life = min(answer == .inactive ? settings.badFor : settings.goodFor, IntrospectionDesk.memory)
        guard life > .zero else { return }
        if recent.count >= settings.maximumPending { recent = recent.filter { now < $0.value.until } }
        if recent.count < settings.maximumPending { recent[token] = (answer, now + life) }
    }

    private func failed(_ problem: ProviderProblem, _ now: Instant) {
        metrics.count(.failed)
        guard let failures = trail.failed(at: now) else { return }
        log.log(
            .warning, "introspection.failed", "The issuer does not say what a token is worth; its requests get 503",
            [
                ("url", .text(settings?.url.shown ?? "")), ("reason", .text(problem.description)),
                ("failures", .number(failures)),
            ])
    }

    private func spare(at now: Instant) {
        guard sparing.failed(at: now) else { return }
        log.log(
            .error, "introspection.spared",
            "The introspection endpoint does not answer and is not asked for a while; opaque tokens get 503",
            [
                ("url", .text(settings?.url.shown ?? "")),
                ("seconds", .number(Int(ProviderBreaker.time.seconds))),
            ])
    }

    private func tellOfReturn(_ failures: Int) {
        log.log(
            .info, "introspection.works", "The introspection endpoint answers again",
            [("url", .text(settings?.url.shown ?? "")), ("failures", .number(failures))])
    }
}
