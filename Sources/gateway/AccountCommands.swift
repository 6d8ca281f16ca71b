internal import GatewayCore
internal import Wire

/// The commands about accounts that are locked after failed logins.
enum AccountCommands {
    static let from = Option(
        name: "from", value: "ADDRESS|CIDR", help: "only for logins of this address or network; else for all")

    @Sendable static func unlock(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = []
        if let name = call.operands.first { members.append(.init("account", .string(name))) }
        if let hash = call.options["hash"] { members.append(.init("hash", .string(hash))) }
        if call.has("all") { members.append(.init("all", true)) }
        guard members.count == 1 else {
            throw CommandFailure(
                .usage, "exactly one of ACCOUNT, --hash and --all\nusage: gateway unlock ACCOUNT | --hash HASH | --all")
        }
        if let text = call.options["from"] {
            members.append(.init("from", .string(try OperatorCommands.network(text).description)))
        }
        return try OperatorCommands.ask(call, "POST", "/api/v1/account-locks/unlock", body: .object(members)) {
            AccountReports.unlocked($0)
        }
    }

    @Sendable static func locks(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let limit = try OperatorCommands.limit(call)
        return try OperatorCommands.ask(call, "GET", "/api/v1/account-locks?limit=\(limit)") {
            AccountReports.list($0)
        }
    }
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum AccountReports {
    static func unlocked(_ document: JSONValue) -> String {
        let note = OperatorReports.localNote(document)
        let locks = document["unlocked"]?.array ?? []
        guard !locks.isEmpty else {
            let subject = document["account"]?.string == nil ? "no account was locked" : "the account was not locked"
            return "\(subject); what failed of it is forgotten\(note)\n"
        }
        let lines = locks.map { lock in
            let place = lock["from"]?.string.map { " for \(printable($0))" } ?? ""
            return "\(OperatorReports.string(lock, "account")) is unlocked\(place)\n"
        }
        return lines.joined() + (note.isEmpty ? "" : "\(note.drop { $0 == "\n" || $0 == " " })\n")
    }

    static func list(_ document: JSONValue) -> String {
        let locks = document["locks"]?.array ?? []
        guard !locks.isEmpty else { return "no account is locked\n" }
        var table = TextTable("ACCOUNT", "FROM", "EXPIRES IN", "FAILURES", "SINCE", "ACTOR")
        for one in locks {
            let place = one["from"]?.string.map { printable($0) } ?? "everywhere"
            table.append(
                OperatorReports.string(one, "account"),
                one["in_force"] == .boolean(false) ? "\(place) (without effect: no rule counts so)" : place,
                one["ttl_seconds"]?.integer.map(relativeTime) ?? "never",
                one["failures"]?.integer.map { "\($0)" } ?? "", shortTime(OperatorReports.string(one, "since")),
                OperatorReports.string(one, "actor"))
        }
        let rest = (document["count"]?.integer ?? locks.count) - locks.count
        return table.text + (rest > 0 ? "and \(rest) more; --limit shows up to 10000\n" : "")
    }
}
