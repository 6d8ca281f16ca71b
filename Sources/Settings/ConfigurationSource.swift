/// What a configuration is made from.
package struct ConfigurationSource: Sendable {
    /// The path of gateway.conf as it was given, and as diagnostics show it; nil: environment and defaults only.
    package var path: String?
    /// The bytes of that file; ignored without a path.
    package var contents: [UInt8]
    package var environment: [String: String]
    package var files: FileAccess

    package init(
        path: String?, contents: [UInt8], environment: [String: String] = [:], files: FileAccess = .system
    ) {
        self.path = path
        self.contents = contents
        self.environment = environment
        self.files = files
    }

    /// Reads the file at `path`. A file that cannot be read is a diagnostic.
    package static func reading(
        _ path: String, environment: [String: String], files: FileAccess = .system
    ) -> Result<ConfigurationSource, Diagnostic> {
        switch files.read(path) {
        case .success(let file):
            return .success(.init(path: path, contents: file.bytes, environment: environment, files: files))
        case .failure(let failure):
            return .failure(
                Diagnostic(
                    severity: .error, position: .wholeFile(path), message: "the file cannot be read: \(failure.reason)",
                    hint: "name the file with --config or GATEWAY_CONFIG", excerpt: nil))
        }
    }
}

extension Diagnostic: Error {}

/// What became of a source: a configuration when nothing was wrong, and everything that was found.
package struct LoadResult: Sendable {
    /// Nil when a diagnostic is an error.
    package var configuration: Configuration?
    /// In the order of the file, then the environment.
    package var diagnostics: [Diagnostic]
    /// Every setting in force with where it comes from, secrets redacted; empty without a configuration.
    package var effective: String
    /// Where the running gateway is asked. Known in spite of mistakes in other settings: a file that is being edited
    /// must not keep anybody from blocking an attacker. Nil when the settings that name it could not be read.
    package var adminSocketPath: String?
    /// What the process will write to: the directory, the file in it if it is one, and an error that lacks only the
    /// obstacle.
    fileprivate var written: [Written] = []
    fileprivate typealias Written = (directory: String, file: String?, error: Diagnostic)

    /// Where each setting stands, for findings of those who look into the files that it names.
    fileprivate var resolved: (settings: ResolvedSettings, findings: Findings)?

    /// An error about the value of `setting`, which stands in the file or came from a variable.
    package func diagnostic(at setting: String, _ message: String, hint: String? = nil) -> Diagnostic? {
        guard let resolved else { return nil }
        return resolved.findings.diagnostic(
            .error, resolved.settings.place(of: setting), message, hint: hint, wellFormed: true)
    }

    /// What a running process keeps as it was at its start, by setting.
    fileprivate var fixed: [String: [UInt8]] = [:]

    /// The settings that differ from those of `start` and need a restart: a reload does not put them in force, and says
    /// so.
    package func changesNeedingRestart(since start: LoadResult) -> [String] {
        Set(fixed.keys).union(start.fixed.keys).filter { fixed[$0] != start.fixed[$0] }.sorted()
    }

    /// Errors for directories and logs that this process cannot write to. This asks the file system, so `load` leaves it to
    /// those who mean to write there: `gateway check`, the start of the process and its reloads.
    package func directoryDiagnostics(_ files: FileAccess = .system) -> [Diagnostic] {
        written.compactMap { directory, file, error in
            let obstacle = files.obstacleToWriting(directory) ?? file.flatMap { files.obstacleToAppending($0) }
            guard let obstacle else { return nil }
            var error = error
            error.message += ": \(obstacle)"
            return error
        }
    }
}

