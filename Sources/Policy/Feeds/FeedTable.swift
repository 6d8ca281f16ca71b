package import Wire

/// The networks of one feed, made once and shared by all workers: ranges in order, those that touch made one. Looking an
/// address up is a search among the few that begin in the same /16, or among all of IPv6 by halves, so a million of them
/// cost some steps more than one.
package final class FeedTable: Sendable {
    package let name: String
    /// Networks and addresses as the feed has them.
    package let count: Int
    /// Those of them that touch somebody who is never blocked, as that was when the list was read.
    package let spared: Int
    private let v4Starts: [UInt32]
    /// Inclusive.
    private let v4Ends: [UInt32]
    /// For each /16 the first range that begins in it or behind it.
    private let v4Index: [UInt32]
    private let v6Starts: [UInt128]
    private let v6Ends: [UInt128]

    init(name: String, _ networks: FeedNetworks) {
        self.name = name
        count = networks.count
        spared = networks.spared
        var starts: [UInt32] = []
        var ends: [UInt32] = []
        for range in networks.v4.sorted() {
            let (start, end) = (UInt32(truncatingIfNeeded: range >> 32), UInt32(truncatingIfNeeded: range))
            if let last = ends.last, start == 0 || start - 1 <= last {
                ends[ends.count - 1] = max(last, end)
            } else {
                starts.append(start)
                ends.append(end)
            }
        }
        var index: [UInt32] = []
        if !starts.isEmpty {
            index.reserveCapacity(65_537)
            var next = 0
            for prefix in 0...UInt32(65_535) {
                while next < starts.count, starts[next] >> 16 < prefix { next += 1 }
                index.append(UInt32(next))
            }
            index.append(UInt32(starts.count))
        }
        (v4Starts, v4Ends, v4Index) = (starts, ends, index)
        var starts6: [UInt128] = []
        var ends6: [UInt128] = []
        for range in networks.v6.sorted(by: { $0.start < $1.start }) {
            if let last = ends6.last, range.start == 0 || range.start - 1 <= last {
                ends6[ends6.count - 1] = max(last, range.end)
            } else {
                starts6.append(range.start)
                ends6.append(range.end)
            }
        }
        (v6Starts, v6Ends) = (starts6, ends6)
    }

    /// Without allocation and without a lock.
    package func contains(_ address: IPAddress) -> Bool {
        if let v4 = address.v4 { return contains(v4) }
        // Its maker knows the host by its own address.
        if let v4 = address.translatedV4, contains(v4) { return true }
        let value = UInt128(address.high) << 64 | UInt128(address.low)
        let place = FeedTable.last(upTo: value, in: v6Starts, 0..<v6Starts.count)
        return place >= 0 && v6Ends[place] >= value
    }

    private func contains(_ v4: UInt32) -> Bool {
        guard !v4Index.isEmpty else { return false }
        let bucket = Int(v4 >> 16)
        let place = FeedTable.last(upTo: v4, in: v4Starts, Int(v4Index[bucket])..<Int(v4Index[bucket + 1]))
        return place >= 0 && v4Ends[place] >= v4
    }

    /// The last of the starts that is not above `value`; the one before the range where all within are above.
    private static func last<Word: FixedWidthInteger>(
        upTo value: Word, in starts: borrowing [Word], _ range: Range<Int>
    ) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    /// IPv4 and IPv6 addresses that are held back, in units of one address and of one /64.
    var share: (v4: UInt64, v6: UInt128) {
        var v4: UInt64 = 0
        for index in v4Starts.indices { v4 += UInt64(v4Ends[index] - v4Starts[index]) + 1 }
        var v6: UInt128 = 0
        for index in v6Starts.indices { v6 += (v6Ends[index] - v6Starts[index]) >> 64 + 1 }
        return (v4, v6)
    }

    /// Bytes that the ranges take, whoever shares them.
    package var bytes: Int { v4Starts.count * 8 + v4Index.count * 4 + v6Starts.count * 32 }
}

/// One that was made anew is another, whatever is in it.
extension FeedTable: Hashable {
    package static func == (one: FeedTable, other: FeedTable) -> Bool { one === other }

    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Networks as they were read, in no order.
struct FeedNetworks {
    /// First and last address in one word.
    var v4: [UInt64] = []
    var v6: [(start: UInt128, end: UInt128)] = []
    var spared = 0
    var count: Int { v4.count + v6.count }

    mutating func append(_ network: IPNetwork) {
        if let start = network.base.v4, network.bits >= 96 {
            let size = UInt64(1) << UInt64(128 - network.bits)
            v4.append(UInt64(start) << 32 | (UInt64(start) + size - 1))
        } else {
            let start = UInt128(network.base.high) << 64 | UInt128(network.base.low)
            let rest = network.bits == 0 ? UInt128.max : (UInt128(1) << UInt128(128 - network.bits)) - 1
            v6.append((start, start | rest))
        }
    }
}
