internal import GatewayCore
internal import Wire

/// The command that opens a route without a good token for a while.
enum BreakGlassCommands {
    /// With ROUTE and `--for` it opens, with ROUTE and `--end` it ends, alone it lists.
    @Sendable static func breakGlass(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let route = call.operands.first else {
            for name in ["for", "allow", "reason", "end"] where call.has(name) {
                throw CommandFailure(.usage, "--\(name) needs ROUTE; without one, what is open is listed")
            }
            return try OperatorCommands.ask(call, "GET", "/api/v1/break-glass") { BreakGlassReports.list($0) }
        }
        if call.has("end") {
            for name in ["for", "allow", "reason"] where call.has(name) {
                throw CommandFailure(.usage, "--end goes without --\(name)")
            }
            let path = "/api/v1/break-glass/\(RevocationCommands.percentEncoded(route))"
            return try OperatorCommands.ask(call, "DELETE", path) { _ in "\(printable(route)) asks for tokens again\n" }
        }
        return try OperatorCommands.ask(call, "POST", "/api/v1/break-glass", body: try order(route, call)) {
            BreakGlassReports.opened($0)
        }
    }

    private static func order(_ route: String, _ call: Invocation) throws(CommandFailure) -> JSONValue {
        guard let text = call.options["for"], case .seconds(let seconds) = BlockLength(text), seconds <= 3_600 else {
            throw CommandFailure(.usage, "--for says how long: 30s, 10m, at most 1h")
        }
        guard let list = call.options["allow"] else {
            throw CommandFailure(.usage, "--allow says who: addresses and networks, 203.0.113.7,10.1.0.0/16")
        }
        guard let reason = call.options["reason"], !reason.isEmpty else {
            throw CommandFailure(.usage, "--reason says why: it is what the audit record will say")
        }
        let networks = try OperatorCommands.networks(list)
        return [
            "route": .string(route), "duration_seconds": .integer(seconds),
            "allow": .string(networks.joined(separator: " ")), "reason": .string(reason),
        ]
    }
}

/// The gateway's answers to it, in words. Pure: JSON in, text out.
enum BreakGlassReports {
    static func opened(_ document: JSONValue) -> String {
        guard let one = document["break_glass"] else { return "open\n" }
        return "\(OperatorReports.string(one, "route")) is OPEN WITHOUT A GOOD TOKEN to \(networks(one)) "
            + "\(LockdownReports.ending(one)), on this gateway alone\n"
    }

    static func list(_ document: JSONValue) -> String {
        let all = document["break_glass"]?.array ?? []
        guard !all.isEmpty else { return "no route is open without a good token\n" }
        var table = TextTable("ROUTE", "ENDS IN", "ALLOWED", "SINCE", "ACTOR", "REASON")
        for one in all {
            table.append(
                OperatorReports.string(one, "route"), relativeTime(one["ttl_seconds"]?.integer ?? 0), networks(one),
                shortTime(OperatorReports.string(one, "since")), OperatorReports.string(one, "actor"),
                OperatorReports.string(one, "reason"))
        }
        return table.text
    }

    static func networks(_ one: JSONValue) -> String {
        (one["allow"]?.array ?? []).compactMap { $0.string.map(printable) }.joined(separator: ", ")
    }
}
