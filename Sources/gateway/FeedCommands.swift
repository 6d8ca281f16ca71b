internal import GatewayCore
internal import Wire

/// The commands about lists of blocked addresses.
enum FeedCommands {
    @Sendable static func list(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "GET", "/api/v1/feeds") { FeedReports.feeds($0) }
    }

    /// Fails when one of them is not good now, so that a job may tell.
    @Sendable static func update(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = call.operands.first.map { [.init("feed", .string($0))] } ?? []
        if call.has("may-shrink") { members.append(.init("may_shrink", true)) }
        return try OperatorCommands.ask(
            call, "POST", "/admin/threat-intel/update", body: .object(members), patience: .seconds(30),
            verdict: { FeedReports.areGood($0, call.operands.first) ? .ok : .failed },
            report: { FeedReports.feeds($0) })
    }
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum FeedReports {
    static func areGood(_ document: JSONValue, _ name: String?) -> Bool {
        (document["feeds"]?.array ?? []).allSatisfy {
            name != nil && $0["name"]?.string != name || $0["state"]?.string == "fresh"
        }
    }

    static func feeds(_ document: JSONValue) -> String {
        let feeds = document["feeds"]?.array ?? []
        guard !feeds.isEmpty else { return "there is no feed\n" }
        var table = TextTable("FEED", "ACTION", "STATE", "ENTRIES", "UPDATED", "PROBLEM")
        for feed in feeds {
            let isBusy = feed["updating"] == .boolean(true)
            table.append(
                OperatorReports.string(feed, "name"), OperatorReports.string(feed, "action"),
                OperatorReports.string(feed, "state") + (isBusy ? ", updating" : ""),
                "\(feed["entries"]?.integer ?? 0)",
                feed["updated_at"]?.string.map(shortTime) ?? "never",
                feed["problem"]?.string.map(printable) ?? "")
        }
        return table.text
    }
}
