internal import Crypto
internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// What an operator asks of feeds.
struct FeedOrder: Hashable, Sendable {
    static let members = ["feed", "may_shrink", "actor"]

    /// Nil: all of them.
    var feed: String?
    /// A list of less than half the entries is taken this once.
    var mayShrink = false
}

/// Follows the feeds on the control thread: watches files, fetches URLs, has both read elsewhere, and gives all good lists
/// to the workers whenever one of them is another. A list that cannot be had, or is no good, changes nothing.
final class FeedDesk {
    private static let interval = Interval.seconds(2)
    /// How long an order to update waits for its feeds; the rest goes on without it.
    private static let patience = Interval.seconds(20)

    /// Somebody who ordered an update.
    private struct Waiter {
        /// Feeds that have not settled yet.
        var names: Set<String>
        let until: Instant
        let done: () -> Void
    }

    private let loop: EventLoop
    private let log: OperationalLog
    private let audit: AuditLog
    private let metrics: FeedMetrics
    private let publish: (FeedPlan) -> Void
    /// Of its own: a name server that does not answer must not keep backends from being found.
    private lazy var resolver = ResolverPort(Resolver(), on: loop)
    private var thread: FeedThread?
    private(set) var feeds: [FollowedFeed] = []
    private let directory: String
    private var spared: [IPNetwork] = []
    private var timer: LoopTimer?
    private var lastTicket = 0
    /// What the workers have.
    private var published = FeedPlan()
    private var waiting: [Waiter] = []
    /// Another process may be writing there.
    var ownsState: () -> Bool = { true }

    /// - Parameter publish: called with all lists in force when one of them is another.
    init(
        in stateDirectory: String, on loop: EventLoop, log: OperationalLog, audit: AuditLog, metrics: FeedMetrics,
        publish: @escaping (FeedPlan) -> Void
    ) {
        directory = "\(stateDirectory)/feeds"
        self.loop = loop
        self.log = log
        self.audit = audit
        self.metrics = metrics
        self.publish = publish
    }

    /// Whom the URLs' certificates must be from, by the name of the feed.
    static func trust(
        for feeds: [Configuration.Feed], files: FileAccess = .system
    ) throws(CertificateLoader.Finding) -> [String: TLSClientContext] {
        var contexts: [String: TLSClientContext] = [:]
        for feed in feeds {
            guard case .url(let url) = feed.source else { continue }
            contexts[feed.name] = try CertificateLoader.trust(
                for: url, of: feed.section, authorities: feed.authoritiesPath, files: files)
        }
        return contexts
    }

    /// Before anybody is served: the copies of an earlier process, so that the first request meets them. The only time that
    /// this thread waits for a list.
    func begin(_ configuration: Configuration, trust: [String: TLSClientContext]) {
        spared = configuration.neverBlock + configuration.trustedProxies
        feeds = configuration.feeds.map { FollowedFeed($0, tls: trust[$0.name]) }
        for feed in feeds {
            guard let bytes = FeedCopy(directory: directory, feed: feed.configuration).read(),
                case .success(let table) = FeedReader.read(bytes, name: feed.configuration.name, sparing: spared)
            else { continue }
            feed.restored(table, digest: Bytes.sha256(bytes.span))
        }
        follow()
    }

    /// Takes over another configuration. What a feed of the same name and source has stays in force.
    func adopt(_ configuration: Configuration, trust: [String: TLSClientContext]) {
        spared = configuration.neverBlock + configuration.trustedProxies
        let before = Dictionary(uniqueKeysWithValues: feeds.map { ($0.configuration.name, $0) })
        feeds = configuration.feeds.map { next -> FollowedFeed in
            if let last = before[next.name], last.configuration.source == next.source {
                // What was refused may be right now.
                if last.configuration != next { last.comesDue() }
                last.configuration = next
                last.tls = trust[next.name]
                return last
            }
            return FollowedFeed(next, tls: trust[next.name])
        }
        for (name, last) in before where !feeds.contains(where: { $0 === last }) {
            last.fetch?.cancel()
            settled(name)
        }
        follow()
    }

    private func follow() {
        if feeds.isEmpty {
            timer = nil
            thread = nil
        } else if timer == nil {
            thread = FeedThread(on: loop) { [unowned self] in received($0) }
            timer = LoopTimer(on: loop) { [unowned self] in look() }
            timer?.fire(every: FeedDesk.interval)
        }
        spread()
        look()
    }

    /// Asks again for these feeds, or for all, now. `done` comes when they have settled, or a while later.
    /// False: there is no feed of that name.
    func update(_ order: FeedOrder, then done: @escaping () -> Void) -> Bool {
        let wanted = feeds.filter { order.feed == nil || $0.configuration.name == order.feed }
        guard !wanted.isEmpty else { return false }
        for feed in wanted {
            if order.mayShrink { feed.mayShrinkOnce = true }
            feed.isWantedAgain = feed.isBusy
            feed.comesDue()
        }
        let names = Set(wanted.map(\.configuration.name))
        waiting.append(Waiter(names: names, until: Instant.now() + FeedDesk.patience, done: done))
        look()
        return true
    }

