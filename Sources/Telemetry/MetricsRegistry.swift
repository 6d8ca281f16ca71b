internal import Synchronization
package import Wire

/// All shards and what became of them, on the control thread. A reload makes a new catalog and new shards; a shard that
/// nobody else holds any more is folded into the totals, so that no counter ever goes back.
package final class MetricsRegistry {
    private let prefix: String
    private let version: String
    private let startedAt: WallTime
    private var shards: [MetricShard] = []
    /// Of shards that are gone, by family and labels. Their number is that of the names the operator ever used.
    private var retired: [Family: [String: Int]] = [:]

    /// - `prefix`: put before every name with `_`.
    package init(prefix: String, version: String, startedAt: WallTime) {
        self.prefix = prefix
        self.version = version
        self.startedAt = startedAt
    }

    /// A new shard for one worker, or for the control thread's own counts.
    package func makeShard(_ catalog: MetricCatalog) -> MetricShard {
        // Not only when somebody asks for metrics: a gateway that nobody scrapes is reloaded, too.
        foldRetired()
        let shard = MetricShard(catalog)
        shards.append(shard)
        return shard
    }

    /// Prometheus text exposition 0.0.4. Content-Type: `text/plain; version=0.0.4; charset=utf-8`.
    package func exposition(_ control: ControlMetrics, logs: LogStatistics?, at now: WallTime) -> [UInt8] {
        foldRetired()
        var text = PrometheusText(prefix: prefix)
        for family in Family.allCases { write(family, total(of: family), to: &text) }
        control.write(to: &text)
        if let logs { write(logs, to: &text) }
        writeProcess(at: now, to: &text)
        return text.bytes
    }

    /// Whoever wrote to a shard has let go of it when the registry is its only owner.
    private func foldRetired() {
        var index = 0
        while index < shards.count {
            guard isKnownUniquelyReferenced(&shards[index]) else {
                index += 1
                continue
            }
            // The last owner's counts came before its release; this makes them seen here.
            atomicMemoryFence(ordering: .acquiring)
            let shard = shards.remove(at: index)
            for family in Family.allCases { add(family, of: shard, to: &retired[family, default: [:]]) }
        }
    }

    /// Requests that rate limits refused, by what they were counted by.
    package func rateLimitedRequests(_ limits: [String]) -> [(limit: String, count: Int)] {
        foldRetired()
        let total = total(of: .rateLimited)
        return limits.map { ($0, total["limit=\"\($0)\""] ?? 0) }
    }

    private func total(of family: Family) -> [String: Int] {
        var total = retired[family] ?? [:]
        for shard in shards { add(family, of: shard, to: &total) }
        return total
    }

    /// A histogram's cells have a number in place of labels: `index;labels` of its route.
    private func add(_ family: Family, of shard: MetricShard, to total: inout [String: Int]) {
        let layout = shard.catalog.families[family]!
        for offset in 0..<layout.count {
            let value = shard.cells.load(layout.start + offset)
            if value == 0, family.isSparse { continue }
            total[key(family, layout, offset), default: 0] &+= value
        }
    }

    private func key(_ family: Family, _ layout: FamilyLayout, _ offset: Int) -> String {
        guard family == .duration else { return layout.labels(at: offset) }
        let route = layout.dimensions[0].values[offset / Buckets.cells]
        return "\(offset % Buckets.cells);\(escapedLabel(route))"
    }

    private func write(_ family: Family, _ total: [String: Int], to text: inout PrometheusText) {
        if family == .duration {
            text.family(family.name, .histogram, family.help)
            var routes: [String: [Int]] = [:]
            for (key, value) in total {
                let parts = key.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
                routes[String(parts[1]), default: Array(repeating: 0, count: Buckets.cells)][Int(parts[0])!] = value
            }
            for (route, cells) in routes.sorted(by: { $0.key < $1.key }) {
                text.histogram(
                    family.name, "route=\"\(route)\"", bounds: Buckets.bounds.map(\.text),
                    counts: Array(cells.prefix(Buckets.cells - 1)), sum: cells[Buckets.cells - 1])
            }
            return
        }
        text.family(family.name, family.isGauge ? .gauge : .counter, family.help)
        for (labels, value) in total.sorted(by: { $0.key < $1.key }) { text.sample(family.name, labels, value) }
    }

    private func write(_ logs: LogStatistics, to text: inout PrometheusText) {
        text.family("log_lines_dropped_total", .counter, "Log lines that could not be written.")
        for kind in LogKind.allCases {
            text.sample("log_lines_dropped_total", "log=\"\(kind.name)\"", logs.dropped[kind.rawValue])
        }
        text.family("log_write_errors_total", .counter, "Failed writes of a log.")
        for kind in LogKind.allCases {
            text.sample("log_write_errors_total", "log=\"\(kind.name)\"", logs.writeErrors[kind.rawValue])
        }
        text.family("audit_lines_spilled_total", .counter, "Audit lines that waited on disk for their target.")
        text.sample("audit_lines_spilled_total", "", logs.spilled)
    }

    private func writeProcess(at now: WallTime, to text: inout PrometheusText) {
        text.family("build_info", .gauge, "1, with the version as a label.")
        text.sample("build_info", "version=\"\(escapedLabel(version))\"", 1)
        text.family("process_start_time_seconds", .gauge, "Start of the process since 1970 in seconds.")
        text.sample("process_start_time_seconds", "", thousandths: Int(startedAt.milliseconds))
        text.family("uptime_seconds", .gauge, "Time since the start of the process.")
        text.sample("uptime_seconds", "", thousandths: Int((now - startedAt).milliseconds))
        let facts = ProcessFacts.now()
        if let bytes = facts.residentBytes {
            text.family("process_resident_memory_bytes", .gauge, "Memory of the process that is resident.")
            text.sample("process_resident_memory_bytes", "", bytes)
        }
        if let count = facts.openDescriptors {
            text.family("process_open_fds", .gauge, "Open file descriptors.")
            text.sample("process_open_fds", "", count)
        }
    }
}
