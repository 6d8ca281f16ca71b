internal import Policy
internal import Wire

/// An allowance with all that is known of it, as the store has it under `ip_allow:<network>`. Ours is
/// `{"by":"uid:0","reason":"office","until":"2026-11-29T07:39:16.125Z","at":"2026-11-29T07:09:16.125Z"}`; the end is that
/// of the key. Any other value is somebody's `redis-cli SET`.
struct AllowanceRecord: Hashable, Sendable {
    var network: IPNetwork
    var deadline: Instant
    var reason: String
    var actor: String
    var since: WallTime
    var isByHand: Bool

    init(_ network: IPNetwork, until deadline: Instant, reason: String, actor: String, since: WallTime) {
        self.network = network
        self.deadline = deadline
        self.reason = reason
        self.actor = actor
        self.since = since
        isByHand = false
    }

    /// - Parameter seen: when it was read, for one that does not say since when it is.
    init(_ network: IPNetwork, _ shared: SharedText, seen: WallTime) {
        let value = (try? JSONValue.read(Array(shared.text.utf8), depth: 2)) ?? .null
        self.network = network
        deadline = shared.deadline
        if let by = value["by"]?.string, let at = value["at"]?.string.flatMap({ WallTime(text: $0) }) {
            (actor, since, isByHand) = (by, at, false)
            reason = value["reason"]?.string ?? ""
        } else {
            (actor, since, isByHand) = ("redis", seen, true)
            reason = value["reason"]?.string ?? "set by hand"
        }
    }

    /// - Parameter end: of the allowance, in civil time.
    func text(until end: WallTime) -> String {
        let value: JSONValue = [
            "by": .string(actor), "reason": .string(reason), "until": .string(end.text), "at": .string(since.text),
        ]
        return value.text
    }

    func remaining(at now: Instant) -> Interval? { deadline == .never ? nil : deadline - now }

    func report(now: Instant, wall: WallTime) -> JSONValue {
        let remaining = remaining(at: now)
        return [
            "network": .string(network.description), "reason": .string(reason), "actor": .string(actor),
            "origin": .string(isByHand ? "by_hand" : "command"), "since": .string(since.text),
            "expires_at": JSONValue(remaining.map { (wall + $0).text }),
            "ttl_seconds": JSONValue(remaining.map(\.secondsRoundedUp)),
        ]
    }
}
