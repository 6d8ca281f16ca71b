package import Wire

/// What a client's connection is doing, for the question who goes when there is no room for all.
package enum Standing: Hashable, Sendable {
    /// Its address is blocked: nothing that it could still ask for is given.
    case blocked
    /// It waits for a request, or to be closed, since then. Losing it costs its owner a new connection.
    case idle(since: Instant)
    /// Its client is waited for in the middle of something, since then, and moves so many bytes per second.
    case waiting(rate: Int64, since: Instant)
    /// At work: a backend or the gateway itself is at the turn. Keeps its place.
    case busy
    /// A login that must be counted: it can be made to give back memory, and is never let go.
    case bound
}

/// Why a connection was let go before its time; the metric's label.
package enum LetGo: String, CaseIterable, Sendable {
    /// For somebody else's place: …of a blocked address
    case blocked
    /// …that waited for a request
    case idle
    /// …in the middle of something slow.
    case slow
    /// Slower than `limits.min_rate` for a whole window, whether or not there was room.
    case stalled
    /// It held buffers when there was no memory left for more.
    case memory

    /// The place in `allCases`.
    package var index: Int { LetGo.allCases.firstIndex(of: self)! }
}

/// The order in which connections are let go: the smaller goes first.
package struct Precedence: Comparable, Sendable {
    private let group: Int
    private let first: Int64
    private let second: Int64

    /// Who moves more than this many bytes per second is no slow client, whatever there is room for.
    private static let slowRate: Int64 = 1_024
    /// A request on its way to a connection of this age is lost with it. Those that are younger go only when nobody else
    /// can: a new client's may be the one idle connection among slow ones, and its request the next packet.
    private static let settled = Interval.seconds(1)
    /// Bytes that are not worth a connection.
    private static let littleMemory = 4 << 10

    /// For a place among the connections: blocked addresses, then the longest idle, then whoever makes the least progress.
    /// Nil: it stays.
    package init?(forPlaceOf standing: Standing, at now: Instant) {
        switch standing {
        case .blocked: self.init(0, 0, 0)
        case .idle(let since): self.init(now - since >= Precedence.settled ? 1 : 3, since.nanoseconds, 0)
        case .waiting(let rate, let since):
            // No grace for who has just begun: whoever can open connections quickly enough would have them all in it.
            guard rate < Precedence.slowRate else { return nil }
            self.init(2, rate, since.nanoseconds)
        case .busy, .bound: return nil
        }
    }

    /// For memory: the most that is held for the longest time, first of those whose client is waited for. Nil: it stays.
    package init?(forMemoryOf standing: Standing, held: Int, at now: Instant) {
        guard held >= Precedence.littleMemory else { return nil }
        switch standing {
        case .blocked: self.init(0, 0, 0)
        case .idle: self.init(2, -Int64(held), 0)
        case .waiting(_, let since):
            // Not from zero: of those that have just begun the largest goes.
            let waited = max(1, (now - since).milliseconds)
            self.init(1, -Int64(held).multipliedReportingOverflow(by: waited).partialValue, 0)
        case .busy, .bound: self.init(3, -Int64(held), 0)
        }
    }

    private init(_ group: Int, _ first: Int64, _ second: Int64) {
        self.group = group
        self.first = first
        self.second = second
    }

    package static func < (a: Precedence, b: Precedence) -> Bool {
        if a.group != b.group { return a.group < b.group }
        return a.first != b.first ? a.first < b.first : a.second < b.second
    }
}

/// The few that go first, found in one pass over all connections, so that a flood of new ones does not cost a pass each.
package struct VictimList: Sendable {
    package static let capacity = 64

    /// Whoever goes first stands last.
    private var entries: [(precedence: Precedence, slot: Int)] = []

    package init() { entries.reserveCapacity(VictimList.capacity + 1) }

    package var isEmpty: Bool { entries.isEmpty }

    /// - Parameter slot: the caller's name for the connection.
    package mutating func offer(_ precedence: Precedence, slot: Int) {
        if entries.count == VictimList.capacity {
            guard precedence < entries[0].precedence else { return }
            entries.removeFirst()
        }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].precedence < precedence { high = middle } else { low = middle + 1 }
        }
        entries.insert((precedence, slot), at: low)
    }

    /// The next to go, as it was offered; what it is doing may have changed since.
    package mutating func next() -> (precedence: Precedence, slot: Int)? { entries.popLast() }
}
