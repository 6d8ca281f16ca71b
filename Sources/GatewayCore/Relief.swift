internal import Policy
internal import Transport
internal import Wire

/// Lets connections of one worker go when there is no room for all: for a new client, for a descriptor, for memory. Who
/// goes is decided in `Policy` (`Precedence`); this asks the connections and acts.
///
/// Called only where no connection is at work on the scratch: from listeners and at the end of a turn.
final class Relief {
    private unowned let worker: Worker
    private var victims = VictimList()
    /// Nobody could go when all were asked last: not asked again before then.
    private var nextSearch = Instant(nanoseconds: .min)
    private var isDue = false

    private static let pause = Interval.milliseconds(50)
    /// Passes over the connections in one go, each for as many as a `VictimList` holds.
    private static let passes = 16

    init(_ worker: Worker) { self.worker = worker }

    /// Lets one connection go. False: each of them is at work.
    func makeRoom() -> Bool {
        let now = worker.clock.now
        if letOneGo(now) { return true }
        guard now >= nextSearch else { return false }
        for (slot, connection) in worker.connections.enumerated() {
            guard let connection,
                let precedence = Precedence(forPlaceOf: connection.standing(at: now), at: now)
            else { continue }
            victims.offer(precedence, slot: slot)
        }
        if letOneGo(now) { return true }
        nextSearch = now + Relief.pause
        return false
    }

    private func letOneGo(_ now: Instant) -> Bool {
        while let (found, slot) = victims.next() {
            // Since it was found it may have come to something, or its place to another connection.
            guard let connection = worker.connections[slot],
                let precedence = Precedence(forPlaceOf: connection.standing(at: now), at: now), precedence <= found,
                connection.letGo(at: now)
            else { continue }
            return true
        }
        return false
    }

    /// More is held than may be: at the end of the turn the worst holders go.
    func memoryIsFull() {
        guard !isDue else { return }
        isDue = true
        worker.loop.atEndOfTurn { [unowned self] in
            isDue = false
            relieveMemory()
        }
    }

    private func relieveMemory() {
        worker.clock.tick()
        let now = worker.clock.now
        for _ in 0..<Relief.passes {
            worker.account.tell()
            guard worker.isShortOfMemory else { return }
            var holders = VictimList()
            for (slot, connection) in worker.connections.enumerated() {
                guard let connection,
                    let precedence = Precedence(
                        forMemoryOf: connection.standing(at: now), held: connection.held, at: now)
                else { continue }
                holders.offer(precedence, slot: slot)
            }
            guard !holders.isEmpty else { return }
            while worker.isShortOfMemory, let (_, slot) = holders.next() {
                worker.connections[slot]?.giveUpBuffers(at: now)
                worker.account.tell()
            }
        }
    }
}
