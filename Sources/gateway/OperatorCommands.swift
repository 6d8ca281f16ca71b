internal import GatewayCore
internal import Settings
internal import Wire

/// The commands that ask the running gateway.
enum OperatorCommands {
    @Sendable static func block(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var members: [JSONValue.Member] = [.init("network", .string(try network(call.operands[0]).description))]
        if let text = call.options["for"] {
            switch BlockLength(text) {
            case .permanent: members.append(.init("duration_seconds", .null))
            case .seconds(let seconds): members.append(.init("duration_seconds", .integer(seconds)))
            case nil:
                throw CommandFailure(
                    .usage, "\"\(text)\" is no time to block for; write 30s, 10m, 12h, 7d (at most 3650d) or permanent")
            }
        }
        if let reason = call.options["reason"] { members.append(.init("reason", .string(reason))) }
        return try ask(call, "POST", "/api/v1/blocks", body: .object(members)) { OperatorReports.blocked($0) }
    }

    @Sendable static func unblock(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        switch (call.has("all"), call.operands.first) {
        case (true, nil):
            return try ask(call, "DELETE", "/api/v1/blocks?all=true") { OperatorReports.unblockedAll($0) }
        case (false, let text?):
            let network = try network(text)
            let target = network.description.replacing("/", with: "%2F")
            return try ask(call, "DELETE", "/api/v1/blocks/\(target)") { OperatorReports.unblocked(network, $0) }
        default:
            throw CommandFailure(.usage, "either ADDRESS|CIDR or --all\nusage: gateway unblock ADDRESS|CIDR | --all")
        }
    }

    @Sendable static func blocks(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try ask(call, "GET", "/api/v1/blocks?limit=\(try limit(call))") { OperatorReports.blocks($0) }
    }

    /// Those of a list with commas, each in the form in which it is sent.
    static func networks(_ list: String) throws(CommandFailure) -> [String] {
        var networks: [String] = []
        for word in list.split(separator: ",", omittingEmptySubsequences: false) {
            networks.append(try network(String(word)).description)
        }
        return networks
    }

    /// How many of a list are shown.
    static func limit(_ call: Invocation) throws(CommandFailure) -> Int {
        guard let number = Int(call.options["limit"] ?? "1000"), (1...10_000).contains(number) else {
            throw CommandFailure(.usage, "--limit is a number from 1 to 10000")
        }
        return number
    }

    @Sendable static func status(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try ask(call, "GET", "/api/v1/status") { OperatorReports.status($0) }
    }

    @Sendable static func reload(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try ask(call, "POST", "/api/v1/reload", patience: AdminClient.patienceWithReload) {
            OperatorReports.reloaded($0)
        }
    }

    @Sendable static func upgrade(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try ask(call, "POST", "/api/v1/upgrade", patience: AdminClient.patienceWithUpgrade) {
            OperatorReports.upgraded($0)
        }
    }

    @Sendable static func rotateAssertionKey(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        try ask(call, "POST", "/admin/keys/rotate", body: ["compromised": .boolean(call.has("compromised"))]) {
            OperatorReports.rotated($0)
        }
    }

    @Sendable static func logLevel(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let levels = Configuration.Logs.Level.allCases.map(\.rawValue)
        guard levels.contains(call.operands[0]) else {
            let guess = nearest(call.operands[0], levels).map { "; did you mean \($0)?" } ?? ""
            throw CommandFailure(.usage, "LEVEL is one of \(levels.joined(separator: ", "))\(guess)")
        }
        var members: [JSONValue.Member] = [.init("level", .string(call.operands[0]))]
        if let scope = call.options["scope"] { members.append(.init("scope", .string(scope))) }
        if let text = call.options["for"] {
            guard case .seconds(let seconds) = BlockLength(text), seconds <= 86_400 else {
                throw CommandFailure(.usage, "\"\(text)\" is no time; write 30s, 10m, 12h, at most 24h")
            }
            members.append(.init("duration_seconds", .integer(seconds)))
        }
        return try ask(call, "PUT", "/api/v1/log-level", body: .object(members)) {
            let scope = $0["scope"]?.string.map { " of \(printable($0))" } ?? ""
            return "the log level\(scope) is \(OperatorReports.logLevel($0))\n"
        }
    }

