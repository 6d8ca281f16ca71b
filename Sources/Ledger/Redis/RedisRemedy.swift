/// What is to be done about an error of Redis, in the words of whoever has to do it. Never quotes a password.
enum RedisRemedy {
    /// - Parameters:
    ///   - command: what was refused, with its keys as the store knows them; empty: not known.
    ///   - user: of the access control list; nil: the default one.
    /// - Returns: the error with the remedy behind it.
    static func explain(_ error: String, command: [String] = [], user: String?) -> String {
        let text = withoutArguments(error)
        guard let remedy = remedy(error, command, user ?? "default") else { return text }
        return "\(text) — \(remedy)"
    }

    /// Some servers quote what they do not understand: `ERR unknown command 'AUTH', with args beginning with: 'secret'`.
    static func withoutArguments(_ error: String) -> String {
        guard let quoted = error.firstRange(of: ", with args beginning") else { return error }
        return String(error[..<quoted.lowerBound])
    }

    private static func remedy(_ error: String, _ command: [String], _ user: String) -> String? {
        switch error.prefix(while: { $0 != " " }) {
        case "WRONGPASS":
            return "the user \"\(user)\" is unknown or off, or the password is another: redis.username and "
                + "redis.password_file have to fit ACL GETUSER \(user)"
        case "NOAUTH": return "Redis asks for a password: set redis.password_file, and redis.username if it has users"
        case "NOPERM": return permission(error, command, user)
        case "READONLY": return "this server is a replica: redis.address must name the master, or set redis.sentinels"
        case "OOM": return "raise maxmemory of Redis, or make room in it"
        case "MISCONF": return "Redis cannot write to its disk: see its log"
        case "LOADING": return "Redis is still reading its data"
        case "DENIED": return "Redis is in protected mode: give it a user with a password, and bind it to an address"
        case "MOVED", "ASK", "CROSSSLOT":
            return "this is a node of a Redis Cluster: name its nodes in redis.cluster, in place of redis.address"
        case "CLUSTERDOWN":
            return "the Redis Cluster has not all of its slots, or not most of its masters: see CLUSTER INFO and "
                + "CLUSTER NODES (its nodes are named in redis.cluster)"
        default: break
        }
        if error.contains("cluster support disabled") {
            return "this Redis is no cluster: name it in redis.address, in place of redis.cluster"
        }
        if error.contains("DB index") { return "this Redis has fewer databases than redis.database asks for" }
        if error.contains("without any password configured") {
            return "Redis knows no password of its default user: set redis.username, or take redis.password_file away"
        }
        // What a script was refused inside of Redis.
        if error.contains("the script can't") || error.contains("ACL failure in script") {
            return "a command or key of the script is not allowed to the user \"\(user)\": compare ACL GETUSER \(user) "
                + "with docs/redis.md"
        }
        return nil
    }

    private static func permission(_ error: String, _ command: [String], _ user: String) -> String {
        if error.contains("channel") {
            return "the user \"\(user)\" may not listen to \(command.last ?? "the channel"): "
                + "ACL SETUSER \(user) &\(command.last ?? "__redis__:invalidate")"
        }
        if error.contains("key"), !error.contains("command"), command.count > 1 {
            let pattern = pattern(command)
            return "the user \"\(user)\" may not use \(command[0]) on \(pattern): ACL SETUSER \(user) ~\(pattern)"
        }
        guard let verb = quoted(error) ?? command.first?.lowercased() else {
            return "compare ACL GETUSER \(user) with docs/redis.md"
        }
        return "the user \"\(user)\" may not run \(verb.uppercased().replacing("|", with: " ")): "
            + "ACL SETUSER \(user) +\(verb)"
    }

    /// The key of a question that only asks whether it may ask, as a pattern.
    private static func pattern(_ command: [String]) -> String {
        let key = command[1]
        return key.hasSuffix(RedisSession.probe) ? String(key.dropLast(RedisSession.probe.count)) + "*" : key
    }

    private static func quoted(_ error: String) -> String? {
        let parts = error.split(separator: "'", omittingEmptySubsequences: false)
        return parts.count == 3 ? String(parts[1]) : nil
    }
}
