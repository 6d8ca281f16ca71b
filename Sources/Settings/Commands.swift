/// What a command prints and returns.
package struct CommandOutput: Hashable, Sendable {
    package var standardOutput: String
    package var standardError: String
    /// 0: sound; 78 (EX_CONFIG of sysexits.h): errors were found.
    package var exitCode: Int32
}

/// `gateway check`: everything that could keep a gateway with this configuration from starting, short of opening
/// sockets.
package enum CheckCommand {
    /// The configuration, and everything that was found about it and its places.
    /// - Parameter looking: looks into the files that the settings name.
    package static func examine(
        _ source: ConfigurationSource, looking: (LoadResult) -> [Diagnostic] = { _ in [] }
    ) -> (result: LoadResult, findings: [Diagnostic]) {
        let result = Configuration.load(source)
        return (result, result.diagnostics + result.directoryDiagnostics(source.files) + looking(result))
    }

    /// `dump`: print every value in force as well.
    package static func run(
        _ source: ConfigurationSource, dump: Bool = false, looking: (LoadResult) -> [Diagnostic] = { _ in [] }
    ) -> CommandOutput {
        let (result, diagnostics) = examine(source, looking: looking)
        let errors = diagnostics.count { $0.severity == .error }
        let warnings = diagnostics.count - errors
        var findings = diagnostics.map { $0.description + "\n" }.joined()
        let name = source.path ?? "the environment"
        guard errors == 0, let configuration = result.configuration else {
            findings += "\(name): \(counted(errors, "error"))"
            findings += warnings > 0 ? ", \(counted(warnings, "warning"))\n" : "\n"
            return CommandOutput(standardOutput: "", standardError: findings, exitCode: 78)
        }
        var summary = "\(name) is sound: \(counted(configuration.listeners.count, "listener")), "
        if let tls = configuration.tls { summary += "\(counted(tls.listeners.count, "TLS listener")), " }
        let asked = configuration.forwardAuth.listeners.count
        if asked > 0 { summary += "\(counted(asked, "forward-auth listener")), " }
        summary += "\(counted(configuration.upstreams.count, "upstream")), "
        summary += "\(counted(configuration.routes.count, "route")), "
        summary += "\(counted(configuration.tokens.keys.count, "token key"))"
        summary += warnings > 0 ? "; \(counted(warnings, "warning"))\n" : "\n"
        return CommandOutput(
            standardOutput: (dump ? result.effective : "") + summary, standardError: findings, exitCode: 0)
    }

    private static func counted(_ count: Int, _ noun: String) -> String {
        "\(count == 0 ? "no" : String(count)) \(noun)\(count == 1 ? "" : "s")"
    }
}
