internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Keeps the addresses of the upstreams' servers: resolves their names on the resolver's thread, again and again, and
/// tells the workers when something changed.
final class UpstreamDirectory {
    /// `getaddrinfo` tells no time to live; this is how long a changed record goes unnoticed.
    private static let refreshInterval = Interval.seconds(10)

    private let resolver: ResolverPort
    private let log: OperationalLog
    private let publish: (String, [ServerAddress]) -> Void
    private var upstreams: [Configuration.Upstream] = []
    /// By host name; kept when a later look-up fails, since an old address is better than none.
    private var known: [String: [IPAddress]] = [:]
    /// The addresses that the workers were told last, by upstream.
    private(set) var published: [String: [ServerAddress]] = [:]
    private var failing: Set<String> = []
    /// While name servers do not answer, a round takes longer than the interval: questions must not pile up, and Redis is
    /// looked for by the same thread.
    private var isLooking = false
    private var timer: LoopTimer?

    init(
        _ resolver: Resolver, on loop: EventLoop, log: OperationalLog,
        publish: @escaping (String, [ServerAddress]) -> Void
    ) {
        self.resolver = ResolverPort(resolver, on: loop)
        self.log = log
        self.publish = publish
        timer = LoopTimer(on: loop) { [unowned self] in refresh() }
        timer?.fire(every: UpstreamDirectory.refreshInterval)
    }

    /// Those names of the servers that are to be looked up before the upstreams are adopted, in order.
    func news(in next: [Configuration.Upstream]) -> [String] {
        // What became known of names that the configuration in force does not have may be old.
        let current = hosts(of: upstreams)
        return hosts(of: next).filter { !current.contains($0) || known[$0] == nil && !failing.contains($0) }.sorted()
    }

    /// Looks up the new names of a configuration that is to be adopted; `completion` at once when there are none. An operator who
    /// changes rules while name servers do not answer must not wait for them.
    func learn(_ upstreams: [Configuration.Upstream], completion: @escaping () -> Void) {
        forgetOthers()
        lookUp(news(in: upstreams), completion)
    }

    /// Takes over the upstreams of a configuration whose names were learned, and publishes their addresses.
    func adopt(_ upstreams: [Configuration.Upstream]) {
        self.upstreams = upstreams
        published = [:]
        forgetOthers()
        announce()
    }

    private func hosts(of upstreams: [Configuration.Upstream]) -> Set<String> {
        Set(
            upstreams.flatMap(\.servers).compactMap { if case .tcp(let address) = $0 { address.host } else { nil } })
    }

    private func forgetOthers() {
        let hosts = hosts(of: upstreams)
        known = known.filter { hosts.contains($0.key) }
        failing.formIntersection(hosts)
    }

    private func refresh() {
        guard !isLooking else { return }
        isLooking = true
        lookUp(hosts(of: upstreams)) { [unowned self] in
            isLooking = false
            announce()
        }
    }

    private func lookUp(_ hosts: some Collection<String>, _ completion: @escaping () -> Void) {
        var remaining = hosts.count
        guard remaining > 0 else { return completion() }
        for host in hosts {
            resolver.resolve(host) { [unowned self] result in
                learned(host, result)
                remaining -= 1
                if remaining == 0 { completion() }
            }
        }
    }

    private func learned(_ host: String, _ result: Result<[IPAddress], ResolveError>) {
        switch result {
        case .success(let addresses):
            known[host] = addresses
            if failing.remove(host) != nil {
                log.log(.info, "upstream.resolved", "The name resolves again", [("host", .text(host))])
            }
        case .failure(let error):
            guard failing.insert(host).inserted else { return }
            log.log(
                .warning, "upstream.unresolved", "The name of an upstream server cannot be resolved",
                [("host", .text(host)), ("reason", .text(error.description))])
        }
    }

    private func announce() {
        for upstream in upstreams {
            let addresses = upstream.servers.flatMap(addresses)
            guard published[upstream.name] != addresses else { continue }
            published[upstream.name] = addresses
            publish(upstream.name, addresses)
        }
    }

    private func addresses(of server: Configuration.ServerLocation) -> [ServerAddress] {
        switch server {
        case .unix(let path): [ServerAddress(socket: .unix(path: path), host: "")]
        case .tcp(let address):
            (known[address.host] ?? []).map {
                ServerAddress(socket: .ip($0, port: address.port), host: address.host)
            }
        }
    }
}
