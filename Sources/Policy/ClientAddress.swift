package import Wire

/// Networks whose word about an address is believed. A walk over a few masks, made for the handful that a deployment has.
package struct TrustedNetworks: Sendable {
    private let networks: [IPNetwork]

    package init(_ networks: [IPNetwork]) { self.networks = networks }

    /// Whether one of the networks holds the address.
    package func contains(_ address: IPAddress) -> Bool {
        let networks = networks.span
        for index in networks.indices where networks[index].contains(address) { return true }
        return false
    }
}

/// Finds the client behind trusted proxies: begins with the peer and goes through X-Forwarded-For from the right as long
/// as whoever wrote the entry is trusted. The first address that is not trusted is the client; what stands to the left of
/// it was written by the client itself and may be a lie.
///
/// An entry that is not an address ends the walk at the last good one: the answer is never empty, and an attacker who
/// sends rubbish is counted as the proxy's neighbour that he is, not as nobody.
package struct ClientAddress: Sendable {
    /// Entries looked at, over all fields. A chain of more trusted proxies than this is a loop or an attack.
    package static let maximumHops = 64

    /// The client as far as the walk has come.
    package private(set) var address: IPAddress
    private let trusted: TrustedNetworks
    private var hops = 0
    private var isFinished: Bool

    package init(peer: IPAddress, trusted: TrustedNetworks) {
        address = peer
        self.trusted = trusted
        isFinished = !trusted.contains(peer)
    }

    /// The walk over what a proxy says that is trusted as such. The address stays unspecified where it says nothing
    /// sound.
    package init(toldByCaller trusted: TrustedNetworks) {
        address = IPAddress(v4: 0)
        self.trusted = trusted
        isFinished = false
    }

    /// Whether an X-Forwarded-For field could still change the answer. False at once for a peer that is not trusted.
    package var wantsMore: Bool { !isFinished }

    /// Goes through the value of one X-Forwarded-For field. Several fields are one list (RFC 9110 §5.3), so the last
    /// field of the head comes first.
    package mutating func take(_ value: Span<UInt8>) {
        var end = value.count
        while !isFinished, end >= 0 {
            var start = end
            while start > 0, value[start - 1] != UInt8(ascii: ",") { start -= 1 }
            take(entry: value.extracting(start..<end))
            end = start - 1
        }
    }

    private mutating func take(entry: Span<UInt8>) {
        hops += 1
        guard hops <= ClientAddress.maximumHops else {
            isFinished = true
            return
        }
        var range = 0..<entry.count
        while let first = range.first, Characters.isWhitespace(entry[first]) { range.removeFirst() }
        while let last = range.last, Characters.isWhitespace(entry[last]) { range.removeLast() }
        // Empty elements of a list are to be ignored (RFC 9110 §5.6.1.2).
        if range.isEmpty { return }
        guard let entry = forwardedAddress(entry.extracting(range)), !entry.isUnspecified else {
            isFinished = true
            return
        }
        address = entry
        isFinished = !trusted.contains(entry)
    }
}

/// `1.2.3.4`, `1.2.3.4:555`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:555`: what proxies write.
private func forwardedAddress(_ text: Span<UInt8>) -> IPAddress? {
    let colon = UInt8(ascii: ":")
    if text[0] == UInt8(ascii: "[") {
        var close = 1
        var hasColon = false
        while close < text.count, text[close] != UInt8(ascii: "]") {
            if text[close] == colon { hasColon = true }
            close += 1
        }
        guard close < text.count, hasColon, close + 1 == text.count || isPort(text, from: close + 1) else { return nil }
        return IPAddress(ascii: text.extracting(1..<close))
    }
    var colons = 0
    var firstColon = text.count
    for index in text.indices where text[index] == colon {
        if colons == 0 { firstColon = index }
        colons += 1
    }
    guard colons == 1 else { return IPAddress(ascii: text) }
    guard isPort(text, from: firstColon) else { return nil }
    return IPAddress(ascii: text.extracting(0..<firstColon))
}

/// A colon and one to five digits up to the end.
private func isPort(_ text: Span<UInt8>, from colon: Int) -> Bool {
    guard text[colon] == UInt8(ascii: ":"), (2...6).contains(text.count - colon) else { return false }
    for index in colon + 1..<text.count where !Characters.isDigit(text[index]) { return false }
    return true
}
