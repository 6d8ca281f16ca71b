package import Wire

/// Why a feed is not taken; the one before stays in force.
package struct FeedProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// Both from 1; nil: it is about the whole.
    package let line: Int?
    package let column: Int?
    package let message: String

    package init(line: Int? = nil, column: Int? = nil, _ message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String {
        guard let line else { return message }
        return "line \(line)\(column.map { ", column \($0)" } ?? ""): \(message)"
    }
}

/// Reads a list of addresses and networks: one a line, what follows `#` or `;` is a comment. A list with one mistake is
/// refused as a whole: half of a list that was cut off, or a page that says "try again later", must not lift blocks.
package enum FeedReader {
    package static let mostBytes = 48 << 20
    package static let mostEntries = 1_000_000
    /// Of one entry: an IPv4 /8, an IPv6 /16.
    private static let widest = (v4: 8, v6: 16)
    /// Of all together: an eighth of IPv4, and of what is given out of IPv6 (2000::/3) in units of a /64.
    private static let largestShare = (v4: UInt64(1) << 29, v6: UInt128(1) << 58)
    /// A list with fewer entries may become half of itself in a day.
    private static let leastToShrink = 100

    /// - Parameters:
    ///   - spared: who is never blocked, whatever a list says; entries that touch them are counted.
    ///   - former: entries of the list in force. One of less than half is refused: more often than a list shrinks so much,
    ///     a page was cut off or its maker had an accident. Nil: there is none, or any size will do.
    package static func read(
        _ bytes: [UInt8], name: String, sparing spared: [IPNetwork], after former: Int? = nil
    ) -> Result<FeedTable, FeedProblem> {
        do throws(FeedProblem) {
            guard bytes.count <= mostBytes else { throw FeedProblem("it has more than \(mostBytes) bytes") }
            guard !bytes.starts(with: [0x1f, 0x8b]) else { throw FeedProblem("it is compressed (gzip)") }
            var networks = FeedNetworks()
            var line = 0
            var start = 0
            let span = bytes.span
            while start < span.count {
                line += 1
                var end = start
                while end < span.count, span[end] != UInt8(ascii: "\n") { end += 1 }
                if let (network, column) = try entry(span.extracting(start..<end), line) {
                    guard !isTooWide(network) else {
                        throw FeedProblem(
                            line: line, column: column,
                            "\(network) is too wide: at most an IPv4 /8 or an IPv6 /16")
                    }
                    if touches(network, spared) { networks.spared += 1 }
                    networks.append(network)
                    guard networks.count <= mostEntries else {
                        throw FeedProblem(line: line, "it has more than \(mostEntries) entries")
                    }
                }
                start = end + 1
            }
            // Whoever wants it empty can take it out of the configuration.
            guard networks.count > 0 else { throw FeedProblem("it names no address") }
            if let former, former >= leastToShrink, networks.count < former / 2 {
                throw FeedProblem(
                    "it has \(networks.count) entries where \(former) were; if that is right, update it with --may-shrink"
                )
            }
            let table = FeedTable(name: name, networks)
            let share = table.share
            guard share.v4 <= largestShare.v4, share.v6 <= largestShare.v6 else {
                throw FeedProblem("it would block more than an eighth of all addresses")
            }
            return .success(table)
        } catch {
            return .failure(error)
        }
    }

    /// The entry and its column; nil: a line without one.
    private static func entry(
        _ text: Span<UInt8>, _ line: Int
    ) throws(FeedProblem) -> (network: IPNetwork, column: Int)? {
        var end = 0
        while end < text.count, text[end] != UInt8(ascii: "#"), text[end] != UInt8(ascii: ";") { end += 1 }
        var start = 0
        while start < end, isBlank(text[start]) { start += 1 }
        while end > start, isBlank(text[end - 1]) { end -= 1 }
        guard start < end else { return nil }
        guard let network = network(text.extracting(start..<end)) else {
            // Somebody else's words, without what could steer a terminal.
            let shown = text.extracting(start..<min(end, start + 64)).text.unicodeScalars
            let safe = String(shown.map { (0x20...0x7e).contains($0.value) ? Character($0) : "?" })
            throw FeedProblem(line: line, column: start + 1, "\"\(safe)\" is no address or network")
        }
        return (network, start + 1)
    }

    private static func isTooWide(_ network: IPNetwork) -> Bool { network.isWider(thanV4: widest.v4, v6: widest.v6) }

    private static func touches(_ network: IPNetwork, _ others: [IPNetwork]) -> Bool {
        for other in others {
            let isWithin = network.bits >= other.bits && other.contains(network.base)
            if isWithin || network.bits < other.bits && network.contains(other.base) { return true }
        }
        return false
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }

    /// As `IPNetwork.init(_:)` reads it, without a string: there may be a million of them.
    private static func network(_ text: Span<UInt8>) -> IPNetwork? {
        var slash = 0
        var hasColon = false
        while slash < text.count, text[slash] != UInt8(ascii: "/") {
            if text[slash] == UInt8(ascii: ":") { hasColon = true }
            slash += 1
        }
        guard let address = IPAddress(ascii: text.extracting(0..<slash)) else { return nil }
        guard slash < text.count else { return IPNetwork(address) }
        let digits = text.extracting(slash + 1..<text.count)
        guard (1...3).contains(digits.count), digits.count == 1 || digits[0] != UInt8(ascii: "0") else { return nil }
        var prefix = 0
        for index in digits.indices {
            guard Characters.isDigit(digits[index]) else { return nil }
            prefix = prefix * 10 + Int(digits[index] - UInt8(ascii: "0"))
        }
        guard prefix <= (hasColon ? 128 : 32) else { return nil }
        let network = IPNetwork(address, bits: hasColon ? prefix : prefix + 96)
        return network.base == address ? network : nil
    }
}
