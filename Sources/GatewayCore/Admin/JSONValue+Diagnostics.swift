package import Settings

extension JSONValue {
    /// The findings about a configuration, for programs; `text` is what a terminal shows.
    package init(_ diagnostics: [Diagnostic]) {
        self = .array(
            diagnostics.map { diagnostic in
                var variable: String?
                if case .environment(let name) = diagnostic.position { variable = name }
                return [
                    "severity": .string(diagnostic.severity.rawValue), "file": JSONValue(diagnostic.file),
                    "line": JSONValue(diagnostic.line), "column": JSONValue(diagnostic.column),
                    "variable": JSONValue(variable), "message": .string(diagnostic.message),
                    "hint": JSONValue(diagnostic.hint), "text": .string(diagnostic.description),
                ]
            })
    }
}
