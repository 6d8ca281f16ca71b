package import Wire

/// What the control thread counts of feeds. It stays on that thread.
package final class FeedMetrics {
    /// Of the configuration in force: what each blocks.
    package var entries: [(name: String, count: Int)] = []
    /// What a reload takes away is kept, so that no counter ever goes back.
    private var loads: [String: (ok: Int, failed: Int)] = [:]
    private var last: [String: WallTime] = [:]

    package init() {}

    package func loaded(_ feed: String, successfully: Bool, at time: WallTime) {
        if successfully {
            loads[feed, default: (0, 0)].ok += 1
            last[feed] = time
        } else {
            loads[feed, default: (0, 0)].failed += 1
        }
    }

    func write(to text: inout PrometheusText) {
        text.family("feed_entries", .gauge, "Addresses and networks that a feed names.")
        for feed in entries { text.sample("feed_entries", "feed=\"\(escapedLabel(feed.name))\"", feed.count) }
        text.family(
            "feed_load_timestamp_seconds", .gauge, "When a feed was found good the last time, in Unix time; 0: never.")
        for feed in entries {
            text.sample(
                "feed_load_timestamp_seconds", "feed=\"\(escapedLabel(feed.name))\"",
                Int(last[feed.name]?.seconds ?? 0))
        }
        text.family("feed_loads_total", .counter, "Times that feeds were read or fetched, by result.")
        for name in Set(entries.map(\.name)).union(loads.keys).sorted() {
            let count = loads[name] ?? (0, 0)
            let label = "feed=\"\(escapedLabel(name))\""
            text.sample("feed_loads_total", "\(label),result=\"ok\"", count.ok)
            text.sample("feed_loads_total", "\(label),result=\"failed\"", count.failed)
        }
    }
}
