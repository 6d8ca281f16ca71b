internal import GatewayCore
internal import Glibc
internal import Settings

/// The commands that need no running gateway.
enum ServiceCommands {
    @Sendable static func run(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let path = call.configurationPath
        let environment = call.environment
        let load: () -> LoadResult = { Configuration.load(path: path, environment: environment) }
        let result = load()
        for diagnostic in result.diagnostics { Terminal.error("\(diagnostic)") }
        guard let configuration = result.configuration else { return .configuration }
        do throws(Gateway.StartFailure) {
            let gateway = try Gateway(configuration, path: path, reload: load)
            gateway.run()
        } catch {
            throw CommandFailure(.system, "gateway: \(error)")
        }
        return .ok
    }

    @Sendable static func check(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        let path = call.configurationPath
        let result = Configuration.load(path: path, environment: call.environment)
        let diagnostics = result.diagnostics + placeDiagnostics(result)
        let isSound = !diagnostics.containsErrors
        if call.has("json") {
            var members: [JSONValue.Member] = [
                .init("configuration", .string(path)), .init("sound", .boolean(isSound)),
                .init("diagnostics", JSONValue(diagnostics)),
            ]
            if call.has("effective") {
                members.append(.init("effective", .array(lines(result.effective).map { .string(String($0)) })))
            }
            Terminal.print(JSONValue.object(members).text + "\n")
            return isSound ? .ok : .configuration
        }
        for diagnostic in diagnostics { Terminal.error("\(diagnostic)") }
        if call.has("effective") { Terminal.print(result.effective) }
        let errors = diagnostics.count { $0.severity == .error }
        let warnings = diagnostics.count - errors
        let counts = [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }
            .map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }.joined(separator: ", ")
        if isSound {
            Terminal.print("\(path) is sound" + (counts.isEmpty ? "" : ", with \(counts)") + "\n")
            return .ok
        }
        Terminal.error("\(path) cannot be used: \(counts)")
        return .configuration
    }

    @Sendable static func reference(_ call: Invocation) throws(CommandFailure) -> ExitCode {
        switch (call.has("markdown"), call.has("schema"), call.operands.first) {
        case (false, false, let topic): Terminal.print(Reference.text(topic: topic))
        case (true, false, nil): Terminal.print(Reference.markdown())
        case (false, true, nil): Terminal.print(Reference.schema())
        default:
            throw CommandFailure(
                .usage, "one of a setting, --markdown and --schema\nusage: gateway reference [SETTING]")
        }
        return .ok
    }

    private static func lines(_ text: String) -> [Substring] { text.split(separator: "\n") }

    // MARK: What only the file system knows

    /// Places that the gateway must be able to write to, and cannot.
    private static func placeDiagnostics(_ result: LoadResult) -> [Diagnostic] {
        var found = result.directoryDiagnostics()
        guard found.isEmpty, let logs = result.configuration?.logs else { return found }
        for (setting, target) in [("logs.access", logs.access), ("logs.audit", logs.audit)] {
            guard case .file(let path) = target, let obstacle = obstacleToAppending(path) else { continue }
            found.append(
                Diagnostic(
                    severity: .error, position: .wholeFile(path), message: "\(setting) cannot be written: \(obstacle)",
                    hint: "give it to the gateway's user, or name another place"))
        }
        return found
    }

    /// Nil: the file can be appended to, or is not there yet. Opens nothing, so that a check leaves no file behind.
    private static func obstacleToAppending(_ path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        if status.st_mode & S_IFMT == S_IFDIR { return "it is a directory" }
        return access(path, W_OK) == 0 ? nil : String(cString: strerror(errno))
    }
}
