internal import Policy
internal import Synchronization
internal import Transport
internal import Wire

/// What the workers are told of one upstream: its servers as resolved last, which of them may have requests, and whether
/// any may go at all. A new one with every change; the tallies in it stay the same.
struct UpstreamStanding: Sendable {
    struct Server: Sendable {
        let address: ServerAddress
        let state: ServerHealth.State
        let tally: ServerTally
    }

    let name: String
    let servers: [Server]
    let circuit: CircuitBreaker.State
    let gate: CircuitGate
    /// For `consistent_hash`: of the servers that are up, in their order.
    let ring: HashRing?
}

/// What a worker has learnt of an upstream, for the control thread to judge.
struct UpstreamReport: Sendable {
    enum News: Sendable {
        /// As many requests to the server failed in a row as make an ejection; this was the last of them.
        case serverFailing(ServerAddress, UpstreamFailure)
        /// As many requests to all servers failed in a row as open the circuit.
        case upstreamFailing(UpstreamFailure)
        /// What became of a request that a half-open circuit let through. Nil: it succeeded.
        case probed(UpstreamFailure?)
    }
    let upstream: String
    let news: News
}

/// Failures in a row, counted by all workers together: a limit that must hold for the process (docs/architecture.md). In
/// good times a worker only reads it.
final class FailureRun: Sendable {
    private let count = Atomic<Int>(0)

    /// One more; true with every `length`th in a row, so that the control thread is told again while it lets things be.
    func failed(reporting length: Int) -> Bool {
        count.wrappingAdd(1, ordering: .relaxed).newValue % length == 0
    }

    func ended() {
        if count.load(ordering: .relaxed) != 0 { count.store(0, ordering: .relaxed) }
    }

    /// False: a request has succeeded since the report, or the run was dealt with.
    func isAtLeast(_ length: Int) -> Bool { count.load(ordering: .relaxed) >= length }
}

/// What all workers count of one server.
final class ServerTally: Sendable {
    let failures = FailureRun()
    /// Requests under way; kept for `least_connections` only. The freest server of one worker may be the busiest of all.
    private let load = Atomic<Int>(0)

    var requests: Int { load.load(ordering: .relaxed) }
    func began() { load.wrappingAdd(1, ordering: .relaxed) }
    func ended() { load.wrappingSubtract(1, ordering: .relaxed) }
}

/// What all workers count of one upstream.
final class CircuitGate: Sendable {
    let failures = FailureRun()
    /// Requests that the half-open circuit still lets through.
    private let permits = Atomic<Int>(0)

    func grant(_ count: Int) { permits.store(count, ordering: .relaxed) }

    func takePermit() -> Bool {
        guard permits.wrappingSubtract(1, ordering: .relaxed).newValue >= 0 else {
            returnPermit()
            return false
        }
        return true
    }

    /// Of a request that found nothing out: its client went away.
    func returnPermit() { permits.wrappingAdd(1, ordering: .relaxed) }
}
