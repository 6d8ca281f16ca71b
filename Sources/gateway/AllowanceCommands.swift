internal import GatewayCore
internal import Wire

/// The commands about addresses that no block holds back.
enum AllowanceCommands {
    @Sendable static func allow(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        guard let text = call.options["for"] else {
            throw CommandFailure(
                .usage, "--for says how long: 30s, 10m, 12h, at most 30d; what is never to be blocked: never_block")
        }
        guard case .seconds(let seconds) = BlockLength(text), seconds <= longest else {
            throw CommandFailure(.usage, "\"\(text)\" is no time to allow for; write 30s, 10m, 12h, at most 30d")
        }
        var members: [JSONValue.Member] = [
            .init("network", .string(try OperatorCommands.network(call.operands[0]).description)),
            .init("duration_seconds", .integer(seconds)),
        ]
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        return try OperatorCommands.ask(call, "POST", "/api/v1/allowances", body: .object(members)) {
            AllowanceReports.allowed($0)
        }
    }

    @Sendable static func allowed(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "GET", "/api/v1/allowances") { AllowanceReports.list($0) }
    }

    @Sendable static func disallow(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let network = try OperatorCommands.network(call.operands[0])
        let target = network.description.replacing("/", with: "%2F")
        return try OperatorCommands.ask(call, "DELETE", "/api/v1/allowances/\(target)") {
            AllowanceReports.ended(network, $0)
        }
    }

    /// Thirty days, as the gateway has it.
    private static let longest = 2_592_000
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum AllowanceReports {
    static func allowed(_ document: JSONValue) -> String {
        guard let allowance = document["allowance"] else { return "allowed\n" }
        let overridden = OperatorReports.strings(document["overrides"])
        let note = overridden.isEmpty ? "" : "\n(without effect on it meanwhile: the block of \(overridden))"
        let network = OperatorReports.string(allowance, "network")
        let end = LockdownReports.ending(allowance)
        return "\(network) is not held back by any block \(end)\(note)\(OperatorReports.localNote(document))\n"
    }

    static func ended(_ network: IPNetwork, _ document: JSONValue) -> String {
        let was = (document["lifted"] ?? .null) != .null
        let text = was ? "is held back by blocks again" : "was not allowed"
        return "\(network) \(text)\(OperatorReports.localNote(document))\n"
    }

    static func list(_ document: JSONValue) -> String {
        let allowances = document["allowances"]?.array ?? []
        guard !allowances.isEmpty else { return "no address is allowed for a while\n" }
        var table = TextTable("NETWORK", "ENDS IN", "SINCE", "ACTOR", "REASON")
        for one in allowances {
            table.append(
                OperatorReports.string(one, "network"), one["ttl_seconds"]?.integer.map(relativeTime) ?? "never",
                shortTime(OperatorReports.string(one, "since")), OperatorReports.string(one, "actor"),
                OperatorReports.string(one, "reason"))
        }
        return table.text
    }
}
