internal import GatewayCore
internal import Wire

/// The commands about what failed logins look like together.
enum ThreatCommands {
    @Sendable static func list(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(call, "GET", "/security/threats/metrics") { ThreatText.list($0) }
    }

    @Sendable static func testWebhook(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try OperatorCommands.ask(
            call, "POST", "/api/v1/threats/webhook-test", patience: .seconds(30),
            verdict: { $0["accepted"] == .boolean(true) ? .ok : .failed }, report: { ThreatText.test($0) })
    }
}

/// The gateway's answers to them, in words. Pure: JSON in, text out.
enum ThreatText {
    static func test(_ document: JSONValue) -> String {
        let url = OperatorReports.string(document, "url")
        guard let problem = document["problem"]?.string else { return "\(url) took the message\n" }
        return "\(url) did not take the message: \(printable(problem))\n"
    }

    static func list(_ document: JSONValue) -> String {
        guard document["enabled"] != .boolean(false) else { return "threats are not looked for (threats.enabled)\n" }
        let active = document["active"]?.array ?? []
        let recent = document["recent"]?.array ?? []
        return summary(document) + (active.isEmpty ? "no threat now\n" : "")
            + (active.isEmpty && recent.isEmpty ? "" : table(active, recent)) + notes(document)
    }

    private static func summary(_ document: JSONValue) -> String {
        let logins = document["logins"]
        func number(_ name: String) -> Int { logins?[name]?.integer ?? 0 }
        return "logins of the last \(relativeTime(document["window_seconds"]?.integer ?? 0)): "
            + "\(number("failures")) failed from \(number("failed_networks")) networks, "
            + "\(number("successes")) succeeded\n"
    }

    private static func table(_ active: [JSONValue], _ recent: [JSONValue]) -> String {
        var table = TextTable(
            "STATE", "PATTERN", "SUBJECT", "BEGAN", "LAST SIGN", "FAILURES", "ACCOUNTS", "NETWORKS", "ADDRESS")
        for (threats, state) in [(active, "active"), (recent, "over")] {
            for threat in threats {
                table.append(
                    state, OperatorReports.string(threat, "pattern"), OperatorReports.string(threat, "subject"),
                    shortTime(OperatorReports.string(threat, "began_at")),
                    shortTime(OperatorReports.string(threat, "last_sign_at")), "\(threat["failures"]?.integer ?? 0)",
                    "\(threat["accounts"]?.integer ?? 0)", "\(threat["networks"]?.integer ?? 0)",
                    threat["last_address"]?.string.map(printable) ?? "")
            }
        }
        return table.text
    }

    private static func notes(_ document: JSONValue) -> String {
        var notes = ""
        if let count = document["unlisted"]?.integer, count > 0 {
            notes += "and \(count) signs of threats that found no place in the list\n"
        }
        if document["accounts"]?.string == "unknown" {
            notes += "accounts are not looked at (accounts.member): only successes after failures are told\n"
        }
        if let problem = document["webhook"]?["problem"]?.string {
            notes += "the webhook takes no messages: \(printable(problem))\n"
        }
        return notes
    }
}
