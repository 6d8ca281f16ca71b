internal import Policy
internal import Telemetry
internal import Wire

/// A worker's tunnels and event streams: exchanges that were allowed once and last, so that what allowed them may end
/// before they do. All other exchanges are judged again with the next request.
final class OpenStreams {
    /// Whether somebody is going to look for those whose token is worth nothing any more.
    private enum Look { case none, due }

    private var open: [ObjectIdentifier: ClientConnection] = [:]
    private var look = Look.none

    func insert(_ connection: ClientConnection) { open[ObjectIdentifier(connection)] = connection }

    func remove(_ connection: ClientConnection) { open[ObjectIdentifier(connection)] = nil }

    /// Cuts those whose client is blocked by a change of the blocks, which has been applied.
    /// - Parameter isBlocked: the last word, since some addresses are never blocked.
    func cut(blockedBy delta: BlockDelta, _ isBlocked: (IPAddress) -> Bool) {
        guard !open.isEmpty else { return }
        let affected: [ClientConnection]
        switch delta {
        case .lift: return
        case .set(let entries):
            // Compared by their bits first: a flood of new blocks must not cost a search for each tunnel.
            affected = open.values.filter { stream in
                let client = stream.record.facts.client
                return entries.contains { $0.network.contains(client) }
            }
        case .replaceAll: affected = Array(open.values)
        }
        for stream in affected where isBlocked(stream.record.facts.client) { stream.cutStream(.blocked) }
    }

    /// Tokens may have died. True: `cutDead` is to be called soon. Not at once, since a flood of logouts must not cost a look
    /// at each stream for each of them.
    func mustLook() -> Bool {
        guard !open.isEmpty, look == .none else { return false }
        look = .due
        return true
    }

    /// Cuts those whose token is worth nothing any more.
    func cutDead(_ isDead: (VerifiedToken) -> Bool) {
        look = .none
        for stream in open.values {
            if let token = stream.record.identity, isDead(token) { stream.cutStream(.tokenRevoked) }
        }
    }

    /// Cuts those whose route is closed to their client.
    func cutLockedOut() {
        for stream in Array(open.values) where stream.isLockedOut { stream.cutStream(.lockedDown) }
    }

    /// Cuts those that were opened by break-glass, on a route where that has ended.
    func cutBrokenGlass() {
        for stream in Array(open.values) where stream.isBrokenGlassOver { stream.cutStream(.breakGlassOver) }
    }

    func cutExpired(at now: Instant) {
        for stream in open.values.filter({ $0.tokenEnds <= now }) {
            guard stream.record.plan?.isByBreakGlass == true else {
                stream.cutStream(.tokenExpired)
                continue
            }
            // It may have been ordered again for longer.
            stream.takeBreakGlassEnd()
            if stream.tokenEnds <= now { stream.cutStream(.breakGlassOver) }
        }
    }
}
