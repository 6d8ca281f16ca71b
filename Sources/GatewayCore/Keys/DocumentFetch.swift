internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Fetches one document: one request over a connection of its own, on the control thread and never blocking it.
final class DocumentFetch: ByteStreamHandler {
    private enum Phase {
        /// → `asking`, `over`
        case resolving
        /// Each address once, until one accepts. → `asking` (the next address), `over`
        case asking(ByteStream, rest: ArraySlice<IPAddress>)
        case over
    }

    private let url: WebAddress
    private let request: [UInt8]
    private let maximumBytes: Int
    private let kind: FetchedAnswer.Kind
    private let tls: TLSClientContext?
    private let loop: EventLoop
    private let timeout: Interval
    private let done: (Result<FetchedDocument, ProviderProblem>) -> Void
    private var phase = Phase.resolving
    private var answer: FetchedAnswer
    private var timer: LoopTimer?
    /// For each address its share of the time, so that a silent one leaves some for the next.
    private var connectTimeout = Interval.zero

    /// - Parameters:
    ///   - request: what is sent; nil: a GET.
    ///   - maximumBytes: of the document.
    ///   - kind: what its Content-Type may be.
    ///   - tls: for an https URL.
    ///   - timeout: for everything, from the look-up of the name to the last byte.
    ///   - done: called once, and not from here; not after `cancel`.
    init(
        _ url: WebAddress, asking request: [UInt8]? = nil, maximumBytes: Int = FetchedAnswer.maximumBytes,
        kind: FetchedAnswer.Kind = .json, tls: TLSClientContext?, timeout: Interval, on loop: EventLoop,
        resolver: ResolverPort,
        done: @escaping (Result<FetchedDocument, ProviderProblem>) -> Void
    ) {
        self.url = url
        self.request = request ?? url.request(accepting: kind)
        self.maximumBytes = maximumBytes
        self.kind = kind
        answer = FetchedAnswer(maximumBytes: maximumBytes, kind: kind)
        self.tls = tls
        self.timeout = timeout
        self.loop = loop
        self.done = done
        timer = LoopTimer(on: loop) { [unowned self] in end(.failure(ProviderProblem("no answer in time"))) }
        timer?.fire(after: timeout)
        resolver.resolve(url.host) { [weak self] in self?.resolved($0) }
    }

    deinit { cancel() }

    func cancel() {
        if case .asking(let stream, _) = phase { stream.close() }
        phase = .over
        timer?.cancel()
    }

    private func resolved(_ result: Result<[IPAddress], ResolveError>) {
        guard case .resolving = phase else { return }
        switch result {
        case .success(let addresses):
            connectTimeout = Interval(nanoseconds: timeout.nanoseconds / Int64(max(1, addresses.count)))
            ask(addresses[...])
        case .failure(let error): end(.failure(ProviderProblem(error.description)))
        }
    }

    private func ask(_ addresses: ArraySlice<IPAddress>) {
        guard let first = addresses.first else { return end(.failure(ProviderProblem("the name has no address"))) }
        answer = FetchedAnswer(maximumBytes: maximumBytes, kind: kind)
        let opening = StreamOpening(tls: tls.map { TLSClient($0, name: url.host) })
        let stream = ByteStream(
            to: .ip(first, port: url.port), on: loop, opening: opening, connectTimeout: connectTimeout, handler: self)
        phase = .asking(stream, rest: addresses.dropFirst())
    }

    private func end(_ result: Result<FetchedDocument, ProviderProblem>) {
        if case .over = phase { return }
        cancel()
        done(result)
    }

    private func take(_ verdict: FetchedAnswer.Verdict) {
        switch verdict {
        case .incomplete: return
        case .document(let document): end(.success(document))
        case .refused(let problem):
            end(
                .failure(ProviderProblem(problem, isAnswer: answer.isAnswer, isRationed: answer.isRationed)))
        }
    }

    func streamConnected(_ stream: ByteStream) { stream.send(request) }

    func stream(_ stream: ByteStream, received bytes: Span<UInt8>) { take(answer.take(bytes)) }

    func stream(_ stream: ByteStream, ended reason: StreamEnd) {
        guard case .asking(_, let rest) = phase else { return }
        switch reason {
        case .ended: take(answer.ended())
        case .connectFailed where !rest.isEmpty, .connectTimedOut where !rest.isEmpty: ask(rest)
        default: end(.failure(ProviderProblem(reason.description)))
        }
    }
}
