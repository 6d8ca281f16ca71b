internal import Policy
internal import Wire

/// A lockdown as an operator orders it.
struct LockdownOrder: Hashable, Sendable {
    var name: SharedName
    var allowed: [IPNetwork]
    var duration: Interval
    var reason: String

    /// What the body of the request may have.
    static let members = ["route", "duration_seconds", "allow", "reason", "actor"]
    /// Seven days: what is to stay closed for longer is a matter of the configuration.
    static let longest = 604_800
}

extension AdminRouter {
    func lockdown(_ body: JSONValue) throws(AdminProblem) -> LockdownOrder {
        guard let route = try string("route", in: body) else { throw .unusable("route is missing") }
        let name = try lockdownName(route)
        guard case .integer(let seconds) = body["duration_seconds"], (1...LockdownOrder.longest).contains(seconds)
        else {
            throw .unusable("duration_seconds is a whole number from 1 to \(LockdownOrder.longest), and never left out")
        }
        return LockdownOrder(
            name: name, allowed: try networks("allow", in: body, most: Lockdown.mostNetworks),
            duration: .seconds(seconds), reason: try reason(in: body))
    }

    /// Those that the member names, with blanks between them; each once.
    func networks(_ member: String, in body: JSONValue, most: Int) throws(AdminProblem) -> [IPNetwork] {
        let words = try string(member, in: body)?.split(separator: " ") ?? []
        guard words.count <= most else { throw .unusable("\(member) may name \(most) networks") }
        var networks: [IPNetwork] = []
        for word in words {
            guard let network = IPNetwork(word) else {
                throw .unusable(
                    "\"\(word.prefix(64))\" in \(member) is no address or network such as 203.0.113.7 or "
                        + "203.0.113.0/24")
            }
            if !networks.contains(network) { networks.append(network) }
        }
        return networks
    }

    /// Percent-encoded.
    func lockdownName(inPath place: Substring) throws(AdminProblem) -> SharedName {
        try lockdownName(AdminRequestReader.percentDecoded(place) ?? "")
    }

    private func lockdownName(_ route: String) throws(AdminProblem) -> SharedName {
        guard let name = SharedName(.lockdown, route) else {
            throw .unusable(
                "a route that can be closed has a name, or else a path, of 1 to \(Lockdown.longestName) visible "
                    + "characters of ASCII")
        }
        return name
    }
}
