import Testing

@testable import Settings

/// A configuration with a mistake, and all that is said about it.
struct Mistake: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var variables: [String: String]
    var files: [String: FileAccess.File]
    var says: String

    init(
        _ name: String, _ text: String, variables: [String: String] = [:], files: [String: FileAccess.File] = [:],
        says: String
    ) {
        self.name = name
        self.text = text
        self.variables = variables
        self.files = files
        self.says = says
    }

    var testDescription: String { name }

    /// The diagnostics as a terminal shows them.
    func report() -> String {
        load(text, variables, files: files).diagnostics.map(\.description).joined(separator: "\n")
    }
}

func file(_ text: String, mode: UInt32) -> FileAccess.File { .init(bytes: Array(text.utf8), mode: mode) }
