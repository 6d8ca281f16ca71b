internal import Policy
internal import Wire

/// A lockdown with all that is known of it, as the store has it under `lockdown:<route>`. Ours is
/// `{"by":"uid:0","reason":"leak","allow":["10.0.0.0/8"],"until":"2026-11-29T07:39:16.125Z","at":"2026-11-29T07:09:16.125Z"}`;
/// the end is that of the key. Any other value is somebody's `redis-cli SET`, and lets nobody through: what cannot be
/// understood closes too much rather than too little.
struct LockdownRecord: Hashable, Sendable {
    enum Origin: String, Sendable {
        case command
        case byHand = "by_hand"
    }

    var lockdown: Lockdown
    var reason: String
    var actor: String
    var origin: Origin
    var since: WallTime
    /// False: the configuration has no such route, so nothing is closed.
    var hasRoute = true

    init(_ lockdown: Lockdown, reason: String, actor: String, since: WallTime) {
        self.lockdown = lockdown
        self.reason = reason
        self.actor = actor
        self.since = since
        origin = .command
    }

    /// - Parameter seen: when it was read, for one that does not say since when it is.
    init(route: String, _ shared: SharedText, seen: WallTime) {
        let value = (try? JSONValue.read(Array(shared.text.utf8), depth: 2)) ?? .null
        // A network that cannot be read is none.
        let networks = (value["allow"]?.array ?? []).compactMap { $0.string.flatMap { IPNetwork($0) } }
        lockdown = Lockdown(
            route: route, allowed: Array(networks.prefix(Lockdown.mostNetworks)), until: shared.deadline)
        if let by = value["by"]?.string, let at = value["at"]?.string.flatMap({ WallTime(text: $0) }) {
            (actor, since, origin) = (by, at, .command)
            reason = value["reason"]?.string ?? ""
        } else {
            (actor, since, origin) = ("redis", seen, .byHand)
            reason = value["reason"]?.string ?? "set by hand"
        }
    }

    /// - Parameter end: of the lockdown, in civil time.
    func text(until end: WallTime) -> String {
        let value: JSONValue = [
            "by": .string(actor), "reason": .string(reason), "allow": .array(networks),
            "until": .string(end.text), "at": .string(since.text),
        ]
        return value.text
    }

    private var networks: [JSONValue] { lockdown.allowed.map { .string($0.description) } }

    func remaining(at now: Instant) -> Interval? { lockdown.deadline == .never ? nil : lockdown.deadline - now }

    func report(now: Instant, wall: WallTime) -> JSONValue {
        let remaining = remaining(at: now)
        return [
            "route": .string(lockdown.route), "route_exists": .boolean(hasRoute), "allow": .array(networks),
            "reason": .string(reason),
            "actor": .string(actor), "origin": .string(origin.rawValue), "since": .string(since.text),
            "expires_at": JSONValue(remaining.map { (wall + $0).text }),
            "ttl_seconds": JSONValue(remaining.map(\.secondsRoundedUp)),
        ]
    }
}
