package import Wire

/// What the control thread counts of providers of keys. It stays on that thread.
package final class KeyMetrics {
    /// Of the configuration in force, by the ids of their settings.
    package var sources: [String] = []
    /// How far ahead of ours the clocks behind all sources of keys seem, in milliseconds.
    package var clockLeads: [String: Int] = [:]
    /// What a reload takes away is kept, so that no counter ever goes back.
    private var fetches: [String: (ok: Int, failed: Int)] = [:]
    private var last: [String: WallTime] = [:]

    package init() {}

    package func fetched(_ source: String, successfully: Bool, at time: WallTime) {
        if successfully {
            fetches[source, default: (0, 0)].ok += 1
            last[source] = time
        } else {
            fetches[source, default: (0, 0)].failed += 1
        }
    }

    func write(to text: inout PrometheusText) {
        text.family(
            "token_clock_ahead_seconds", .gauge,
            "How far ahead of this machine's clock tokens came in the last minutes, by the source of the key that signed them."
        )
        for (source, milliseconds) in clockLeads.sorted(by: { $0.key < $1.key }) {
            text.sample(
                "token_clock_ahead_seconds", "source=\"\(escapedLabel(source))\"", thousandths: milliseconds)
        }
        text.family("key_fetches_total", .counter, "Times that keys were asked for, by result.")
        for source in Set(sources).union(fetches.keys).sorted() {
            let count = fetches[source] ?? (0, 0)
            let label = "source=\"\(escapedLabel(source))\""
            text.sample("key_fetches_total", "\(label),result=\"ok\"", count.ok)
            text.sample("key_fetches_total", "\(label),result=\"failed\"", count.failed)
        }
        text.family(
            "key_fetch_timestamp_seconds", .gauge, "When keys were fetched the last time, in Unix time; 0: never.")
        for source in sources {
            text.sample(
                "key_fetch_timestamp_seconds", "source=\"\(escapedLabel(source))\"", Int(last[source]?.seconds ?? 0))
        }
    }
}