extension Configuration {
    /// Reads, checks and assembles. Reads the secret files that the settings name; touches nothing else.
    package static func load(_ source: ConfigurationSource) -> LoadResult {
        let name = source.path ?? "gateway.conf"
        let text: String
        switch decode(source.path == nil ? [] : source.contents) {
        case .success(let decoded):
            text = decoded
        case .failure(let problem):
            var findings = Findings(fileName: name, source: nil)
            findings.error(.file(problem.mark), problem.message, hint: problem.hint)
            return LoadResult(
                configuration: nil, diagnostics: findings.diagnostics(wellFormed: false), effective: "")
        }
        var findings = Findings(fileName: name, source: SourceText(name: name, text: text))
        let (root, problems) = YAMLReader.read(text)
        for problem in problems {
            findings.error(.file(problem.mark), problem.message, hint: problem.hint)
            for mark in problem.unread { findings.hide(mark) }
        }
        guard let root else {
            return LoadResult(
                configuration: nil, diagnostics: findings.diagnostics(wellFormed: false), effective: "")
        }
        var file = FileSettings(findings: findings)
        file.read(root)
        var environment = EnvironmentSettings(source.environment, over: file.settings, findings: file.findings)
        environment.read()
        var defaults = DefaultSettings(over: environment.settings, findings: environment.findings)
        defaults.fill()

        let directory = source.path.map(parentDirectory) ?? "."
        var secrets = SecretSettings(
            defaults.settings, files: source.files, directory: directory, findings: defaults.findings)
        secrets.read(source.environment)
        var checks = CrossChecks(defaults.settings, secrets)
        checks.run()

        let diagnostics = checks.findings.diagnostics(wellFormed: true)
        guard !diagnostics.containsErrors else {
            return LoadResult(
                configuration: nil, diagnostics: diagnostics, effective: "",
                adminSocketPath: defaults.settings.adminSocketPath(in: directory))
        }
        let assembly = Assembly(settings: defaults.settings, secrets: secrets, directory: directory)
        let configuration = assembly.configuration()
        return LoadResult(
            configuration: configuration, diagnostics: diagnostics,
            effective: effectiveText(defaults.settings, secrets, fileName: name),
            adminSocketPath: configuration.admin.socketPath,
            written: writtenDirectories(configuration, defaults.settings, checks.findings),
            resolved: (defaults.settings, checks.findings), fixed: fixedSettings(defaults.settings, secrets))
    }

    /// The same from the file at `path`; one that cannot be read is a finding like any other.
    package static func load(path: String, environment: [String: String]) -> LoadResult {
        switch ConfigurationSource.reading(path, environment: environment) {
        case .success(let source): load(source)
        case .failure(let problem): LoadResult(configuration: nil, diagnostics: [problem], effective: "")
        }
    }

    private static func fixedSettings(_ settings: ResolvedSettings, _ secrets: SecretSettings) -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for row in SettingRows.all where row.reload == .restart {
            guard let entry = settings.entries[row.path], !entry.items.isEmpty else { continue }
            result[row.path] = Array(entry.items.map(\.written).joined(separator: "\n").utf8)
        }
        // By content: a file whose secret was replaced is a change too.
        for name in ["password", "sentinel_password", "url"] {
            result["redis.\(name)_file"] = nil
            result["redis.\(name)"] = secrets.secrets["redis.\(name)"]?.revealed
        }
        return result
    }

    private static func writtenDirectories(
        _ configuration: Configuration, _ settings: ResolvedSettings, _ findings: Findings
    ) -> [LoadResult.Written] {
        var result: [LoadResult.Written] = []
        func add(_ directory: String, _ file: String?, _ setting: String, _ message: String) {
            let place = settings.place(of: setting)
            result.append((directory, file, findings.diagnostic(.error, place, message, hint: nil, wellFormed: true)))
        }
        let state = configuration.stateDirectory
        add(state, nil, "state_dir", "the state directory \"\(state)\" cannot be used")
        for (setting, target) in [("logs.access", configuration.logs.access), ("logs.audit", configuration.logs.audit)]
        {
            guard case .file(let path) = target else { continue }
            add(parentDirectory(of: path), path, setting, "the log file \"\(path)\" cannot be written")
        }
        return result
    }

    private static func decode(_ bytes: [UInt8]) -> Result<String, YAMLProblemError> {
        guard bytes.count <= YAMLReader.largest else {
            return .failure(
                .init(mark: Mark(line: 1, column: 1), message: "the file is larger than 1 MiB", hint: nil))
        }
        // The byte order mark that some editors write; libyaml would take it for content.
        let mark: [UInt8] = [0xef, 0xbb, 0xbf]
        let bytes = bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
        if let text = String(validating: bytes, as: UTF8.self) { return .success(text) }
        // The longest valid beginning tells where it breaks.
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var line = 1
        var column = 1
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return .failure(
            .init(
                mark: Mark(line: line, column: column), message: "the file is not UTF-8",
                hint: "save it as UTF-8"))
    }
}

/// A `YAMLProblem` that can be thrown.
private struct YAMLProblemError: Error {
    var mark: Mark
    var message: String
    var hint: String?
}
