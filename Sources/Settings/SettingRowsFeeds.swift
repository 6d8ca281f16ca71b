private import Wire

extension SettingRows {
    /// Lists of addresses that are kept elsewhere (docs/feeds.md).
    static let feeds: [SettingRow] = [
        SettingRow(
            "feeds[].name", .word(.name), .required, example: "drop",
            "Name of the feed in logs, metrics and commands."),
        SettingRow(
            "feeds[].file", .file, .absent("no file"), example: "/etc/gateway/drop.txt",
            "File with the list; it is read again whenever it changes."),
        SettingRow(
            "feeds[].url", .capability, .absent("no URL"), example: "https://feeds.example.org/drop.txt",
            "URL of the list, fetched again and again."),
        SettingRow(
            "feeds[].action", .choice(Configuration.Feed.Action.allCases.map(\.rawValue)), .value("block"),
            example: "observe",
            "What becomes of a request of somebody on the list: 403, or a word in log and metrics alone."),
        SettingRow(
            "feeds[].may_shrink", .boolean, .value("false"), example: "true",
            "Whether a list is taken that has less than half of the entries that it had before."),
        SettingRow(
            "feeds[].interval", .duration(.seconds(30)...(.seconds(7 * 86_400))), .value("1h"), example: "12h",
            "How often the URL is fetched."),
        SettingRow(
            "feeds[].timeout", .duration(.milliseconds(100)...(.seconds(600))), .value("30s"), example: "1m",
            "For the whole answer of the URL."),
        SettingRow(
            "feeds[].ca_file", .file, .absent("those that this machine trusts"),
            example: "/etc/gateway/feeds-ca.pem", "Authorities in PEM that the certificate of the URL must be from."),
        SettingRow(
            "feeds[].allow_http", .boolean, .value("false"), example: "true",
            "Whether the list may be fetched without TLS from another machine."),
    ]
}