    private func look() {
        let now = Instant.now()
        for feed in feeds where !feed.isBusy {
            switch feed.configuration.source {
            case .file(let path):
                // Not here: a disk may be slow, or away.
                read(.file(path: path, unless: feed.stamp), of: feed)
            case .url(let url):
                guard feed.due <= now else { continue }
                fetch(url, of: feed)
            }
        }
        let late = waiting.filter { $0.until <= now }
        waiting.removeAll { $0.until <= now }
        for one in late { one.done() }
    }

    /// Names of those that block the address.
    func blocking(_ address: IPAddress) -> [String] {
        published.blocking.filter { $0.contains(address) }.map(\.name)
    }

    private func fetch(_ url: WebAddress, of feed: FollowedFeed) {
        guard !url.isSecure || feed.tls != nil else { return failed(feed, "nobody is trusted to answer") }
        feed.fetch = DocumentFetch(
            url, maximumBytes: FeedReader.mostBytes, kind: .anything, tls: url.isSecure ? feed.tls : nil,
            timeout: feed.configuration.timeout, on: loop, resolver: resolver
        ) { [unowned self, unowned feed] result in
            // It is the caller.
            let last = feed.fetch
            loop.atEndOfTurn { withExtendedLifetime(last) {} }
            feed.fetch = nil
            switch result {
            case .success(let document): read(.bytes(document.bytes), of: feed)
            case .failure(let problem): failed(feed, "\(url.origin): \(problem)")
            }
        }
    }

    private func read(_ source: FeedThread.Job.Source, of feed: FollowedFeed) {
        lastTicket += 1
        feed.reading = lastTicket
        let takesAnySize = feed.configuration.mayShrink || feed.mayShrinkOnce
        thread?.send(
            FeedThread.Job(
                feed: feed.configuration.name, ticket: lastTicket, source: source, spared: spared, known: feed.digest,
                former: takesAnySize ? nil : feed.table?.count,
                keptAs: ownsState() ? FeedCopy(directory: directory, feed: feed.configuration) : nil))
    }

    private func received(_ reply: FeedThread.Reply) {
        guard let feed = feeds.first(where: { $0.reading == reply.ticket }) else { return }
        feed.reading = nil
        // Asked anew meanwhile, it has no stamp.
        if reply.stamp != nil, !feed.isWantedAgain { feed.stamp = reply.stamp }
        let wall = WallTime.now()
        switch reply.outcome {
        case .refused(let problem): return failed(feed, problem.description)
        case .untouched:
            guard feed.isWantedAgain else { return }
            feed.isWantedAgain = false
            feed.comesDue()
            return look()
        case .same: feed.confirmed(at: wall)
        case .table(let table, let digest):
            let former = feed.table?.count
            feed.took(table, digest: digest, at: wall)
            spread()
            let name = feed.configuration.name
            let change = former.map { "\($0) before" } ?? "none before"
            let verb = feed.configuration.action == .block ? "blocks" : "observes"
            audit.record(
                AuditOperation(
                    "feed_updated", "the feed \(name) \(verb) \(table.count) networks, \(change)", by: "gateway",
                    of: name))
            log.log(
                .info, "block.feed_loaded", "A list of addresses is in force",
                [
                    ("feed", .text(name)), ("action", .text(feed.configuration.action.rawValue)),
                    ("entries", .number(table.count)), ("before", .number(former ?? 0)),
                    ("spared", .number(table.spared)),
                ])
        }
        if let problem = reply.notKept {
            log.log(
                .error, "block.feed_not_kept", "A list of blocked addresses would not survive a restart",
                [("feed", .text(feed.configuration.name)), ("reason", .text(problem))])
        }
        metrics.loaded(feed.configuration.name, successfully: true, at: wall)
        settle(feed)
    }

    private func failed(_ feed: FollowedFeed, _ problem: String) {
        let name = feed.configuration.name
        if feed.failed(problem) {
            log.log(
                .error, "block.feed_refused",
                "A list of blocked addresses cannot be had or is no good; the one before stays in force",
                [
                    ("feed", .text(name)), ("reason", .text(problem)), ("entries", .number(feed.table?.count ?? 0)),
                ])
        }
        metrics.loaded(name, successfully: false, at: .now())
        settle(feed)
    }

    private func settle(_ feed: FollowedFeed) {
        noteEntries()
        if feed.isWantedAgain {
            feed.isWantedAgain = false
            feed.comesDue()
            return look()
        }
        feed.due = Instant.now() + feed.pause
        feed.mayShrinkOnce = false
        settled(feed.configuration.name)
    }

    private func settled(_ name: String) {
        for index in waiting.indices { waiting[index].names.remove(name) }
        let over = waiting.filter { $0.names.isEmpty }
        waiting.removeAll { $0.names.isEmpty }
        for one in over { one.done() }
    }

    private func spread() {
        noteEntries()
        var plan = FeedPlan()
        for feed in feeds {
            guard let table = feed.table else { continue }
            switch feed.configuration.action {
            case .block: plan.blocking.append(table)
            case .observe: plan.observing.append(table)
            }
        }
        guard plan != published else { return }
        published = plan
        publish(plan)
    }

    private func noteEntries() {
        metrics.entries = feeds.map { ($0.configuration.name, $0.table?.count ?? 0) }
    }
}
