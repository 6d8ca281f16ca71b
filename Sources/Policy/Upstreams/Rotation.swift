/// Servers that take turns. Where some take less than their share (slow start), they are passed over in proportion.
///
/// Shares are in percent, 1 to 100, one for each server; indices are those of the servers.
package struct Rotation: Sendable {
    private let count: Int
    private var turn = 0
    /// What a server that was passed over has saved up, in hundredths of a turn. Empty until somebody is.
    private var credits: [Int] = []

    /// - Parameter count: of servers, at least 1.
    package init(count: Int) { self.count = count }

    /// Every server takes its full share.
    package mutating func next() -> Int {
        turn = turn + 1 < count ? turn + 1 : 0
        return turn
    }

    /// For a request that is tried again: another one, out of turn. If it took the turn, every second turn would be that
    /// of the server that fails.
    package func another(than avoided: Int) -> Int {
        let following = turn + 1 < count ? turn + 1 : 0
        guard following == avoided else { return following }
        return following + 1 < count ? following + 1 : 0
    }

    package mutating func next(shares: [Int]) -> Int {
        if credits.isEmpty { credits = Array(repeating: 0, count: count) }
        while true {
            let index = next()
            credits[index] += shares[index]
            guard credits[index] >= 100 else { continue }
            credits[index] -= 100
            return index
        }
    }

    /// The server with the fewest requests for its share; of equals the one whose turn is next.
    /// - Parameter avoided: not this one, if there is another.
    package mutating func leastLoaded(_ shares: [Int], avoiding avoided: Int? = nil, load: (Int) -> Int) -> Int {
        let first = next()
        var best: (index: Int, load: Int)?
        for offset in 0..<count {
            let index = first + offset < count ? first + offset : first + offset - count
            if index == avoided, count > 1 { continue }
            // As if it had the request already, so that a share counts among idle servers, too.
            let load = load(index) + 1
            if let best, load * shares[best.index] >= best.load * shares[index] { continue }
            best = (index, load)
        }
        return best?.index ?? first
    }
}

/// A server that comes back is not met by its whole share at once: its caches are empty, and its clients have waited.
package enum SlowStart {
    /// The smallest share: less would not show whether the server can work.
    package static let first = 10

    /// Percent of its share for a server that has been back for `time`, of a slow start of `length`.
    package static func share(after time: Int64, of length: Int64) -> Int {
        guard time < length, length > 0 else { return 100 }
        return max(first, Int(max(0, time) * 100 / length))
    }
}
