/// The reference of all settings, made from their rows: for the terminal here, for docs/configuration.md in
/// `MarkdownReference`, for editors in `SettingsSchema`.
package enum Reference {
    /// What `gateway reference` prints. With `topic`, only the settings whose path or variable contains it.
    package static func text(topic: String? = nil) -> String {
        var blocks: [String] = []
        for row in SettingRows.all where topic.map({ mentions(row, $0) }) ?? true {
            var lines = [row.path, "    \(row.about)"]
            lines.append("    \(plain(row.kind.phrase)); \(plain(defaultPhrase(row)))")
            if row.reload == .restart { lines.append("    a new value needs a restart") }
            let variables = variables(of: row)
            if !variables.isEmpty { lines.append("    \(variables.joined(separator: ", "))") }
            blocks.append(lines.joined(separator: "\n"))
        }
        for key in EnvironmentOnly.keys where topic.map({ key.variable.contains($0.uppercased()) }) ?? true {
            blocks.append("\(key.variable), \(key.variable)_FILE\n    \(plain(key.about))")
        }
        if blocks.isEmpty, let topic {
            let guess = closest(to: topic, among: SettingRows.all.map(\.path) + SettingRows.knownKeys.sorted())
            return "There is no setting \"\(topic)\"." + (guess.map { " Did you mean \"\($0)\"?" } ?? "") + "\n"
        }
        return blocks.joined(separator: "\n\n") + "\n"
    }

    /// Whether `text(topic:)` finds a setting.
    package static func knows(_ topic: String) -> Bool {
        SettingRows.all.contains { mentions($0, topic) }
            || EnvironmentOnly.keys.contains { $0.variable.contains(topic.uppercased()) }
    }

    private static func mentions(_ row: SettingRow, _ topic: String) -> Bool {
        row.path.contains(topic.lowercased()) || variables(of: row).contains { $0.contains(topic.uppercased()) }
    }

    /// Without the marks of Markdown.
    private static func plain(_ text: String) -> String { text.replacing("`", with: "") }

    static func defaultPhrase(_ row: SettingRow) -> String {
        switch row.fallback {
        case .required: "required"
        case .absent(let meaning): "default: \(meaning)"
        case .value(let text): "default: `\(text)`"
        case .items(let texts): "default: " + (texts.isEmpty ? "none" : "`[\(texts.joined(separator: ", "))]`")
        }
    }

    static func variables(of row: SettingRow) -> [String] {
        (row.environmentName.map { [$0.replacing("*", with: "<NAME>")] } ?? []) + row.variables.map(\.name)
    }
}
