/// What the gateway's names are called in the store: with `redis.key_prefix` in front. Everybody else speaks of plain
/// names; this is done where commands leave and answers arrive, so that no command can forget it.
struct RedisKeyspace {
    let prefix: String

    /// `login_seen:{login_fail:…}` has to stay in the slot of its counter, and `gateway:said:{…}` in that of what was said of,
    /// so the prefix stands in the hash tag, too.
    func stored(_ name: String) -> String {
        guard !prefix.isEmpty else { return name }
        let parts = name.split(separator: ":{", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, RedisKeyspace.tagged.contains(where: name.hasPrefix) else { return prefix + name }
        return "\(prefix)\(parts[0]):{\(prefix)\(parts[1])"
    }

    private static let tagged = ["login_", RedisLedger.markPrefix]

    /// The name behind the prefix; nil for a key of somebody else.
    func name(_ key: [UInt8]) -> [UInt8]? {
        guard key.starts(with: prefix.utf8) else { return nil }
        var name = Array(key.dropFirst(prefix.utf8.count))
        guard !prefix.isEmpty, RedisKeyspace.tagged.contains(where: { name.starts(with: $0.utf8) }) else { return name }
        // What is told back to the store has to become the same key again.
        let colon = name.indices.dropLast().first { name[$0] == UInt8(ascii: ":") && name[$0 + 1] == UInt8(ascii: "{") }
        if let tag = colon.map({ $0 + 2 }), name[tag...].starts(with: prefix.utf8) {
            name.removeSubrange(tag..<(tag + prefix.utf8.count))
        }
        return name
    }

    func command(_ arguments: [String]) -> [String] {
        guard !prefix.isEmpty, let verb = arguments.first else { return arguments }
        var arguments = arguments
        switch verb {
        case "EVAL", "EVALSHA":
            for index in 3..<(3 + (Int(arguments[2]) ?? 0)) { arguments[index] = stored(arguments[index]) }
        case "SCAN":
            for index in arguments.indices.dropLast() where arguments[index] == "MATCH" {
                arguments[index + 1] = prefix + arguments[index + 1]
            }
        case "PING", "SCRIPT", "CLIENT", "HELLO", "AUTH", "SELECT", "TIME", "CLUSTER", "ASKING": break
        // Every other command that is used has one key, behind its name.
        default: arguments[1] = stored(arguments[1])
        }
        return arguments
    }

    /// The answer to `SCAN` names keys.
    func reply(_ reply: RESPValue?, to verb: String?) -> RESPValue? {
        guard !prefix.isEmpty, verb == "SCAN", let parts = reply?.array, parts.count == 2, let keys = parts[1].array
        else { return reply }
        return .array([parts[0], .array(keys.compactMap { $0.data.flatMap(name).map { .bytes($0) } })])
    }
}
