internal import Synchronization
package import Wire

/// The audit log. Callable from every thread; writing an event allocates, so that what an attacker can cause at any rate
/// (requests of a blocked address) asks `admitBlockedRequest` first.
package final class AuditLog: Sendable {
    private let writer: LogWriter
    private let notices = BlockedNotices()
    private let refusedConnections = BlockedNotices()
    private let limitedRequests = BlockedNotices()
    /// By the 128 bits of an account, as if they were an address.
    private let lockedLogins = BlockedNotices()
    private let challenges = BlockedNotices()
    /// Tells the records of this process from those of the one before it.
    private let process: Int64
    private let numbers = Atomic<Int>(0)

    package init(_ writer: LogWriter, startedAt: WallTime = .now()) {
        self.writer = writer
        process = startedAt.milliseconds
    }

    /// Whether records are kept.
    package var isOn: Bool { writer.shared.keepsAudit }

    package func record(_ event: AuditEvent, at time: WallTime = .now()) {
        guard isOn else { return }
        let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue
        writer.submit(auditLines(event, id: (process, number), at: time), to: .audit)
    }

    /// Whether a request of a blocked address is to be told: the first at once, then one per 10 s and address. Nil: no;
    /// otherwise how many were not told since the last. Allocates nothing and waits for nobody.
    package func admitBlockedRequest(from address: IPAddress, at now: Instant) -> Int? {
        guard isOn else { return nil }
        return notices.admit(address, at: now)
    }

    /// The same for a connection of an address that has as many as it may have.
    package func admitRefusedConnection(from address: IPAddress, at now: Instant) -> Int? {
        guard isOn else { return nil }
        return refusedConnections.admit(address, at: now)
    }

    /// The same for a request that was one too many.
    package func admitLimitedRequest(from address: IPAddress, at now: Instant) -> Int? {
        guard isOn else { return nil }
        return limitedRequests.admit(address, at: now)
    }

    /// The same for a login of an account that is locked, which has a name of 128 bits.
    package func admitLockedLogin(of high: UInt64, _ low: UInt64, at now: Instant) -> Int? {
        guard isOn else { return nil }
        return lockedLogins.admit(IPAddress(high: high, low: low), at: now)
    }

    /// The same for a login that was answered with a challenge.
    package func admitChallenge(to address: IPAddress, at now: Instant) -> Int? {
        guard isOn else { return nil }
        return challenges.admit(address, at: now)
    }

    /// Tells of addresses that have gone quiet how many of their requests and connections were not told. For the control
    /// thread, about once a second.
    package func tellSuppressed(at now: Instant, time: WallTime = .now()) {
        tell(notices, "AUTH_004", at: now, time) {
            AuditEvent(.blockedRequestsSuppressed(count: $1), client: $0)
        }
        tell(refusedConnections, "RATE_001", at: now, time) {
            AuditEvent(.connectionsRefusedSuppressed(count: $1), client: $0)
        }
        tell(limitedRequests, "RATE_001", at: now, time) {
            AuditEvent(.rateLimitedSuppressed(count: $1), client: $0)
        }
        tell(lockedLogins, "AUTH_006", at: now, time) {
            var lock = AuditAccountLock(.triedSuppressed, Hexadecimal.text($0.high) + Hexadecimal.text($0.low))
            lock.suppressed = $1
            return AuditEvent(.accountLock(lock))
        }
        tell(challenges, "AUTH_007", at: now, time) {
            AuditEvent(.challengedSuppressed(count: $1), client: $0)
        }
    }

    private func tell(
        _ notices: BlockedNotices, _ code: String, at now: Instant, _ time: WallTime,
        _ event: (IPAddress, Int) -> AuditEvent
    ) {
        for (address, count) in notices.takeQuiet(at: now) {
            var event = event(address, count)
            event.code = code
            record(event, at: time)
        }
    }
}

/// Who was told of lately: a fixed table of atomics shared by all workers, so that an address is told once and not once
/// per worker. A slot is held by a flag that nobody waits for: who finds it taken counts as suppressed.
final class BlockedNotices: Sendable {
    static let interval = Interval.seconds(10)
    private static let sets = 512
    private static let ways = 4
    private static let slots = sets * ways
    /// Numbers per slot: the flag, the address, the time of the last notice, suppressed since.
    private static let width = 5

    private let table = AtomicTable(count: slots * width)
    private let hash = AddressHash()

    private enum Part: Int { case busy, high, low, toldAt, suppressed }

    private func index(_ slot: Int, _ part: Part) -> Int { slot * BlockedNotices.width + part.rawValue }

    private func value(_ slot: Int, _ part: Part) -> Int { table.load(index(slot, part)) }

    private func set(_ slot: Int, _ part: Part, _ value: Int) { table.store(value, at: index(slot, part)) }

    func admit(_ address: IPAddress, at now: Instant) -> Int? {
        let high = Int(truncatingIfNeeded: address.high)
        let low = Int(truncatingIfNeeded: address.low)
        let first = Int(hash.of(address) % UInt64(BlockedNotices.sets)) * BlockedNotices.ways
        var oldest = first
        for slot in first..<first + BlockedNotices.ways {
            if value(slot, .toldAt) != 0, value(slot, .high) == high, value(slot, .low) == low {
                return admit(slot, high, low, at: now)
            }
            if value(slot, .toldAt) < value(oldest, .toldAt) { oldest = slot }
        }
        guard table.take(index(oldest, .busy)) else { return nil }
        set(oldest, .high, high)
        set(oldest, .low, low)
        set(oldest, .suppressed, 0)
        set(oldest, .toldAt, Int(now.nanoseconds))
        table.giveBack(index(oldest, .busy))
        return 0
    }

    /// The slot looked like the address's own; under the flag it is so or not.
    private func admit(_ slot: Int, _ high: Int, _ low: Int, at now: Instant) -> Int? {
        guard now.nanoseconds - Int64(value(slot, .toldAt)) >= BlockedNotices.interval.nanoseconds,
            table.take(index(slot, .busy))
        else {
            table.addShared(1, to: index(slot, .suppressed))
            return nil
        }
        defer { table.giveBack(index(slot, .busy)) }
        guard value(slot, .high) == high, value(slot, .low) == low,
            now.nanoseconds - Int64(value(slot, .toldAt)) >= BlockedNotices.interval.nanoseconds
        else {
            table.addShared(1, to: index(slot, .suppressed))
            return nil
        }
        set(slot, .toldAt, Int(now.nanoseconds))
        return table.exchangeShared(0, at: index(slot, .suppressed))
    }

    /// Addresses whose last notice is older than the interval and that were suppressed since; each once.
    func takeQuiet(at now: Instant) -> [(IPAddress, Int)] {
        var quiet: [(IPAddress, Int)] = []
        for slot in 0..<BlockedNotices.slots where value(slot, .suppressed) > 0 {
            guard now.nanoseconds - Int64(value(slot, .toldAt)) >= BlockedNotices.interval.nanoseconds,
                table.take(index(slot, .busy))
            else { continue }
            let address = IPAddress(
                high: UInt64(bitPattern: Int64(value(slot, .high))),
                low: UInt64(bitPattern: Int64(value(slot, .low))))
            let count = table.exchangeShared(0, at: index(slot, .suppressed))
            // What comes next from it waits for its own interval: the summary was its notice.
            set(slot, .toldAt, Int(now.nanoseconds))
            table.giveBack(index(slot, .busy))
            if count > 0 { quiet.append((address, count)) }
        }
        return quiet
    }
}
