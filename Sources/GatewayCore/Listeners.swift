internal import Settings
internal import Transport
internal import Wire

/// What is spoken at an address, and with whom.
enum Door: Sendable {
    /// HTTP with clients.
    case plain
    /// HTTP over TLS with clients.
    case secure
    /// Proxies ask whether requests of theirs may pass.
    case checks

    var setting: String {
        switch self {
        case .plain: "listen"
        case .secure: "tls.listen"
        case .checks: "forward_auth.listen"
        }
    }
}

/// A listening socket of a worker.
struct PublicListener: Sendable {
    let socket: ListeningSocket
    let door: Door
}

/// The listeners of the workers that are open: for each address one socket per worker, so that workers share no queue.
/// A value: the next one is made whole, and put into force or thrown away.
struct Listeners {
    struct Failure: Error, CustomStringConvertible {
        /// The setting that named the address.
        let setting: String
        let description: String
    }

    /// An address as it was asked for, and what is spoken there.
    struct Wanted: Hashable {
        let text: Configuration.SocketAddressText
        let door: Door
        var setting: String { door.setting }

        /// What keeps its sockets over a reload. Those for proxies never become those for clients: where a client is
        /// served, what a proxy asks would be forwarded, and the answer of a backend taken for a verdict.
        var identity: Identity { Identity(text: text, isForProxies: door == .checks) }

        struct Identity: Hashable {
            let text: Configuration.SocketAddressText
            let isForProxies: Bool
        }
    }

    struct Entry {
        let wanted: Wanted
        /// By worker; more than one where another process left more sockets than there are workers.
        let sockets: [[ListeningSocket]]

        /// With the port that the system chose, where 0 was asked for.
        var address: SocketAddress? { sockets.lazy.joined().first?.address }
        var isHeldElsewhere: Bool { sockets.lazy.joined().first?.isHeldElsewhere == true }
    }

    private(set) var entries: [Entry] = []
    /// Of addresses that no setting names any more. A service manager holds these sockets as well, so no others can be
    /// bound when a setting names one again. Nobody is accepted on them.
    private(set) var resting: [Entry] = []
    /// Addresses of ours whose last handshakes are still being finished.
    private var ending: [(address: SocketAddress, until: Instant)] = []
    private static let endingTime = Interval.seconds(2)

    static func wanted(by configuration: Configuration) -> [Wanted] {
        configuration.listeners.map { Wanted(text: $0, door: .plain) }
            + (configuration.tls?.listeners ?? []).map { Wanted(text: $0, door: .secure) }
            + configuration.forwardAuth.listeners.map { Wanted(text: $0, door: .checks) }
    }

    /// What worker `index` listens on.
    func of(worker index: Int) -> [PublicListener] {
        entries.flatMap { entry in
            entry.sockets[index].map { PublicListener(socket: $0, door: entry.wanted.door) }
        }
    }

    func addresses(of door: Door) -> [String] {
        entries.filter { $0.wanted.door == door }.compactMap { $0.address?.description }
    }

    /// Keeps the very sockets of addresses that are wanted again, opens the new ones and leaves the others. Throws
    /// before anything has changed; what was opened until then is closed.
    /// - Parameter inheritance: Sockets that the process was started with; those for a wanted address are taken.
    func next(
        for wanted: [Wanted], workers: Int, now: Instant, from inheritance: Inheritance? = nil
    ) throws(Failure) -> Listeners {
        var result = Listeners()
        let present = entries + resting
        let kept = Listeners.match(wanted.map(\.identity), present.map(\.wanted.identity))
        result.ending = ending.filter { $0.until > now }
        for (index, entry) in present.enumerated() where !kept.contains(index) {
            if entry.isHeldElsewhere {
                result.resting.append(entry)
            } else if let address = entry.address {
                result.ending.append((address, now + Listeners.endingTime))
            }
        }
        for (index, want) in wanted.enumerated() {
            if let place = kept[index] {
                result.entries.append(Entry(wanted: want, sockets: present[place].sockets))
            } else {
                let given = inheritance?.claim(want.text, of: want.setting) ?? []
                let sockets =
                    given.isEmpty
                    ? try open(want, workers: workers, now, beside: inheritance)
                    : share(given.count, among: workers).map { $0.map { given[$0] } }
                result.entries.append(Entry(wanted: want, sockets: sockets))
            }
        }
        return result
    }

    /// For each wanted address the place of the open one that goes on; nil: there is none. An address may stand twice
    /// when it has port 0, and each is another one then.
    static func match<Address: Equatable>(_ wanted: [Address], _ open: [Address]) -> [Int?] {
        var free = Set(open.indices)
        return wanted.map { want in
            guard let place = open.indices.first(where: { free.contains($0) && open[$0] == want }) else { return nil }
            free.remove(place)
            return place
        }
    }

    private func open(
        _ want: Wanted, workers: Int, _ now: Instant, beside inheritance: Inheritance?
    ) throws(Failure) -> [[ListeningSocket]] {
        guard let ip = IPAddress(want.text.host) else {
            throw Failure(setting: want.setting, description: "\(want.text.host) is not an address of this host")
        }
        var address = SocketAddress.ip(ip, port: want.text.port)
        do throws(SystemError) {
            // Bound once without SO_REUSEPORT: with it a second gateway on the same port would start without an error
            // and take half of the connections. Where one of our own sockets has the port (`0.0.0.0:80` becomes
            // `127.0.0.1:80`), nobody else has.
            let inherited = inheritance?.offers.compactMap(\.socket.address) ?? []
            if want.text.port != 0, !holdsPort(of: address, now, inherited) {
                _ = try ListeningSocket(bind: address, shared: false)
            }
            return try (0..<workers).map { (_) throws(SystemError) in
                let socket = try ListeningSocket(bind: address, shared: true)
                // Port 0: the system chose one for the first worker, the others take the same.
                address = socket.address ?? address
                return [socket]
            }
        } catch {
            let hint = error.isAddressInUse ? " (is another gateway running?)" : ""
            throw Failure(setting: want.setting, description: "cannot listen on \(address): \(error)\(hint)")
        }
    }

    private func holdsPort(of address: SocketAddress, _ now: Instant, _ inherited: [SocketAddress]) -> Bool {
        let last = ending.filter { $0.until > now }.map(\.address)
        return ((entries + resting).compactMap(\.address) + last + inherited).contains {
            $0.port == address.port && $0.ip?.isV4 == address.ip?.isV4
        }
    }
}
