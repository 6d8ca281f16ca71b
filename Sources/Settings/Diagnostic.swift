/// One finding about the configuration, with the place where it was written. It never carries a secret: `line` was
/// redacted when the diagnostic was made, and messages about secrets do not quote them.
package struct Diagnostic: Hashable, Sendable {
    package enum Severity: String, Sendable {
        /// The configuration is not used.
        case error
        /// It is used, and probably does not do what was meant.
        case warning
    }

    package enum Position: Hashable, Sendable {
        /// A stretch of the file; line and column count from 1, in characters.
        case file(String, line: Int, column: Int)
        /// The file as a whole.
        case wholeFile(String)
        /// An environment variable.
        case environment(String)
    }

    package var severity: Severity
    package var position: Position
    /// One sentence without a full stop.
    package var message: String
    /// How to mend it.
    package var hint: String?
    /// The source line, its secrets replaced.
    package var excerpt: Excerpt?

    package struct Excerpt: Hashable, Sendable {
        package var text: String
        /// Characters of `text` before the underline.
        package var indent: Int
        /// Characters underlined; at least 1.
        package var length: Int
    }

    package var file: String? {
        switch position {
        case .file(let name, _, _), .wholeFile(let name): name
        case .environment: nil
        }
    }

    package var line: Int? {
        if case .file(_, let line, _) = position { line } else { nil }
    }

    package var column: Int? {
        if case .file(_, _, let column) = position { column } else { nil }
    }
}

extension Diagnostic: CustomStringConvertible {
    /// The text for a terminal, in the form that editors and CI systems know from compilers:
    ///
    ///     gateway.conf:12:1: error: there is no setting "timeout"
    ///         timeout: 5s
    ///         ^~~~~~~
    ///         did you mean "timeouts"?
    package var description: String {
        let place =
            switch position {
            case .file(let name, let line, let column): "\(name):\(line):\(column)"
            case .wholeFile(let name): name
            case .environment(let name): name
            }
        var lines = ["\(place): \(severity.rawValue): \(message)"]
        if let excerpt {
            lines.append("    " + excerpt.text)
            let blank = String(repeating: " ", count: excerpt.indent)
            lines.append("    " + blank + "^" + String(repeating: "~", count: max(0, excerpt.length - 1)))
        }
        if let hint { lines.append("    " + hint) }
        return lines.joined(separator: "\n")
    }
}

extension Sequence<Diagnostic> {
    package var containsErrors: Bool { contains { $0.severity == .error } }
}
