package import Wire

/// The two clocks a ledger needs, so that tests can turn them.
package struct LedgerClock {
    /// Monotonic: every deadline in memory.
    package let now: () -> Instant
    /// Civil: what is written to disk and shown to people.
    package let wall: () -> WallTime

    package init(now: @escaping () -> Instant, wall: @escaping () -> WallTime) {
        self.now = now
        self.wall = wall
    }

    package static var system: LedgerClock {
        LedgerClock(now: { Instant.now() }, wall: { WallTime.now() })
    }

    /// The civil time of a monotonic deadline, as far as the clock is right today; nil for `never`.
    func wall(of deadline: Instant) -> WallTime? {
        deadline == .never ? nil : wall() + (deadline - now())
    }

    /// The monotonic deadline of a civil one; nil stands for permanent.
    func deadline(of wall: WallTime?) -> Instant {
        guard let wall else { return .never }
        return now() + (wall - self.wall())
    }
}
