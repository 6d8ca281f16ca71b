internal import Wire

/// Rows under a head, aligned by the widest of each column; no line ends in spaces.
struct TextTable {
    private var rows: [[String]]

    init(_ head: String...) { rows = [head] }

    var isEmpty: Bool { rows.count == 1 }

    mutating func append(_ row: String...) { rows.append(row) }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (cell, width) in zip(row, widths) {
                line += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

/// A length of time for people: its two largest units, `4m 12s`, `2d 3h`.
func relativeTime(_ seconds: Int) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
    var rest = max(0, seconds)
    var parts: [String] = []
    for (size, name) in units where parts.count < 2 {
        let count = rest / size
        rest %= size
        if count > 0 {
            parts.append("\(count)\(name)")
        } else if !parts.isEmpty {
            break
        }
    }
    return parts.isEmpty ? "0s" : parts.joined(separator: " ")
}

/// `2026-11-21T07:09:16.123Z` as `2026-11-21 07:09:16Z`.
func shortTime(_ timestamp: String) -> String {
    guard let whole = timestamp.split(separator: ".", maxSplits: 1).first else { return "" }
    return whole.replacing("T", with: " ", maxReplacements: 1) + (timestamp.contains(".") ? "Z" : "")
}

/// What a person typed behind `--for`: `permanent`, or a whole number and one of s, m, h, d.
enum BlockLength: Equatable {
    case permanent
    case seconds(Int)

    /// Ten years, as the gateway has it.
    static let longest = 315_360_000

    init?(_ text: String) {
        if text == "permanent" {
            self = .permanent
            return
        }
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let last = text.last, let unit = units[last] else { return nil }
        let digits = text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(digits),
            number > 0, number <= BlockLength.longest / unit
        else { return nil }
        self = .seconds(number * unit)
    }
}

/// Text that came from elsewhere, made harmless for a terminal: no control characters, no reversal of direction.
func printable(_ text: String) -> String {
    String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: "\u{fffd}"
                default: scalar
                }
            }))
}
