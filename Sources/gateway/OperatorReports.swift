internal import GatewayCore
internal import Wire

/// The gateway's answers in words and tables for people. Pure: JSON in, text out.
enum OperatorReports {
    /// An RFC 9457 body: its title, what to do, and the configuration's findings where there are some.
    static func problem(_ document: JSONValue) -> String {
        var text = string(document, "title", else: "the gateway refused")
        if let detail = document["detail"]?.string { text += ": \(printable(detail))" }
        if let code = document["code"]?.string { text += " (\(printable(code)))" }
        return diagnostics(document) + text
    }

    static func blocked(_ document: JSONValue) -> String {
        guard let block = document["block"] else { return "blocked\n" }
        let spared = strings(document["spared"])
        let note = spared.isEmpty ? "" : "\n(never blocked all the same: \(spared))"
        return "\(string(block, "network")) is blocked\(ending(block))\(note)\(localNote(document))\n"
    }

    static func unblocked(_ network: IPNetwork, _ document: JSONValue) -> String {
        let wasBlocked = !(document["lifted"]?.array ?? []).isEmpty
        var text = wasBlocked ? "\(network) is no longer blocked" : "\(network) was not blocked"
        let wider = strings(document["still_blocked_by"])
        if !wider.isEmpty {
            let own = wasBlocked ? "the block of \(network) is lifted" : "\(network) has no block of its own"
            text = "\(own), but it is within \(wider), which is blocked"
        }
        let feeds = strings(document["still_on_feeds"])
        if !feeds.isEmpty { text += "; requests are refused all the same, since it stands on the feed \(feeds)" }
        if let prefix = document["counted_for"]?.string {
            text += "; its failed logins are counted for \(printable(prefix)): unblock that to forget them"
        } else if network.isSingleAddress {
            text += "; its failed logins are forgotten"
        }
        if let locked = document["locked_accounts"]?.integer, locked > 0 {
            text +=
                "; \(counted(locked, "account")) \(locked == 1 ? "is" : "are") still locked from there (gateway locks)"
        }
        return "\(text)\(localNote(document))\n"
    }

    static func unblockedAll(_ document: JSONValue) -> String {
        let count = document["count"]?.integer ?? 0
        return "\(counted(count, "block")) lifted; all failed logins are forgotten\(localNote(document))\n"
    }

    static func blocks(_ document: JSONValue) -> String {
        let blocks = document["blocks"]?.array ?? []
        guard !blocks.isEmpty else { return "no address is blocked\n" }
        var table = TextTable("NETWORK", "EXPIRES IN", "SINCE", "ACTOR", "REASON")
        for block in blocks {
            let reason = string(block, "reason")
            let failures = block["failures"]?.integer.map { " (\($0))" } ?? ""
            table.append(
                string(block, "network"), block["ttl_seconds"]?.integer.map(relativeTime) ?? "never",
                shortTime(string(block, "since")), string(block, "actor"), reason + failures)
        }
        let total = document["count"]?.integer ?? blocks.count
        let rest = total - blocks.count
        return table.text + (rest > 0 ? "and \(rest) more; --limit shows up to 10000\n" : "")
    }

