private import Wire

extension SettingRows {
    /// What a route says about exchanges that last: upgrades, event streams, long polls.
    static let lasting: [SettingRow] = [
        SettingRow(
            "routes[].upgrades", .list(.word(.upgrade)), .items(["websocket"]), example: "[websocket, mqtt]",
            "Protocols that a client may change the connection to; `[]` is none."),
        SettingRow(
            "routes[].close_at_expiry", .boolean, .value("true"), example: "false",
            "Whether a WebSocket, other tunnel or event stream is closed when the token it was opened with expires."),
        SettingRow(
            "routes[].response_timeout", .duration(.milliseconds(100)...(.seconds(86_400))),
            .absent("`timeouts.response`"), example: "5m",
            "From the end of a request to the head of its response, for routes with long polls."),
    ]
}
