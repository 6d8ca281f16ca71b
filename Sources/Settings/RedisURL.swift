internal import Wire

/// `redis://[user][:password]@host[:port][/database]`, `rediss://` for TLS, `unix:///path[?db=number]`; user and
/// password percent-encoded where they hold `@`, `:`, `/` or `%`. Complaints never quote it.
struct RedisURL {
    var location: Configuration.ServerLocation
    var isSecure = false
    var username: String?
    var password: Secret?
    var database: Int?

    init(_ secret: Secret) throws(Complaint) {
        let hint = "write redis://user:password@host:6379/0, or rediss:// for TLS"
        guard let text = String(validating: secret.revealed, as: UTF8.self), !text.utf8.contains(where: { $0 <= 0x20 })
        else { throw Complaint("the URL of Redis holds white space, or is no text", hint: hint) }
        if text.hasPrefix("unix://") {
            let parts = text.dropFirst(7).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            location = try parseServer("unix:\(parts[0])")
            guard parts.count == 2 else { return }
            guard parts[1].hasPrefix("db="), let number = plainNumber(parts[1].dropFirst(3)), number <= 65_535 else {
                throw Complaint("the URL of Redis has an unknown parameter", hint: "only ?db=number is known")
            }
            database = number
            return
        }
        isSecure = text.hasPrefix("rediss://")
        guard isSecure || text.hasPrefix("redis://") else {
            throw Complaint("the URL of Redis begins with no known scheme", hint: hint)
        }
        var rest = text.dropFirst(isSecure ? 9 : 8)
        guard !rest.contains("?"), !rest.contains("#") else {
            throw Complaint(
                "the URL of Redis has parameters", hint: "what else is to be said are settings of their own")
        }
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = try RedisURL.decoded(parts[0])
            if !name.isEmpty { username = String(decoding: name, as: UTF8.self) }
            if parts.count == 2, !parts[1].isEmpty { password = Secret(try RedisURL.decoded(parts[1])) }
            rest = rest[rest.index(after: at)...]
        }
        guard username == nil || password != nil else {
            throw Complaint("the URL of Redis names a user without a password", hint: hint)
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, !parts[1].isEmpty {
            guard let number = plainNumber(parts[1]), number <= 65_535 else {
                throw Complaint("the path of the URL of Redis is no number of a database", hint: hint)
            }
            database = number
        }
        let hasPort = parts[0].hasSuffix("]") ? false : parts[0].contains(":")
        do {
            location = .tcp(try parseSocketAddress(hasPort ? String(parts[0]) : "\(parts[0]):6379", lowestPort: 1))
        } catch {
            throw Complaint("the URL of Redis has no valid host and port", hint: hint)
        }
    }

    private static func decoded(_ text: Substring) throws(Complaint) -> [UInt8] {
        var result: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = bytes.next(), high != UInt8(ascii: "+"), let low = bytes.next(),
                let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16), value != 0
            else {
                throw Complaint(
                    "user or password in the URL of Redis are not percent-encoded",
                    hint: "% is written %25, @ is %40, : is %3A, / is %2F")
            }
            result.append(value)
        }
        return result
    }
}
