internal import Policy
internal import Wire

/// A route as an operator orders it to be opened without a good token.
struct BreakGlassOrder: Hashable, Sendable {
    var route: String
    var allowed: [IPNetwork]
    var duration: Interval
    var reason: String

    /// What the body of the request may have.
    static let members = ["route", "duration_seconds", "allow", "reason", "actor"]
}

extension AdminRouter {
    /// All of it must be said; nothing has a default.
    func breakGlass(_ body: JSONValue) throws(AdminProblem) -> BreakGlassOrder {
        guard let route = try string("route", in: body) else { throw .unusable("route is missing") }
        let longest = BreakGlass.longest.secondsRoundedUp
        guard case .integer(let seconds) = body["duration_seconds"], (1...longest).contains(seconds) else {
            throw .unusable("duration_seconds is a whole number from 1 to \(longest), and never left out")
        }
        let allowed = try networks("allow", in: body, most: BreakGlass.mostNetworks)
        guard !allowed.isEmpty else { throw .unusable("allow names the networks that may use the route") }
        if let wide = allowed.first(where: BreakGlass.isTooWide) {
            throw .unusable("\(wide) in allow is too wide: at most /16, or /48 of IPv6")
        }
        guard let text = try string("reason", in: body), !text.isEmpty else {
            throw .unusable("reason is missing: it is what the audit record will say")
        }
        return BreakGlassOrder(
            route: route, allowed: allowed, duration: .seconds(seconds), reason: try reason(in: body))
    }

    /// Who holds the token of the admin listener must not be able to do without all others.
    func mustBeLocal(_ peer: AdminPeer) throws(AdminProblem) {
        guard case .local = peer else { throw .breakGlassIsLocal }
    }
}

extension AdminProblem {
    static let breakGlassIsLocal = AdminProblem(
        403, .forbidden, "Break-glass is ordered at the socket alone",
        "use gateway break-glass on the machine of the gateway, as the user it runs as or as root")

    static func breakGlassIsOff(_ route: String) -> AdminProblem {
        AdminProblem(
            403, .forbidden, "The configuration does not allow break-glass",
            "routes[].break_glass of \(route) says for how long it may be opened, and it is not set; it can be set and "
                + "reloaded")
    }

    static func noBreakGlass(_ route: String, _ open: [String]) -> AdminProblem {
        let list =
            open.isEmpty ? "no route is" : open.sorted().joined(separator: ", ") + (open.count == 1 ? " is" : " are")
        return AdminProblem(
            404, .noRoute, "Nothing was open there", "\"\(route.prefix(64))\" was not open; \(list) open")
    }

    static func breakGlassTooLong(_ route: String, _ limit: Int) -> AdminProblem {
        AdminProblem(
            422, .malformedRequest, "The time is too long",
            "routes[].break_glass allows \(route) to be opened for \(limit) seconds")
    }
}
