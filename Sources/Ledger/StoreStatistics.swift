package import Wire

/// One master of a cluster, as it was found last.
package struct StoreNode: Hashable, Sendable {
    /// `host:port`, as the cluster announces it.
    package var name: String
    /// How many slots it serves.
    package var slots: Int
    /// Why it is away; nil: it is there.
    package var problem: String?

    package init(name: String, slots: Int, problem: String? = nil) {
        self.name = name
        self.slots = slots
        self.problem = problem
    }
}

/// What is known of the store as a server, of a cluster all of its masters together, with the rights that docs/redis.md asks for: `INFO`, `LATENCY` and `SLOWLOG` are
/// among those that it does not.
package struct StoreStatistics: Hashable, Sendable {
    /// In the database that is used, those of others included; nil: not known.
    package var keys: Int?
    /// Bytes that the server has allocated; nil: not known.
    package var memory: Int?
    /// The most that it ever had.
    package var memoryPeak: Int?
    /// From question to answer, a moment ago.
    package var roundTrip: Interval?
    /// Asked since the start, and how many of them were answered with an error.
    package var commands = 0
    package var errors = 0
    /// Of a cluster, by their lowest slots; empty: there is no cluster, or none of it was found yet.
    package var nodes: [StoreNode] = []

    package init() {}

    /// The server is not there any more; what was asked of it stays.
    mutating func forgetServer() {
        keys = nil
        memory = nil
        memoryPeak = nil
        roundTrip = nil
    }
}

extension Ledger {
    /// nil: there is no store, the ledger is in this process.
    package var store: StoreStatistics? { nil }
}
