internal import GatewayCore
internal import Wire

/// The commands about routes that are closed for a while.
enum LockdownCommands {
    @Sendable static func lockDown(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let text = call.options["for"] else {
            throw CommandFailure(.usage, "--for says how long: 30s, 10m, 12h, at most 7d; a lockdown always has an end")
        }
        guard case .seconds(let seconds) = BlockLength(text), seconds <= longest else {
            throw CommandFailure(.usage, "\"\(text)\" is no time to close a route for; write 30s, 10m, 12h, at most 7d")
        }
        var members: [JSONValue.Member] = [
            .init("route", .string(call.operands[0])), .init("duration_seconds", .integer(seconds)),
        ]
        if let list = call.options["allow"] {
            members.append(.init("allow", .string(try OperatorCommands.networks(list).joined(separator: " "))))
        }
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        return try OperatorCommands.ask(call, "POST", "/api/v1/lockdowns", body: .object(members)) {
            LockdownReports.lockedDown($0)
        }
    }

    @Sendable static func lockdowns(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "GET", "/api/v1/lockdowns") { LockdownReports.lockdowns($0) }
    }

    @Sendable static func unlockRoute(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let route = call.operands[0]
        let path = "/api/v1/lockdowns/\(RevocationCommands.percentEncoded(route))"
        return try OperatorCommands.ask(call, "DELETE", path) { LockdownReports.reopened(route, $0) }
    }

    /// Seven days, as the gateway has it.
    private static let longest = 604_800
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum LockdownReports {
    static func lockedDown(_ document: JSONValue) -> String {
        guard let lockdown = document["lockdown"] else { return "closed\n" }
        let route = OperatorReports.string(lockdown, "route")
        return "\(route) is closed to \(audience(lockdown)) \(ending(lockdown))\(OperatorReports.localNote(document))\n"
    }

    static func reopened(_ route: String, _ document: JSONValue) -> String {
        let wasClosed = (document["lifted"] ?? .null) != .null
        let text = wasClosed ? "is open again" : "was not closed"
        return "\(printable(route)) \(text)\(OperatorReports.localNote(document))\n"
    }

    static func lockdowns(_ document: JSONValue) -> String {
        let lockdowns = document["lockdowns"]?.array ?? []
        guard !lockdowns.isEmpty else { return "no route is closed\n" }
        var table = TextTable("ROUTE", "OPENS IN", "ALLOWED", "SINCE", "ACTOR", "REASON")
        for one in lockdowns {
            table.append(
                OperatorReports.string(one, "route") + (hasRoute(one) ? "" : " (no such route: nothing is closed)"),
                one["ttl_seconds"]?.integer.map(relativeTime) ?? "never",
                allowed(one) ?? "nobody", shortTime(OperatorReports.string(one, "since")),
                OperatorReports.string(one, "actor"), OperatorReports.string(one, "reason"))
        }
        return table.text
    }

    /// Set by hand, or of a route that a reload has taken away.
    static func hasRoute(_ lockdown: JSONValue) -> Bool { lockdown["route_exists"] != .boolean(false) }

    /// `for 30m, until 2026-11-29 07:39:16Z`
    static func ending(_ lockdown: JSONValue) -> String {
        guard let seconds = lockdown["ttl_seconds"]?.integer else { return "until somebody opens it" }
        return "for \(relativeTime(seconds)), until \(shortTime(OperatorReports.string(lockdown, "expires_at")))"
    }

    private static func audience(_ lockdown: JSONValue) -> String {
        allowed(lockdown).map { "all but \($0)" } ?? "everybody"
    }

    private static func allowed(_ lockdown: JSONValue) -> String? {
        let networks = (lockdown["allow"]?.array ?? []).compactMap { $0.string.map(printable) }
        return networks.isEmpty ? nil : networks.joined(separator: ", ")
    }
}
