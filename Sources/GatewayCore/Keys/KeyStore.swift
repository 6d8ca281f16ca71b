internal import Crypto
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// The keys that tokens are verified with, on the control thread: those of the configuration, of files that may change, and
/// of providers. Whenever they are others than before, all workers get the whole set.
final class KeyStore {
    private static let interval = Interval.seconds(2)

    private let loop: EventLoop
    private let log: OperationalLog
    private let metrics: KeyMetrics
    /// What the keys' tokens tell of their issuers' clocks.
    let clocks: IssuerClocks
    /// Of its own: a provider whose name servers do not answer must not keep backends and Redis from being found.
    private lazy var resolver = ResolverPort(Resolver(), on: loop)
    private let publish: (KeySet) -> Void
    private var tokens: Configuration.Tokens
    /// What added keys are sealed with; nil: none can be added.
    private(set) var seal: SealingKey?
    /// Keys that were added at run time, as the ledger has them.
    private var shared: [String: String] = [:]
    private var added: [AddedKey] = []
    /// Those of them that cannot be opened here.
    private(set) var unreadable: [String] = []
    private(set) var keys = KeySet.empty
    private(set) var providers: [KeyProvider] = []
    private var files: [WatchedKeys] = []
    private var timer: LoopTimer?
    /// Those that were published last.
    private var published = KeySet.empty
    /// Fingerprints of keys that the process which took over from this one has no more.
    private var withdrawn: Set<String> = []
    /// Called with the fingerprints of keys that are no longer among the published ones.
    var gone: (([String]) -> Void)?
    /// What was said of each key the last time.
    private var told: [KeyProblem] = []

    /// A file with a key set.
    private struct WatchedKeys {
        let id: String
        let path: String
        /// Of the contents that were looked at last; nil: before the first look.
        var stamp: FileStamp?
        /// Those in force.
        var contents: [UInt8]
        /// What kept it from being used the last time; nil: nothing.
        var problem: String?
        /// It could not be read, which may pass without a change of the file.
        var isUnread = false
    }

    /// - Parameters:
    ///   - trust: of the providers of `tokens` (`trust(for:)`).
    ///   - publish: called with every set of keys that differs from the one before, and not from here.
    init(
        _ configuration: Configuration, trust: [String: TLSClientContext], on loop: EventLoop, log: OperationalLog,
        metrics: KeyMetrics, publish: @escaping (KeySet) -> Void
    ) {
        tokens = configuration.tokens
        seal = RingSeal.key(for: configuration)
        self.loop = loop
        self.log = log
        self.metrics = metrics
        clocks = IssuerClocks(log, metrics)
        self.publish = publish
        take(tokens, trust)
        _ = rebuild()
        published = keys
        timer = LoopTimer(on: loop) { [unowned self] in look() }
        timer?.fire(every: KeyStore.interval)
    }

    /// Whom the providers' certificates must be from, by the id of the setting.
    static func trust(
        for tokens: Configuration.Tokens, files: FileAccess = .system
    ) throws(CertificateLoader.Finding) -> [String: TLSClientContext] {
        var contexts: [String: TLSClientContext] = [:]
        for key in tokens.keys {
            guard case .provider(let provider) = key.source else { continue }
            contexts[key.id] = try CertificateLoader.trust(
                provider.authoritiesPath, "\(provider.section).ca_file", files)
        }
        return contexts
    }

    /// Takes over a configuration. `keys` are its own from now on; workers get them behind its rules (`release`, in the same
    /// turn), since a key may be allowed only because a rule fences it off.
    func adopt(_ configuration: Configuration, trust: [String: TLSClientContext]) {
        tokens = configuration.tokens
        seal = RingSeal.key(for: configuration)
        added = opened()
        told = []
        take(tokens, trust)
        // The configuration may have waited for names since it was read.
        for index in files.indices { _ = read(index) }
        _ = rebuild()
    }

    /// The rules of the configuration are on their way to the workers; its keys follow.
    func release() { tell() }

    private func tell() {
        let former = published
        published = keys
        publish(keys)
        guard let gone else { return }
        let fingerprints = former.fingerprints(missingIn: keys)
        if !fingerprints.isEmpty { gone(fingerprints) }
    }

