import Testing

/// One case of Tests/Conversations/table: bytes on one connection, and what is answered to them in order.
struct TableCase: Sendable, CustomTestStringConvertible {
    let place: String
    /// As the file has it, with its alternative chosen.
    let text: String
    let sent: [UInt8]
    let answers: String
    /// Must be in the first head that is forwarded.
    let fragment: [UInt8]?

    var testDescription: String { "\(place) \(text)" }

    static let all = Conversation.names(in: Conversation.path(of: "table")).flatMap { name in
        Conversation.text(of: Conversation.path(of: "table") + "/" + name)
            .split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .filter { !$0.element.isEmpty && !$0.element.hasPrefix("#") }
            .flatMap { index, line in cases(of: String(line), at: "\(name):\(index + 1)") }
    }

    private static func cases(of line: String, at place: String) -> [TableCase] {
        let row = line.split(separator: "  -- ", maxSplits: 1)[0]
        guard let gap = row.firstRange(of: "  ") else { fatalError("\(place): no answers") }
        let parts = row[gap.upperBound...].split(separator: "  => ", maxSplits: 1)
        return expanded(Substring(parts[0])).map { text in
            guard let sent = Conversation.unescaped(Substring(text)) else { fatalError("\(place): unknown escape") }
            return TableCase(
                place: place, text: text, sent: sent, answers: String(row[..<gap.lowerBound]),
                fragment: parts.count > 1 ? Conversation.unescaped(parts[1]) : nil)
        }
    }

    /// `a«b¦c»d` is `abd` and `acd`.
    private static func expanded(_ text: Substring) -> [String] {
        guard let open = text.firstIndex(of: "«"), let close = text[open...].firstIndex(of: "»") else {
            return [String(text)]
        }
        let rest = expanded(text[text.index(after: close)...])
        let choices = text[text.index(after: open)..<close].split(separator: "¦", omittingEmptySubsequences: false)
        return choices.flatMap { choice in rest.map { text[..<open] + choice + $0 } }
    }
}
