package import Wire

/// A route that is closed for a while to all but some networks.
package struct Lockdown: Hashable, Sendable {
    /// The route's name: of its configuration, or else its path. Routes that share a name are closed together.
    package var route: String
    /// Whose requests pass all the same.
    package var allowed: [IPNetwork]
    package var deadline: Instant

    package static let longestName = 512
    package static let mostNetworks = 32

    package init(route: String, allowed: [IPNetwork], until deadline: Instant) {
        self.route = route
        self.allowed = allowed
        self.deadline = deadline
    }

    /// Visible ASCII, as in every path that needs no quoting.
    package static func isSound(_ name: some StringProtocol) -> Bool {
        (1...longestName).contains(name.utf8.count) && name.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }

    /// Its end is exact: it is over at its deadline, whoever has heard of that.
    func refuses(_ client: IPAddress, at now: Instant) -> Bool {
        deadline > now && !allowed.contains { $0.contains(client) }
    }
}

/// A change of the lockdowns.
package enum LockdownDelta: Hashable, Sendable {
    /// In place of one of the same route.
    case set(Lockdown)
    case lift(route: String)
}

/// The lockdowns as one worker knows them.
package struct LockdownTable: Sendable {
    private var routes: RouteMap<Lockdown>

    /// - Parameter names: of the configuration's routes, in their order.
    package init(names: [String]) { routes = RouteMap(names: names) }

    package var isEmpty: Bool { routes.isEmpty }

    package mutating func apply(_ delta: LockdownDelta) {
        switch delta {
        case .set(let lockdown): routes[lockdown.route] = lockdown
        case .lift(let route): routes[route] = nil
        }
    }

    /// Other routes: what is closed stays closed, by its name.
    mutating func adopt(names: [String]) { routes.adopt(names: names) }

    /// When the route opens again for the client; nil: it is open.
    package func end(ofRoute route: Int, for client: IPAddress, at now: Instant) -> Instant? {
        guard let lockdown = routes[route: route], lockdown.refuses(client, at: now) else { return nil }
        return lockdown.deadline
    }

    /// The same by name, for what was opened under another configuration.
    package func refuses(_ client: IPAddress, onRoute name: String, at now: Instant) -> Bool {
        routes[name]?.refuses(client, at: now) ?? false
    }
}