    static func status(_ document: JSONValue) -> String {
        let configuration = document["configuration"] ?? .null
        let uptime = relativeTime(document["uptime_seconds"]?.integer ?? 0)
        var table = TextTable("gateway \(string(document, "version"))", "\(string(document, "status")), up \(uptime)")
        table.append("ledger", ledger(document["ledger"] ?? .null, document["cache"] ?? .null))
        if let cache = document["cache"], let line = redis(cache) { table.append("redis", line) }
        table.append("blocks", "\(document["blocks"]?["in_force"]?.integer ?? 0) in force")
        if let revoked = document["revocations"]?["in_force"]?.integer, revoked > 0 {
            table.append("revocations", "\(revoked)")
        }
        for one in document["allowances"]?.array ?? [] {
            table.append("allowed \(string(one, "network"))", LockdownReports.ending(one))
        }
        for address in document["shared_addresses"]?.array ?? [] {
            table.append(
                "shared \(address.string.map(printable) ?? "")",
                "many people speak through it: it may have more failed logins")
        }
        for lockdown in document["lockdowns"]?.array ?? [] {
            let note = LockdownReports.hasRoute(lockdown) ? "" : "nothing, there is no such route; "
            table.append("closed \(string(lockdown, "route"))", note + LockdownReports.ending(lockdown))
        }
        for one in document["break_glass"]?.array ?? [] {
            table.append(
                "BREAK-GLASS \(string(one, "route"))",
                "no token needed from \(BreakGlassReports.networks(one)) \(LockdownReports.ending(one))")
        }
        for one in document["rate_limit_overrides"]?.array ?? [] {
            table.append("rate limit", RateLimitReports.sentence(one))
        }
        let connections = document["connections"] ?? .null
        table.append(
            "connections", "\(connections["open"]?.integer ?? 0) of at most \(connections["limit"]?.integer ?? 0)")
        let buffers = document["buffers"] ?? .null
        table.append(
            "buffers",
            "\(mebibytes(buffers["held"]?.integer ?? 0)) of at most \(mebibytes(buffers["limit"]?.integer ?? 0))")
        let pressure = strings(document["pressure"])
        if !pressure.isEmpty { table.append("pressure", pressure) }
        for alarm in document["alarms"]?.array ?? [] { table.append("ALARM", Self.alarm(alarm)) }
        table.append("workers", "\(document["workers"]?.integer ?? 0)")
        table.append("listening on", strings(document["listeners"]))
        table.append(
            "admin",
            [document["admin_listener"]?.string, document["admin_socket"]?.string]
                .compactMap { $0 }.map(printable).joined(separator: ", "))
        table.append(
            "configuration",
            "\(string(configuration, "path")), generation \(configuration["generation"]?.integer ?? 0), "
                + "loaded \(shortTime(string(configuration, "loaded_at")))")
        let unchanged = strings(configuration["restart_needed"])
        if !unchanged.isEmpty { table.append("RESTART NEEDED", "for \(unchanged)") }
        let levels = document["log_levels"]?.array ?? []
        let general = levels.first { $0["scope"]?.string == nil }
        table.append("log level", general.map(logLevel) ?? string(document, "log_level"))
        for level in levels {
            if let scope = level["scope"]?.string { table.append("log level \(printable(scope))", logLevel(level)) }
        }
        for upstream in document["upstreams"]?.array ?? [] {
            table.append("upstream \(string(upstream, "name"))", Self.upstream(upstream))
        }
        for source in document["keys"]?.array ?? [] {
            table.append("keys \(string(source, "id"))", Self.keySource(source))
        }
        return table.text
    }

    /// `nearly all requests come from 172.18.0.1; trusted_proxies: [172.18.0.1]`
    private static func alarm(_ document: JSONValue) -> String {
        let mending = document["setting"]?.string.map(printable) ?? "the proxy there names no clients"
        return "nearly all requests come from \(string(document, "address")); \(mending)"
    }

    /// `debug for 10m, until 2026-11-29 07:39:16Z`
    static func logLevel(_ document: JSONValue) -> String {
        let level = string(document, "level")
        guard let seconds = document["ttl_seconds"]?.integer else { return "\(level) until the next reload" }
        return "\(level) for \(relativeTime(seconds)), until \(shortTime(string(document, "expires_at")))"
    }

    static func reloaded(_ document: JSONValue) -> String {
        let unchanged = strings(document["restart_needed"])
        return diagnostics(document)
            + "the configuration was reloaded: generation \(document["generation"]?.integer ?? 0)\n"
            + (unchanged.isEmpty ? "" : "only a restart brings into force: \(unchanged)\n")
    }

    static func rotated(_ document: JSONValue) -> String {
        let previous = document["previous"] ?? .null
        let end =
            previous["published_until"]?.string.map { "is published until \(shortTime(printable($0)))" }
            ?? "is withdrawn"
        return "\(string(document, "algorithm")) key \(string(document, "kid")) is published and signs from "
            + "\(shortTime(string(document, "signs_at"))); the one before, \(string(previous, "kid")), \(end)\n"
    }

    static func upgraded(_ document: JSONValue) -> String {
        "gateway \(string(document, "version")) serves as process \(document["process"]?.integer ?? 0); "
            + "the former process finishes what is under way\n"
    }

    // MARK: Parts

