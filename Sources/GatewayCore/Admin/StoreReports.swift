internal import Ledger
internal import Telemetry
internal import Wire

extension StoreStatistics {
    /// Members of the document that describes Redis. What is not known is left out.
    var report: [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        if let keys { members.append(.init("keys", .integer(keys))) }
        if let memory { members.append(.init("memory_bytes", .integer(memory))) }
        if let memoryPeak { members.append(.init("memory_peak_bytes", .integer(memoryPeak))) }
        if let roundTrip { members.append(.init("round_trip_us", .integer(Int(roundTrip.nanoseconds / 1_000)))) }
        members += [.init("commands", .integer(commands)), .init("command_errors", .integer(errors))]
        return nodes.isEmpty ? members : members + [.init("nodes", .array(nodes.map(\.report)))]
    }
}

extension StoreNode {
    fileprivate var report: JSONValue {
        [
            "name": .string(name), "slots": .integer(slots), "status": problem == nil ? "healthy" : "away",
            "reason": JSONValue(problem),
        ]
    }
}

extension RedisMetrics {
    func adopt(_ store: StoreStatistics) {
        keys = store.keys
        memory = store.memory
        memoryPeak = store.memoryPeak
        roundTrip = store.roundTrip
        commands = store.commands
        errors = store.errors
        nodes = store.nodes.map { .init(name: $0.name, isThere: $0.problem == nil) }
    }
}
