internal import Policy
internal import Settings
internal import Transport
internal import Wire

/// Keeps the keys of one provider: fetches them again and again, and says when they have changed. On the control thread.
final class KeyProvider {
    /// The id of the setting.
    let id: String
    let configuration: Configuration.Tokens.Provider
    /// The key set that was fetched last, and is not too old; nil: there is none.
    private(set) var keys: [UInt8]?
    /// What went wrong the last time; nil: nothing.
    private(set) var problem: String?
    private(set) var schedule: KeySchedule

    /// The file that `tls` was made from, as it was; nil: there is none.
    let authorities: FileStamp?
    /// A reload brings a new one, since what this machine trusts may have changed.
    var tls: TLSClientContext?
    private let loop: EventLoop
    private let resolver: ResolverPort
    private let changed: (KeyProvider, Event) -> Void
    private var fetch: DocumentFetch?
    private var timer: LoopTimer?

    enum Event {
        /// The keys are others than before, or here for the first time.
        case changed
        /// The same as before.
        case confirmed
        case failed
        /// They are too old to be used.
        case expired
    }

    /// - Parameters:
    ///   - tls: for https URLs.
    ///   - last: of an earlier configuration, whose keys go on until newer ones are here.
    init(
        _ id: String, _ configuration: Configuration.Tokens.Provider, tls: TLSClientContext?, on loop: EventLoop,
        resolver: ResolverPort, after last: KeyProvider?, changed: @escaping (KeyProvider, Event) -> Void
    ) {
        self.id = id
        self.configuration = configuration
        self.tls = tls
        authorities = configuration.authoritiesPath.map(FileStamp.init)
        self.loop = loop
        self.resolver = resolver
        self.changed = changed
        let now = Instant.now()
        schedule = KeySchedule(configuration, at: now)
        if let last, configuration.trustsWhat(last.configuration) {
            keys = last.keys
            schedule.continues(last.schedule)
        }
        timer = LoopTimer(on: loop) { [unowned self] in timePassed() }
        awaitDeadline(now)
    }

    func stop() {
        fetch?.cancel()
        timer?.cancel()
    }

    /// A token named a key that nobody knows.
    func missed() {
        let now = Instant.now()
        if schedule.missed(at: now) { awaitDeadline(now) }
    }

    private func timePassed() {
        let now = Instant.now()
        if schedule.expires(at: now) {
            keys = nil
            changed(self, .expired)
        }
        if schedule.begins(at: now) { begin() }
        awaitDeadline(now)
    }

    private func awaitDeadline(_ now: Instant) {
        let next = schedule.deadline
        if next == .never { timer?.cancel() } else { timer?.fire(after: max(.zero, next - now)) }
    }

    private func begin() {
        switch configuration.location {
        case .jwks(let url): get(url) { [unowned self] in take($0) }
        case .discovery(let issuer):
            guard let url = ProviderMetadata.address(of: issuer) else { return end(ProviderProblem("no URL")) }
            get(url) { [unowned self] metadata in
                switch ProviderMetadata.keys(in: metadata.bytes, of: issuer, allowsHTTP: configuration.allowsHTTP) {
                case .success(let url): get(url) { [unowned self] in take($0) }
                case .failure(let problem): end(problem)
                }
            }
        }
    }

    private func get(_ url: WebAddress, then use: @escaping (FetchedDocument) -> Void) {
        guard !url.isSecure || tls != nil else { return end(ProviderProblem("nobody is trusted to answer")) }
        // The one before may be the caller.
        let last = fetch
        loop.atEndOfTurn { withExtendedLifetime(last) {} }
        fetch = DocumentFetch(
            url, tls: url.isSecure ? tls : nil, timeout: configuration.timeout, on: loop, resolver: resolver
        ) { [unowned self] result in
            switch result {
            case .success(let document): use(document)
            case .failure(let problem): end(ProviderProblem("\(url.shown): \(problem)"))
            }
        }
    }

    private func take(_ document: FetchedDocument) {
        let isNew = keys != document.bytes
        // A set without one usable key is a mistake of the provider's; the keys that are here are better than none, and were
        // looked at when they came.
        if isNew, let problem = KeySet.problem(inJWKS: document.bytes, of: id, isFetched: true) {
            return end(ProviderProblem(problem))
        }
        keys = document.bytes
        problem = nil
        let now = Instant.now()
        schedule.succeeded(at: now, lifetime: document.lifetime, chance: .random(in: 0 ... .max))
        changed(self, isNew ? .changed : .confirmed)
        awaitDeadline(now)
    }

    private func end(_ problem: ProviderProblem) {
        self.problem = problem.description
        let now = Instant.now()
        schedule.failed(at: now, chance: .random(in: 0 ... .max))
        changed(self, .failed)
        awaitDeadline(now)
    }
}

extension Configuration.Tokens.Provider {
    /// Keys that were fetched as `other` says would have been taken as this one says: nothing that was believed then is not
    /// believed any more.
    fileprivate func trustsWhat(_ other: Configuration.Tokens.Provider) -> Bool {
        location == other.location && authoritiesPath == other.authoritiesPath && (allowsHTTP || !other.allowsHTTP)
    }
}
