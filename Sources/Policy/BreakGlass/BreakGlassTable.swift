package import Wire

/// A route that some networks may use for a while without a token that is good: when tokens cannot be judged, or those
/// that there are were made with a key that is lost, and somebody must get in all the same.
package struct BreakGlass: Hashable, Sendable {
    /// The route's name: of its configuration, or else its path.
    package var route: String
    /// Whose requests pass; never empty, and none of them wide.
    package var allowed: [IPNetwork]
    package var deadline: Instant

    package static let mostNetworks = 32
    /// No longer than it takes to repair what is broken.
    package static let longest = Interval.seconds(3_600)

    package init(route: String, allowed: [IPNetwork], until deadline: Instant) {
        self.route = route
        self.allowed = allowed
        self.deadline = deadline
    }

    /// Whether the network is wider than one organisation's: /16 of IPv4, /48 of IPv6.
    package static func isTooWide(_ network: IPNetwork) -> Bool { network.isWider(thanV4: 16, v6: 48) }

    /// Its end is exact: it is over at its deadline, whoever has heard of that.
    func admits(_ client: IPAddress, at now: Instant) -> Bool {
        deadline > now && allowed.contains { $0.contains(client) }
    }
}

/// A change of what is open by break-glass.
package enum BreakGlassDelta: Hashable, Sendable {
    /// In place of one of the same route.
    case set(BreakGlass)
    case end(route: String)
}

/// What is open by break-glass as one worker knows it. Asked only of requests that would be refused.
package struct BreakGlassTable: Sendable {
    private var routes: RouteMap<BreakGlass>

    /// - Parameter names: of the configuration's routes, in their order.
    package init(names: [String]) { routes = RouteMap(names: names) }

    package mutating func apply(_ delta: BreakGlassDelta) {
        switch delta {
        case .set(let glass): routes[glass.route] = glass
        case .end(let route): routes[route] = nil
        }
    }

    mutating func adopt(names: [String]) { routes.adopt(names: names) }

    /// Until when the client may use the route without a good token; nil: it may not.
    package func end(ofRoute route: Int, for client: IPAddress, at now: Instant) -> Instant? {
        guard let glass = routes[route: route], glass.admits(client, at: now) else { return nil }
        return glass.deadline
    }

    /// The same by name, for what was opened under another configuration.
    package func end(ofName name: String, for client: IPAddress, at now: Instant) -> Instant? {
        guard let glass = routes[name], glass.admits(client, at: now) else { return nil }
        return glass.deadline
    }
}
