private import Wire

extension SettingRows {
    /// Limits of what one client may take from the others (docs/decisions/abuse.md).
    static let abuse: [SettingRow] = [
        SettingRow(
            "limits.connections_per_address", .integer(0...1_000_000), .value("0"), example: "200",
            "Client connections at a time of one address, or of one IPv6 /64; 0 is no limit. `trusted_proxies` and "
                + "`never_block` have none."),
        SettingRow(
            "limits.min_rate", .size(0...1 << 20), .value("240"), example: "1KiB",
            "Bytes per second that a client must move, on the average of `timeouts.progress`, while it sends a body or "
                + "an answer waits for it; 0 is no limit."),
        SettingRow(
            "limits.memory", .size(0...1 << 46), .value("0"), example: "256MiB",
            "What connections may hold in buffers, of the whole process; 0 is half of what the control group or the "
                + "machine has."),
        SettingRow(
            "timeouts.progress", .duration(.seconds(1)...(.seconds(3_600))), .value("30s"), example: "10s",
            "The stretch over which `limits.min_rate` is measured."),
    ]
}
