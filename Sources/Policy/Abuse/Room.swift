package import Settings

/// What there is room for: the limits that were set, as far as this host can keep them.
package struct Room: Hashable, Sendable {
    /// Client connections at a time, of the whole process; at least 1.
    package let connections: Int
    /// Bytes that connections may hold in buffers, of the whole process.
    package let memory: Int

    /// Files of the process beside connections: logs, journal, ledger, admin server, name lookups, and a few to spare.
    private static let ownDescriptors = 64
    /// Pipes of each worker, through which large bodies go.
    package static let pipes = 8
    /// Of each worker: its loop, its mailbox, and both ends of its pipes.
    private static let workerDescriptors = 8 + 2 * pipes
    /// What the process cannot do without: its own files as they are when it serves, and a few connections. Of each worker
    /// its loop and its mailbox.
    private static let leastOwnDescriptors = 40
    private static let leastWorkerDescriptors = 4
    /// What buffers may take where nothing was set is half of the memory, and never less than this: a gateway that
    /// cannot hold a body serves nobody.
    private static let leastMemory = 64 << 20

    /// - Parameters:
    ///   - descriptors: that the process may have open.
    ///   - memory: bytes that the process may use.
    package init(_ configuration: Configuration, descriptors: Int, memory: Int) {
        let fixed = Room.fixedDescriptors(configuration)
        // Idle connections of the pools are let go before a client is refused, so they may not take all there is.
        let pooled = min(Room.pooledDescriptors(configuration), descriptors / 4)
        // A client needs two: its own connection and the one to a backend.
        let fitting = max(1, (descriptors - fixed - pooled) / 2)
        connections = min(configuration.limits.connections, fitting)
        let asked = configuration.limits.memory
        self.memory = asked > 0 ? asked : max(Room.leastMemory, memory / 2)
    }

    /// Descriptors that the configuration needs when every connection it allows is open and busy.
    package static func descriptorsNeeded(by configuration: Configuration) -> Int {
        fixedDescriptors(configuration) + pooledDescriptors(configuration) + 2 * configuration.limits.connections
    }

    /// Descriptors without which the gateway serves nobody.
    package static func leastDescriptors(for configuration: Configuration) -> Int {
        leastOwnDescriptors + configuration.workers * (leastWorkerDescriptors + listeners(of: configuration))
    }

    private static func fixedDescriptors(_ configuration: Configuration) -> Int {
        ownDescriptors + configuration.workers * (workerDescriptors + listeners(of: configuration))
    }

    private static func listeners(of configuration: Configuration) -> Int {
        configuration.listeners.count + (configuration.tls?.listeners.count ?? 0)
            + configuration.forwardAuth.listeners.count
    }

    private static func pooledDescriptors(_ configuration: Configuration) -> Int {
        configuration.workers * configuration.upstreams.reduce(0) { $0 + $1.servers.count * $1.keepAlive }
    }
}
