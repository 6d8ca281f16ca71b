package import Wire

/// What the control thread knows of Redis as a server. It stays on that thread.
package final class RedisMetrics {
    /// Each nil: not known, or there is none.
    package var keys: Int?
    package var memory: Int?
    package var memoryPeak: Int?
    package var roundTrip: Interval?
    package var commands = 0
    package var errors = 0
    /// The masters of a cluster; empty: there is none.
    package var nodes: [Node] = []

    package struct Node {
        var name: String
        var isThere: Bool

        package init(name: String, isThere: Bool) {
            self.name = name
            self.isThere = isThere
        }
    }

    package init() {}

    func write(to text: inout PrometheusText) {
        text.family("redis_keys", .gauge, "Keys in the database of Redis, those of others included.")
        if let keys { text.sample("redis_keys", "", keys) }
        text.family("redis_memory_bytes", .gauge, "What Redis has allocated.")
        if let memory { text.sample("redis_memory_bytes", "", memory) }
        text.family("redis_memory_peak_bytes", .gauge, "The most that Redis ever had allocated.")
        if let memoryPeak { text.sample("redis_memory_peak_bytes", "", memoryPeak) }
        text.family("redis_round_trip_seconds", .gauge, "From a question to the answer of Redis, some seconds ago.")
        if let roundTrip {
            text.sample("redis_round_trip_seconds", "", microseconds: Int(max(0, roundTrip.nanoseconds) / 1_000))
        }
        text.family("redis_commands_total", .counter, "Commands that Redis was sent.")
        text.sample("redis_commands_total", "", commands)
        text.family("redis_command_errors_total", .counter, "Commands that Redis answered with an error.")
        text.sample("redis_command_errors_total", "", errors)
        text.family(
            "redis_node_up", .gauge, "1 for each master of a Redis Cluster that is there, 0 for one that is away.")
        for node in nodes {
            text.sample("redis_node_up", "node=\"\(escapedLabel(node.name))\"", node.isThere ? 1 : 0)
        }
    }
}
