/// A stretch of the source: from `line`:`column` up to, and without, `endLine`:`endColumn`. Counted from 1, in
/// Unicode scalars, as libyaml counts.
struct Mark: Hashable, Sendable {
    var line: Int
    var column: Int
    var endLine: Int
    var endColumn: Int

    init(line: Int, column: Int, endLine: Int, endColumn: Int) {
        self.line = line
        self.column = column
        self.endLine = endLine
        self.endColumn = endColumn
    }

    /// One line, `length` characters.
    init(line: Int, column: Int, length: Int = 1) {
        self.init(line: line, column: column, endLine: line, endColumn: column + length)
    }
}

/// The configuration file as lines, for excerpts under diagnostics, and the stretches that must never be shown.
struct SourceText: Sendable {
    let name: String
    private let lines: [String]
    private var hidden: [Mark] = []

    init(name: String, text: String) {
        self.name = name
        var lines: [String] = []
        var current = String.UnicodeScalarView()
        var afterReturn = false
        for scalar in text.unicodeScalars {
            // libyaml also breaks lines at NEL, LS and PS; counting as it does keeps the positions true.
            switch scalar {
            case "\n" where afterReturn:
                afterReturn = false
            case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}":
                lines.append(String(current))
                current = .init()
                afterReturn = scalar == "\r"
            default:
                current.append(scalar)
                afterReturn = false
            }
        }
        lines.append(String(current))
        self.lines = lines
    }

    var lineCount: Int { lines.count }

    func line(_ number: Int) -> String? { lines.indices.contains(number - 1) ? lines[number - 1] : nil }

    /// From here on the stretch appears as `<redacted>` in every excerpt, and so does a comment behind it: of
    /// `secret: #hunter2` YAML makes an empty value and a comment.
    mutating func hide(_ mark: Mark) {
        hidden.append(mark)
        guard let last = line(mark.endLine) else { return }
        let scalars = Array(last.unicodeScalars)
        guard let comment = scalars[min(mark.endColumn - 1, scalars.count)...].firstIndex(of: "#") else { return }
        hidden.append(Mark(line: mark.endLine, column: comment + 1, length: scalars.count - comment))
    }

    private static let replacement = Array("<redacted>".unicodeScalars)
    /// A line longer than this is cut around the underline: minified files must not flood a terminal.
    private static let widest = 110

    func excerpt(_ mark: Mark) -> Diagnostic.Excerpt? {
        guard let line = line(mark.line) else { return nil }
        let source = Array(line.unicodeScalars)
        let start = min(max(0, mark.column - 1), source.count)
        let end =
            mark.endLine == mark.line
            ? min(max(start, mark.endColumn - 1), source.count) : trimmedCount(source)
        // A setting that was commented out may be a secret.
        let comment = source.firstIndex(of: "#").flatMap {
            looksSecret(String(line.unicodeScalars.dropFirst($0))) ? $0 : nil
        }
        var shown: [Unicode.Scalar] = []
        var shownStart: Int?
        var shownEnd: Int?
        var insideHidden = false
        for index in 0...source.count {
            let hides =
                index < source.count && (isHidden(line: mark.line, column: index + 1) || index >= comment ?? .max)
            if index == start {
                shownStart = insideHidden && hides ? shown.count - Self.replacement.count : shown.count
            }
            if index == end { shownEnd = shown.count }
            if index == source.count { break }
            if hides {
                if !insideHidden { shown += Self.replacement }
            } else {
                // Tabs and control characters would shift or spoil the terminal.
                shown.append(source[index].value < 0x20 || source[index].value == 0x7f ? " " : source[index])
            }
            insideHidden = hides
        }
        var from = shownStart ?? shown.count
        var length = max(1, (shownEnd ?? shown.count) - from)
        let leading = shown.prefix { $0 == " " }.count
        var cut = min(leading, from)
        if from - cut > Self.widest - 20 { cut = from - 20 }
        shown.removeFirst(cut)
        from -= cut
        if shown.count > Self.widest {
            shown.removeLast(shown.count - Self.widest)
            shown.append("…")
        }
        length = min(length, max(1, shown.count - from))
        var text = String.UnicodeScalarView()
        text.append(contentsOf: shown)
        return Diagnostic.Excerpt(text: trimmingEnd(String(text)), indent: from, length: length)
    }

    private func isHidden(line: Int, column: Int) -> Bool {
        hidden.contains { mark in
            (mark.line, mark.column) <= (line, column) && (line, column) < (mark.endLine, mark.endColumn)
        }
    }

    private func trimmedCount(_ source: [Unicode.Scalar]) -> Int {
        (source.lastIndex { $0 != " " }).map { $0 + 1 } ?? 0
    }

    private func trimmingEnd(_ text: String) -> String {
        var text = Substring(text)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
