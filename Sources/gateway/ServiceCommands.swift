internal import GatewayCore
internal import Settings

/// The commands that need no running gateway.
enum ServiceCommands {
    @Sendable static func run(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let path = call.configurationPath
        let inheritance: Inheritance
        do throws(Gateway.StartFailure) {
            inheritance = try Inheritance(commandLine: call.commandLine, environment: call.environment)
        } catch {
            throw CommandFailure(.system, "gateway: \(error)")
        }
        let environment = inheritance.environment
        let load: () -> LoadResult = { Configuration.load(path: path, environment: environment) }
        let result = load()
        for diagnostic in result.diagnostics { Terminal.error("\(diagnostic)") }
        let obstacles = result.directoryDiagnostics() + CertificateLoader.diagnostics(result)
        for diagnostic in obstacles { Terminal.error("\(diagnostic)") }
        guard let configuration = result.configuration, !obstacles.containsErrors else {
            let findings = (result.diagnostics + obstacles).map(\.description).joined(separator: "\n")
            inheritance.refuse("the configuration has mistakes\n\(findings)")
            return .configuration
        }
        do throws(Gateway.StartFailure) {
            let gateway = try Gateway(configuration, from: result, path: path, with: inheritance, reload: load)
            gateway.run()
        } catch {
            inheritance.refuse(error.description)
            throw CommandFailure(.system, "gateway: \(error)")
        }
        return .ok
    }

    @Sendable static func check(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let path = call.configurationPath
        switch ConfigurationSource.reading(path, environment: call.environment) {
        case .success(let source) where !call.has("json"):
            let output = CheckCommand.run(
                source, dump: call.has("effective"), looking: look)
            Terminal.error(output.standardError)
            Terminal.print(output.standardOutput)
            return output.exitCode == 0 ? .ok : .configuration
        case .success(let source):
            let (result, findings) = CheckCommand.examine(source, looking: look)
            let isSound = !findings.containsErrors
            Terminal.print(
                document(path, isSound, findings, call.has("effective") ? result.effective : nil).text + "\n")
            return isSound ? .ok : .configuration
        case .failure(let problem):
            if call.has("json") { Terminal.print(document(path, false, [problem], nil).text + "\n") }
            throw CommandFailure(.configuration, "\(problem)")
        }
    }

    /// What is asked of this host, beside what the settings say.
    private static func look(_ result: LoadResult) -> [Diagnostic] {
        CertificateLoader.diagnostics(result) + AssertionKeyLoader.diagnostics(result) + HostCheck.diagnostics(result)
            + FeedCheck.diagnostics(result)
    }

    private static func document(
        _ path: String, _ isSound: Bool, _ findings: [Diagnostic], _ effective: String?
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("configuration", .string(path)), .init("sound", .boolean(isSound)),
            .init("diagnostics", JSONValue(findings)),
        ]
        if let effective {
            let lines = effective.split(separator: "\n").map { JSONValue.string(String($0)) }
            members.append(.init("effective", .array(lines)))
        }
        return .object(members)
    }

    @Sendable static func reference(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        switch (call.has("markdown"), call.has("schema"), call.operands.first) {
        case (false, false, let topic?):
            guard Reference.knows(topic) else { throw CommandFailure(.usage, Reference.text(topic: topic)) }
            Terminal.print(Reference.text(topic: topic))
        case (false, false, nil): Terminal.print(Reference.text())
        case (true, false, nil): Terminal.print(Reference.markdown())
        case (false, true, nil): Terminal.print(Reference.schema())
        default:
            throw CommandFailure(
                .usage,
                "one of a setting, --markdown and --schema\nusage: gateway reference [SETTING] [--markdown] [--schema]")
        }
        return .ok
    }
}
