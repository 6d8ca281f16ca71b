package import Wire

/// What is known of the store as a server, with the rights that docs/redis.md asks for: `INFO`, `LATENCY` and `SLOWLOG` are
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