    /// The process that took over does not accept a key made of this any more. Here it does not come back: who asks for
    /// something new asks there.
    func withdraw(_ fingerprint: String) {
        guard withdrawn.insert(fingerprint).inserted, rebuild() else { return }
        tell()
    }

    /// No other process took over.
    func withdrawNone() {
        guard !withdrawn.isEmpty else { return }
        withdrawn = []
        if rebuild() { tell() }
    }

    /// What workers found out of the clocks of issuers.
    func noteClocks(_ leads: [String: Int64]) { clocks.note(leads, leeway: tokens.leeway, at: .now()) }

    /// A token named a key that is not here.
    /// - Parameter isIncomplete: the worker had not the keys of all providers.
    func missed(isIncomplete: Bool) {
        // Right after the start it is known soon, or is on its way to the worker: no provider need be asked twice.
        guard !providers.contains(where: \.schedule.isUntried), !isIncomplete || keys.isIncomplete else { return }
        for provider in providers { provider.missed() }
    }

    private func take(_ tokens: Configuration.Tokens, _ trust: [String: TLSClientContext]) {
        let known = Dictionary(uniqueKeysWithValues: providers.map { ($0.id, $0) })
        let before = Dictionary(uniqueKeysWithValues: files.map { ($0.id, $0) })
        providers = []
        files = []
        for key in tokens.keys {
            switch key.source {
            case .provider(let configuration):
                // A reload that changes nothing about it asks for nothing.
                if let last = known[key.id], last.configuration == configuration,
                    last.authorities == configuration.authoritiesPath.map(FileStamp.init)
                {
                    last.tls = trust[key.id]
                    providers.append(last)
                    continue
                }
                providers.append(
                    KeyProvider(
                        key.id, configuration, tls: trust[key.id], on: loop, resolver: resolver, after: known[key.id]
                    ) { [unowned self] in heard(of: $0, $1) })
            case .jwks(let path, let read):
                var contents = read.revealed
                // Half written, or worse: what was good stays.
                if let last = before[key.id], last.path == path, KeySet.problem(inJWKS: contents, of: key.id) != nil {
                    contents = last.contents
                }
                // It may have changed since it was read: the first look reads it once more.
                files.append(WatchedKeys(id: key.id, path: path, contents: contents))
            case .secret, .pem: break
            }
        }
        for last in known.values where !providers.contains(where: { $0 === last }) { last.stop() }
        metrics.sources = providers.map(\.id)
        clocks.adopt(tokens.keys.map(\.id))
    }

    /// True: the keys are others than before.
    private func rebuild() -> Bool {
        var current: [String: [UInt8]] = [:]
        for provider in providers { current[provider.id] = provider.keys }
        for file in files { current[file.id] = file.contents }
        let (built, problems) = KeySet.build(from: withAdded(tokens), current: current)
        let next = built.without(withdrawn)
        for problem in problems where !told.contains(problem) {
            log.log(
                .warning, "tokens.key_problem", "A key is not used as it stands",
                [("reason", .text(problem.description))])
        }
        told = problems
        guard next != keys else { return false }
        keys = next
        return true
    }

    // MARK: Keys that were added

    /// All that the ledger has now.
    func take(shared: [String: String]) {
        self.shared = shared
        added = opened()
        if rebuild() { tell() }
    }

    /// Whether a key is there because somebody added it.
    func isAdded(_ id: String) -> Bool { !tokens.keys.contains { $0.id == id } && added.contains { $0.id == id } }

    /// Added ones that the configuration has a key of the same name for.
    var hidden: [String] { added.map(\.id).filter(isConfigured) }

    func isConfigured(_ id: String) -> Bool { tokens.keys.contains { $0.id == id } }

    /// Whether one of that name was added, also where the configuration has it by now.
    func wasAdded(_ id: String) -> Bool { shared[id] != nil }

    /// What is wrong with a key that is to be added; nil: nothing.
    func problem(with key: AddedKey) -> String? {
        if tokens.keys.contains(where: { $0.id == key.id }) || shared[key.id] != nil {
            return "there is a key called \(key.id) already"
        }
        var alone = tokens
        alone.keys = [key.entry]
        let (built, problems) = KeySet.build(from: alone)
        guard let new = built.keys.first else { return problems.first?.message ?? "it cannot be used" }
        if let twin = keys.keys.first(where: { $0.material == new.material }) {
            return "it is the same key as \(twin.label): a rotation needs both, the old one and the new one"
        }
        return nil
    }