    private static func upstream(_ upstream: JSONValue) -> String {
        let states = upstream["states"]?.array ?? []
        var text = states.map(server).joined(separator: ", ")
        if states.isEmpty { text = "\(strings(upstream["servers"])) (no address is known)" }
        let circuit = string(upstream, "circuit", else: "closed")
        if circuit == "closed" { return text }
        let wait = upstream["retry_after_seconds"]?.integer.map { ", tried in \(relativeTime($0))" } ?? ""
        return "\(text); circuit \(circuit.replacing("_", with: " "))\(wait)"
    }

    /// `10.0.0.5:9000`, and what keeps it from having requests.
    private static func server(_ server: JSONValue) -> String {
        let address = string(server, "address")
        let state = string(server, "state", else: "up")
        guard state != "up" else { return address }
        let reason = server["reason"]?.string.map { ": \(printable($0))" } ?? ""
        let back = server["back_in_seconds"]?.integer.map { ", back in \(relativeTime($0))" } ?? ""
        return "\(address) (\(state)\(reason)\(back))"
    }

    /// `good: idp/one, fetched 12:00:00`, and what went wrong since.
    private static func keySource(_ source: JSONValue) -> String {
        var text = string(source, "state")
        let keys = strings(source["keys"])
        if !keys.isEmpty { text += ": \(keys)" }
        if let time = source["fetched_at"]?.string { text += ", fetched \(shortTime(printable(time)))" }
        if let problem = source["problem"]?.string {
            text += "; failed \(source["failures"]?.integer ?? 0) times since: \(printable(problem))"
        }
        // Less is what a message takes, or a clock that counts whole seconds.
        if let lead = source["clock_ahead_ms"]?.integer, lead >= 1_000 {
            text += "; its clock is \(lead / 1_000) s ahead"
        }
        return text
    }

    private static func ledger(_ ledger: JSONValue, _ cache: JSONValue) -> String {
        var text = string(ledger, "state")
        if let address = cache["address"]?.string { text += ", redis \(printable(address))" }
        if let reason = ledger["reason"]?.string { text += ": \(printable(reason))" }
        if let since = ledger["since"]?.string { text += " since \(shortTime(printable(since)))" }
        return text
    }

    /// What is known of Redis as a server; nil: nothing.
    private static func redis(_ cache: JSONValue) -> String? {
        var parts: [String] = []
        if let keys = cache["keys"]?.integer { parts.append(counted(keys, "key")) }
        if let memory = cache["memory_bytes"]?.integer {
            let peak = cache["memory_peak_bytes"]?.integer.map { " (peak \(mebibytes($0)))" } ?? ""
            parts.append(mebibytes(memory) + peak)
        }
        if let time = cache["round_trip_us"]?.integer { parts.append("answers in \(milliseconds(time)) ms") }
        if let commands = cache["commands"]?.integer {
            parts.append("\(counted(commands, "command")), \(counted(cache["command_errors"]?.integer ?? 0, "error"))")
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private static func milliseconds(_ microseconds: Int) -> String {
        "\(microseconds / 1_000).\(microseconds / 100 % 10)"
    }

    private static func ending(_ block: JSONValue) -> String {
        guard let seconds = block["ttl_seconds"]?.integer else { return " for ever, until somebody unblocks it" }
        return " for \(relativeTime(seconds)), until \(shortTime(string(block, "expires_at")))"
    }

    /// The other replicas have not heard of it.
    static func localNote(_ document: JSONValue) -> String {
        document["decided_by"]?.string == "local" ? "\n(Redis is away: other replicas follow when it is back)" : ""
    }

    private static func diagnostics(_ document: JSONValue) -> String {
        (document["diagnostics"]?.array ?? []).compactMap { $0["text"]?.string }
            .map { text in text.split(separator: "\n").map { printable(String($0)) + "\n" }.joined() }.joined()
    }

    private static func mebibytes(_ bytes: Int) -> String { "\(bytes >> 20) MiB" }

    private static func counted(_ count: Int, _ noun: String) -> String {
        "\(count == 0 ? "no" : String(count)) \(noun)\(count == 1 ? "" : "s")"
    }

    static func string(_ object: JSONValue, _ name: String, else other: String = "") -> String {
        object[name]?.string.map(printable) ?? other
    }

    static func strings(_ list: JSONValue?) -> String {
        (list?.array ?? []).compactMap { $0.string.map(printable) }.joined(separator: ", ")
    }
}
