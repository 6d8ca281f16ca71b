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
    /// Rounds of look-ups begun so far; only the newest may publish, since an older one asked for other names.
    private var round = 0
    private var roundsUnderWay = 0
    private var timer: LoopTimer?

    init(
        _ resolver: Resolver, on loop: EventLoop, log: OperationalLog,
        publish: @escaping (String, [ServerAddress]) -> Void
    ) {
        self.resolver = ResolverPort(resolver, on: loop)
        self.log = log
        self.publish = publish
        timer = LoopTimer(on: loop) { [unowned self] in
            // While name servers do not answer, a round takes longer than the interval: questions must not pile up.
            if roundsUnderWay == 0 { refresh {} }
        }
        timer?.fire(every: UpstreamDirectory.refreshInterval)
    }

    /// Takes over the upstreams of a configuration; `completion` when each of their names was looked up once: at once when
    /// none is new. An operator who changes rules while name servers do not answer must not wait for them.
    func adopt(_ upstreams: [Configuration.Upstream], completion: @escaping () -> Void) {
        self.upstreams = upstreams
        published = [:]
        let hosts = hosts
        known = known.filter { hosts.contains($0.key) }
        failing.formIntersection(hosts)
        guard hosts.allSatisfy({ known[$0] != nil }) else { return refresh(completion) }
        announce()
        completion()
        refresh {}
    }

    private var hosts: Set<String> {
        Set(
            upstreams.flatMap(\.servers).compactMap { if case .tcp(let address) = $0 { address.host } else { nil } })
    }

    private func refresh(_ completion: @escaping () -> Void) {
        round += 1
        let hosts = hosts
        let thisRound = round
        var remaining = hosts.count
        guard remaining > 0 else {
            // Unix sockets only.
            announce()
            return completion()
        }
        roundsUnderWay += 1
        for host in hosts {
            resolver.resolve(host) { [unowned self] result in
                learned(host, result)
                remaining -= 1
                guard remaining == 0 else { return }
                roundsUnderWay -= 1
                if thisRound == round { announce() }
                completion()
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
