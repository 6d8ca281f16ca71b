internal import GatewayCore
internal import Settings
internal import Wire

/// The command that sets a rate limit for a while.
enum RateLimitCommands {
    /// With LIMIT and `--rate` it sets, with LIMIT and `--restore` it restores, alone it lists.
    @Sendable static func rateLimit(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let name = call.operands.first else {
            for option in ["rate", "burst", "for", "reason", "restore"] where call.has(option) {
                throw CommandFailure(.usage, "--\(option) needs LIMIT; without one, the limits are listed")
            }
            return try OperatorCommands.ask(call, "GET", "/api/v1/rate-limits") { RateLimitReports.list($0) }
        }
        if call.has("restore") {
            for option in ["rate", "burst", "for", "reason"] where call.has(option) {
                throw CommandFailure(.usage, "--restore goes without --\(option)")
            }
            let path = "/api/v1/rate-limits/\(RevocationCommands.percentEncoded(name))"
            return try OperatorCommands.ask(call, "DELETE", path) { RateLimitReports.restored(name, $0) }
        }
        return try OperatorCommands.ask(call, "POST", "/api/v1/rate-limits", body: try order(name, call)) {
            RateLimitReports.set($0)
        }
    }

    private static func order(_ name: String, _ call: Invocation) throws(CommandFailure) -> JSONValue {
        guard let rate = call.options["rate"], rate == "off" || Rate(rate) != nil else {
            throw CommandFailure(.usage, "--rate says how many requests: 20/min, 5/s, 1000/h, or off")
        }
        guard let text = call.options["for"], case .seconds(let seconds) = BlockLength(text), seconds <= longest else {
            throw CommandFailure(.usage, "--for says how long: 30s, 10m, 12h, at most 7d; then it is as configured")
        }
        var members: [JSONValue.Member] = [
            .init("limit", .string(name)), .init("rate", .string(rate)), .init("duration_seconds", .integer(seconds)),
        ]
        if let text = call.options["burst"] {
            guard let burst = Int(text), RateLimit.bursts.contains(burst), rate != "off" else {
                throw CommandFailure(.usage, "--burst is a number from 1 to \(RateLimit.bursts.upperBound)")
            }
            members.append(.init("burst", .integer(burst)))
        }
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        return .object(members)
    }

    /// Seven days, as the gateway has it.
    private static let longest = 604_800
}

/// The gateway's answers to it, in words. Pure: JSON in, text out.
enum RateLimitReports {
    static func set(_ document: JSONValue) -> String {
        guard let one = document["rate_limit"] else { return "set\n" }
        return "\(sentence(one)), on this gateway alone\n"
    }

    /// `per_address is 20/min, burst 5 for 30m, until 2026-11-29 07:39:16Z`
    static func sentence(_ one: JSONValue) -> String {
        let burst = one["burst"]?.integer.map { ", burst \($0)," } ?? ""
        return "\(OperatorReports.string(one, "limit")) is \(OperatorReports.string(one, "rate"))\(burst) "
            + LockdownReports.ending(one)
    }

    static func restored(_ name: String, _ document: JSONValue) -> String {
        let wasSet = (document["restored"] ?? .null) != .null
        return "\(printable(name)) is as configured\(wasSet ? " again" : ": nothing else was set")\n"
    }

    static func list(_ document: JSONValue) -> String {
        var table = TextTable("LIMIT", "PER", "IN FORCE", "CONFIGURED", "RESTORED IN", "ACTOR", "REASON")
        for one in document["rate_limits"]?.array ?? [] {
            let override = one["override"] ?? .null
            table.append(
                OperatorReports.string(one, "limit"), OperatorReports.string(one, "per"),
                OperatorReports.string(one, "in_force"), OperatorReports.string(one, "configured"),
                override["ttl_seconds"]?.integer.map(relativeTime) ?? "-",
                override == .null ? "-" : OperatorReports.string(override, "actor"),
                override == .null ? "-" : OperatorReports.string(override, "reason"))
        }
        return table.text
    }
}
