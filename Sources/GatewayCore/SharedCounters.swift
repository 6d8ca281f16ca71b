internal import Synchronization

/// What must hold for the whole process although workers share nothing else: fixed-size atomics, never a lock.
final class SharedCounters: Sendable {
    private let connections = Atomic<Int>(0)
    private let memory = Atomic<Int>(0)

    /// Counts a connection; false (and not counted) when there are `limit` already.
    func connectionOpened(limit: Int) -> Bool {
        guard connections.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            connectionClosed()
            return false
        }
        return true
    }

    func connectionClosed() {
        connections.wrappingSubtract(1, ordering: .relaxed)
    }

    /// What connections hold in buffers has changed by so many bytes.
    func buffered(_ difference: Int) { memory.wrappingAdd(difference, ordering: .relaxed) }

    var bufferedBytes: Int { memory.load(ordering: .relaxed) }
    var openConnections: Int { connections.load(ordering: .relaxed) }
}
