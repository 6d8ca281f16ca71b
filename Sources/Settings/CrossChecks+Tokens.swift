/// What routes say of the places where tokens stand.
extension CrossChecks {
    /// A subprotocol is read of WebSocket handshakes alone.
    mutating func checkTokenPlaces(_ path: String) {
        guard let entry = settings.written("\(path).token_subprotocol"), !entry.isBroken else { return }
        guard let upgrades = settings.entries["\(path).upgrades"], !upgrades.isBroken,
            !upgrades.items.contains(where: { $0.written.lowercased() == "websocket" })
        else { return }
        findings.error(
            entry.place, "the subprotocol is never read: the route allows no WebSocket",
            hint: "add websocket to \"upgrades\", or remove the setting")
    }

    /// Where the address is all that counts, a page that a browser has loaded under a name of its own could ask.
    mutating func checkBreakGlass(_ path: String) {
        guard let entry = settings.written("\(path).break_glass"), !entry.isBroken else { return }
        if settings.text("\(path).auth") != "required" {
            findings.error(
                entry.place, "there is nothing to open: the route demands no token",
                hint: "set auth: required, or remove the setting")
        }
        if settings.written("\(path).host") == nil {
            findings.error(
                entry.place,
                "any page of the web could use the route from a browser within the network, under any name",
                hint: "set \"host\" of the route")
        }
    }

    /// The route at `path` looks at no token, so what it says about one would be a promise that is not kept.
    mutating func checkTokenPlaces(unread path: String) {
        if case .boolean(true)? = settings.value("\(path).strip_token") {
            findings.error(
                settings.place(of: "\(path).strip_token"), "no token would be left out: the route looks at none",
                hint: "set auth: optional or auth: required, or remove the setting")
        }
        if let entry = settings.written("\(path).expired_grace") {
            findings.error(
                entry.place, "expired tokens would be let in, but the route looks at no token",
                hint: "set auth: optional or auth: required, or remove the setting")
        }
        for name in ["token_query", "token_subprotocol"] {
            guard let entry = settings.written("\(path).\(name)") else { continue }
            findings.error(
                entry.place, "the token would be forwarded unread: the route looks at none",
                hint: "set auth: optional or auth: required, or remove the setting")
        }
    }
}
