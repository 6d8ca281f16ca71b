internal import Settings

/// What a node of a cluster says instead of an answer.
enum RedisRedirect: Hashable {
    /// The slot is another's for good: the map is old.
    case moved(to: RedisSlotMap.Address)
    /// This one key is there already, since its slot is on its way.
    case ask(RedisSlotMap.Address)
    /// Of the keys of a script some are there and some are here: a moment later all are there.
    case tryAgain
    /// The cluster serves nobody, or not this slot.
    case down
    /// Meant to send us on, but nobody can tell where.
    case unreadable

    /// nil: an answer like any other, or an error that a single server gives, too.
    init?(_ error: String, toldBy node: RedisSlotMap.Address) {
        let words = error.split(separator: " ")
        switch words.first {
        case "TRYAGAIN": self = .tryAgain
        case "CLUSTERDOWN": self = .down
        case "MOVED", "ASK":
            // `MOVED 3999 127.0.0.1:6381`; an IPv6 address has no brackets there, and one that nobody knows is left out.
            guard words.count >= 3, let colon = words[2].lastIndex(of: ":"),
                let port = UInt16(words[2][words[2].index(after: colon)...]), port > 0,
                let host = try? RedisSlotMap.host(String(words[2][..<colon]), toldBy: node)
            else {
                self = .unreadable
                return
            }
            let address = RedisSlotMap.Address(host: host, port: port)
            self = words[0] == "MOVED" ? .moved(to: address) : .ask(address)
        default: return nil
        }
    }
}