    @Sendable static func version(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        var running: String?
        if call.has("socket") {
            let answer = try client(call).send("GET", "/health")
            running = (try? JSONValue.read(answer.body))?["version"]?.string
        }
        if call.has("json") {
            let document: JSONValue = ["version": .string(GatewayVersion.text), "running": JSONValue(running)]
            Terminal.print(document.text + "\n")
        } else {
            Terminal.print("gateway \(GatewayVersion.text)\n")
            if let running, running != GatewayVersion.text { Terminal.print("running: \(printable(running))\n") }
        }
        return .ok
    }

    // MARK: Asking

    /// Sends the request and prints the answer: as it came with `--json`, else in the words of `report`.
    /// - Parameter verdict: what the command returns when the gateway did what was asked, however it is printed.
    static func ask(
        _ call: Invocation, _ method: String, _ target: String, body: JSONValue? = nil,
        patience: Interval = AdminClient.patience, verdict: (JSONValue) -> ExitCode = { _ in .ok },
        report: (JSONValue) -> String
    ) throws(CommandFailure) -> ExitCode {
        var client = try client(call)
        client.patience = patience
        let answer = try client.send(method, target, body: body)
        if call.has("json") {
            Terminal.print(String(decoding: answer.body, as: UTF8.self))
            return answer.isSuccess ? verdict((try? JSONValue.read(answer.body)) ?? .null) : .failed
        }
        let document: JSONValue
        do throws(JSONFault) {
            document = try JSONValue.read(answer.body)
        } catch {
            throw CommandFailure(.failed, "the gateway's answer cannot be read: \(error)")
        }
        guard answer.isSuccess else { throw CommandFailure(.failed, OperatorReports.problem(document)) }
        Terminal.print(report(document))
        return verdict(document)
    }

    private static func client(_ call: Invocation) throws(CommandFailure) -> AdminClient {
        let name = call.environment["SUDO_USER"] ?? call.environment["USER"]
        // A field's value on a line of its own must not become two lines.
        let actor = name.flatMap { $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && !$0.isEmpty ? $0 : nil }
        return AdminClient(path: try socketPath(call), actor: actor)
    }

    private static func socketPath(_ call: Invocation) throws(CommandFailure) -> String {
        if let path = call.options["socket"] { return path }
        let configuration = call.configurationPath
        let result = Configuration.load(path: configuration, environment: call.environment)
        guard let path = result.adminSocketPath else {
            let findings = result.diagnostics.map(\.description).joined(separator: "\n")
            throw CommandFailure(
                .configuration,
                "\(findings)\nthe admin socket is not known; name it with --socket PATH, "
                    + "as \"admin_socket\" in the gateway.ready line of the gateway's log")
        }
        if result.configuration == nil {
            Terminal.error(
                "\(configuration) has mistakes (see gateway check); the gateway on \(path) is asked all the same")
        }
        return path
    }

    static func network(_ text: String) throws(CommandFailure) -> IPNetwork {
        if let network = IPNetwork(text) { return network }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        var hint = "write it as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32"
        if parts.count == 2, let address = IPAddress(parts[0]) {
            let longest = address.isV4 ? 32 : 128
            if let prefix = Int(parts[1]), (1...longest).contains(prefix) {
                // Host bits below the prefix: the likeliest slip, and easily mended.
                hint = "did you mean \(IPNetwork(address, bits: address.isV4 ? prefix + 96 : prefix))?"
            } else {
                hint = "behind the slash stands a number from 0 to \(longest), and 0 means every address"
            }
        }
        throw CommandFailure(.usage, "\"\(text)\" is no address or network; \(hint)")
    }
}
