import Glibc
import Policy
import Wire

/// A list of blocked addresses, as whoever keeps it sends it.
package final class FeedTarget: FuzzTarget {
    package static let name = "feed"

    package init() {}

    package func check(_ input: [UInt8]) throws(Finding) {
        let result = FeedReader.read(input, name: "fuzz", sparing: [])
        let witness = witness(input)
        switch result {
        case .failure(let problem):
            try require(witness == nil, "what a second reader takes is taken")
            try checkPlace(of: problem, in: input)
        case .success(let table):
            guard let witness else { throw Finding("what a second reader refuses is refused") }
            try require(table.count == witness.count, "each entry is counted")
            try check(table, witness)
        }
        let ended = FeedReader.read(input + [UInt8(ascii: "\n")], name: "fuzz", sparing: [])
        try require(
            (try? result.get())?.count == (try? ended.get())?.count, "the last line needs no end, and may have one")
    }

    private func checkPlace(of problem: FeedProblem, in input: [UInt8]) throws(Finding) {
        guard let line = problem.line else { return }
        let lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        try require((1...lines.count).contains(line), "a mistake is in a line that is there")
        guard let column = problem.column else { return }
        try require((1...max(1, lines[line - 1].count)).contains(column), "a mistake is at a place that is there")
        try require(
            problem.description.unicodeScalars.allSatisfy { (0x20...0x7e).contains($0.value) },
            "what is told of a list cannot steer a terminal")
    }

    // MARK: A second reader

    /// One entry: its first and its last address.
    private struct Entry {
        let first: UInt128
        let last: UInt128

        static let v4 = Entry(first: 0xffff_0000_0000, last: 0xffff_ffff_ffff)

        func contains(_ address: UInt128) -> Bool { first <= address && address <= last }
        var isV4: Bool { Entry.v4.contains(first) && Entry.v4.contains(last) }
    }

    private func check(_ table: FeedTable, _ entries: [Entry]) throws(Finding) {
        for entry in entries.prefix(48) {
            try require(
                table.contains(address(entry.first)) && table.contains(address(entry.last)),
                "an entry holds its first and its last address")
            for neighbour in [entry.first &- 1, entry.last &+ 1] {
                let address = address(neighbour)
                // One behind a translator is held by its IPv4 address, too.
                guard address.translatedV4 == nil else { continue }
                try require(
                    table.contains(address) == entries.contains { $0.contains(neighbour) },
                    "an address is held by an entry and by nothing else")
            }
        }
    }

    private func address(_ number: UInt128) -> IPAddress {
        IPAddress(high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
    }

    /// Nil: a list that must not be taken. Addresses are read by the system, not by us.
    private func witness(_ input: [UInt8]) -> [Entry]? {
        var entries: [Entry] = []
        for line in input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let text = line.prefix { $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: ";") }
            let blanks = Array(" \t\r".utf8)
            let front = text.drop { blanks.contains($0) }
            let word = Array(front.reversed().drop { blanks.contains($0) }.reversed())
            if word.isEmpty { continue }
            guard !word.contains(0), let entry = entry(String(decoding: word, as: UTF8.self)) else { return nil }
            entries.append(entry)
        }
        let share = share(of: entries)
        return entries.isEmpty || share.v4 > 1 << 29 || share.v6 > 1 << 58 ? nil : entries
    }

    private func entry(_ text: String) -> Entry? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let isV6 = parts[0].contains(":")
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(isV6 ? AF_INET6 : AF_INET, String(parts[0]), &bytes) == 1 else { return nil }
        var first = bytes.prefix(isV6 ? 16 : 4).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        if !isV6 { first |= 0xffff_0000_0000 }
        var bits = 128
        if parts.count == 2 {
            guard let number = Int(parts[1]), String(number) == parts[1], (0...(isV6 ? 128 : 32)).contains(number)
            else {
                return nil
            }
            bits = isV6 ? number : number + 96
        }
        let rest = bits == 0 ? UInt128.max : bits == 128 ? 0 : UInt128.max >> UInt128(bits)
        guard first & rest == 0 else { return nil }
        let entry = Entry(first: first, last: first | rest)
        let holdsV4 = entry.first <= Entry.v4.last && Entry.v4.first <= entry.last
        return bits < (holdsV4 ? 104 : 16) ? nil : entry
    }

    /// IPv4 addresses, and pieces of IPv6 in units of a /64.
    private func share(of entries: [Entry]) -> (v4: UInt128, v6: UInt128) {
        var share = (v4: UInt128(0), v6: UInt128(0))
        var joined: [Entry] = []
        for entry in entries.sorted(by: { $0.first < $1.first }) {
            if let last = joined.last, last.isV4 == entry.isV4, entry.first == 0 || entry.first - 1 <= last.last {
                joined[joined.count - 1] = Entry(first: last.first, last: max(last.last, entry.last))
            } else {
                joined.append(entry)
            }
        }
        for entry in joined {
            let size = entry.last - entry.first
            if entry.isV4 { share.v4 += size + 1 } else { share.v6 += size >> 64 + 1 }
        }
        return share
    }
}
