private import Wire

extension SettingRows {
    static let paths: [SettingRow] = [
        row("encoded_slash", "`%2F` in a path.", example: "keep"),
        row("backslash", "A backslash in a path, bare or as `%5C`; forwarded, it is `%5C`.", example: "normalise"),
        row("semicolon", "A semicolon in a path, bare or as `%3B`.", example: "keep"),
        row("empty_segments", "Two slashes in a row.", example: "normalise"),
        row("dot_segments", "`.` and `..` as segments; above the root they are always refused.", example: "normalise"),
    ]

    private static func row(_ key: String, _ meaning: String, example: String) -> SettingRow {
        SettingRow(
            "routes[].paths.\(key)", .choice(PathRules.Handling.allCases.map(\.rawValue)), .value("refuse"),
            example: example, meaning)
    }
}