    private func opened() -> [AddedKey] {
        let before = unreadable
        unreadable = []
        return shared.sorted { $0.key < $1.key }.compactMap { id, sealed in
            if let seal, let key = AddedKey(id, sealed: sealed, with: seal) { return key }
            unreadable.append(id)
            if !before.contains(id) {
                log.log(
                    .error, "keys.added_unreadable",
                    "A key that was added at run time cannot be opened, and is not used",
                    [("key", .text(id)), ("reason", .text(whyUnreadable))])
            }
            return nil
        }
    }

    private var whyUnreadable: String {
        if tokens.ringSecret != nil { return "tokens.ring_secret is not the one that it was sealed with" }
        return seal == nil
            ? "tokens.ring_secret is not set"
            : "state_dir/ring.key is not the one that it was sealed with; remove the key, and add it again"
    }

    /// What the configuration has by now goes before what was added under its name.
    private func withAdded(_ tokens: Configuration.Tokens) -> Configuration.Tokens {
        var all = tokens
        all.keys += added.filter { key in !tokens.keys.contains { $0.id == key.id } }.map(\.entry)
        return all
    }

    // MARK: Providers

    private func heard(of provider: KeyProvider, _ event: KeyProvider.Event) {
        switch event {
        case .changed, .confirmed: metrics.fetched(provider.id, successfully: true, at: .now())
        case .failed: metrics.fetched(provider.id, successfully: false, at: .now())
        case .expired: break
        }
        switch event {
        case .confirmed: return
        case .changed:
            let isOther = rebuild()
            log.log(
                .info, "keys.fetched", "The keys of a provider were fetched, and are others than before",
                [
                    ("key", .text(provider.id)),
                    ("keys", .text(keys.labels(of: provider.id).joined(separator: ", "))),
                ])
            if isOther { tell() }
        case .failed:
            // Told when it begins, and then each time that it has doubled.
            guard provider.schedule.failures.nonzeroBitCount == 1 else { return }
            log.log(
                .warning, "keys.fetch_failed",
                provider.keys == nil
                    ? "The keys of a provider cannot be fetched, and there are none"
                    : "The keys of a provider cannot be fetched; those before stay in force",
                [
                    ("key", .text(provider.id)), ("reason", .text(provider.problem ?? "")),
                    ("failures", .number(provider.schedule.failures)),
                ])
        case .expired:
            log.log(
                .error, "keys.expired", "The keys of a provider are too old and are no longer used",
                [("key", .text(provider.id)), ("reason", .text(provider.problem ?? ""))])
            if rebuild() { tell() }
        }
    }

    // MARK: Files

    /// New files are taken without a reload, also when a directory of links is swapped as Kubernetes does.
    private func look() {
        clocks.show(at: .now())
        var hasChanged = false
        for index in files.indices {
            let stamp = FileStamp(files[index].path)
            let isNew = stamp != files[index].stamp
            guard isNew || files[index].isUnread else { continue }
            files[index].stamp = stamp
            let before = files[index].problem
            files[index].problem = read(index)
            if let problem = files[index].problem {
                guard isNew || problem != before else { continue }
                log.log(
                    .error, "keys.file_unusable", "A new file of keys cannot be used; those before stay in force",
                    [
                        ("key", .text(files[index].id)), ("file", .text(files[index].path)), ("reason", .text(problem)),
                    ])
            } else {
                hasChanged = true
            }
        }
        guard hasChanged, rebuild() else { return }
        log.log(.info, "keys.file_loaded", "Keys were read from files that have changed", [])
        tell()
    }

    /// What is wrong with the file; nil: its contents are in force from the next `rebuild` on.
    private func read(_ index: Int) -> String? {
        switch FileAccess.whileServing.read(files[index].path) {
        case .failure(let failure):
            files[index].isUnread = true
            return failure.reason
        case .success(let file):
            files[index].isUnread = false
            if let problem = KeySet.problem(inJWKS: file.bytes, of: files[index].id) { return problem }
            files[index].contents = file.bytes
            return nil
        }
    }
}
