/// An IP address. An IPv4 address and its IPv4-mapped IPv6 form (`::ffff:a.b.c.d`) are one and the same value, because
/// they are one and the same host: whoever is blocked as `1.2.3.4` is blocked when it arrives on a dual-stack socket.
///
/// Kept as the 128 bits of the IPv6 form, so that comparing and hashing are two words of work.
public struct IPAddress: Hashable, Comparable, Sendable {
    /// Bits 127–64 in host order.
    public let high: UInt64
    /// Bits 63–0 in host order.
    public let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// `a.b.c.d` with `a` in the highest byte.
    package init(v4 value: UInt32) {
        self.init(high: 0, low: 0xffff_0000_0000 | UInt64(value))
    }

    package var isV4: Bool { high == 0 && low >> 32 == 0xffff }

    /// The 32 bits of an IPv4 address; nil for IPv6.
    package var v4: UInt32? { isV4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isV4 ? low >> 24 == 0xffff_7f : high == 0 && low == 1 }

    /// An address that is not routed in the Internet: RFC 1918, RFC 6598 (shared), RFC 4193 and link-local ones. Without
    /// loopback.
    package var isPrivate: Bool {
        guard let v4 else { return high >> 57 == 0x7e || high >> 54 == 0x3fa }
        return v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 || v4 >> 22 == 0x191 || v4 >> 16 == 0xa9fe
    }

    /// The IPv4 address of a host behind a translator (64:ff9b::/96, RFC 6052 §2.1); nil for all others.
    package var translatedV4: UInt32? {
        high == 0x0064_ff9b_0000_0000 && low >> 32 == 0 ? UInt32(truncatingIfNeeded: low) : nil
    }

    /// What limits of one client are counted by, as one number. A host has a whole /64 of IPv6 to choose addresses from,
    /// so that is what counts as one; but all of IPv4 is behind one translator's prefix, so there it is the IPv4 address.
    package var countedAs: UInt64 {
        if isV4 || high == 0 { return low }
        return translatedV4.map { 0xffff_0000_0000 | UInt64($0) } ?? high
    }

    /// 0.0.0.0 or `::`: the address of nobody.
    package var isUnspecified: Bool { high == 0 && (low == 0 || low == 0xffff_0000_0000) }

    @inlinable
    public static func == (a: IPAddress, b: IPAddress) -> Bool { a.high == b.high && a.low == b.low }

    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    /// The 16 bit group `index` (0–7, from the left) of the IPv6 form.
    func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64((3 - index % 4) * 16))
    }
}

extension IPAddress: CustomStringConvertible {
    /// The canonical text: dotted decimal for IPv4, RFC 5952 for IPv6 (lower case, no leading zeros, the longest run of
    /// two or more zero groups as `::`, the first of equal ones).
    public var description: String {
        if isV4 {
            return "\(low >> 24 & 255).\(low >> 16 & 255).\(low >> 8 & 255).\(low & 255)"
        }
        var best = (start: 0, length: 0)
        var run = (start: 0, length: 0)
        for index in 0..<8 {
            if group(index) == 0 {
                if run.length == 0 { run.start = index }
                run.length += 1
                if run.length > best.length { best = run }
            } else {
                run.length = 0
            }
        }
        func joined(_ range: Range<Int>) -> String {
            range.map { String(group($0), radix: 16) }.joined(separator: ":")
        }
        guard best.length >= 2 else { return joined(0..<8) }
        return joined(0..<best.start) + "::" + joined(best.start + best.length..<8)
    }
}

extension IPAddress {
    /// Reads an address as people and proxies write it: dotted decimal of exactly four numbers without leading zeros
    /// (RFC 6943 §3.1.1: `010.0.0.1` is ambiguous, so it is refused), or RFC 4291 text, with or without an IPv4 tail.
    /// No port, brackets, zone or white space: nil.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.init(ascii: bytes.span)
    }

    package init?(ascii text: Span<UInt8>) {
        guard text.count >= 2, text.count <= 45 else { return nil }
        var reader = AddressReader(text: text)
        if let value = reader.readV4(), reader.atEnd {
            self.init(v4: value)
            return
        }
        reader.position = 0
        guard let (high, low) = reader.readV6(), reader.atEnd else { return nil }
        self.init(high: high, low: low)
    }
}

/// A cursor over the text of one address.
private struct AddressReader: ~Escapable {
    let text: Span<UInt8>
    var position = 0

    @_lifetime(copy text)
    init(text: Span<UInt8>) { self.text = text }

    var atEnd: Bool { position == text.count }
    var next: UInt8? { position < text.count ? text[position] : nil }

    @_lifetime(self: copy self)
    mutating func skip(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    /// Four decimal numbers of 0–255 without leading zeros.
    @_lifetime(self: copy self)
    mutating func readV4() -> UInt32? {
        var value: UInt32 = 0
        for index in 0..<4 {
            if index > 0, !skip(UInt8(ascii: ".")) { return nil }
            let start = position
            var number: UInt32 = 0
            while let byte = next, Characters.isDigit(byte), position - start < 3 {
                number = number * 10 + UInt32(byte - 48)
                position += 1
            }
            let digits = position - start
            guard digits > 0, number <= 255, digits == 1 || text[start] != 48 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    /// Eight groups, or fewer with one `::` among them. The groups before and behind it are collected in two numbers, so
    /// that reading an address of a Host or X-Forwarded-For field allocates nothing.
    @_lifetime(self: copy self)
    mutating func readV6() -> (UInt64, UInt64)? {
        var groups = V6Groups()
        if skip(UInt8(ascii: ":")) {
            guard skip(UInt8(ascii: ":")) else { return nil }
            groups.isCompressed = true
        }
        while !atEnd, groups.count < 8 {
            let start = position
            if let v4 = readV4(), atEnd {
                guard groups.count <= 6 else { return nil }
                groups.append(UInt16(v4 >> 16))
                groups.append(UInt16(v4 & 0xffff))
                break
            }
            position = start
            guard let group = readGroup() else { return nil }
            groups.append(group)
            if atEnd { break }
            guard skip(UInt8(ascii: ":")) else { return nil }
            if skip(UInt8(ascii: ":")) {
                guard !groups.isCompressed else { return nil }
                groups.isCompressed = true
            } else if atEnd {
                return nil  // a single colon at the end
            }
        }
        return groups.address
    }

    /// One to four hexadecimal digits.
    @_lifetime(self: copy self)
    private mutating func readGroup() -> UInt16? {
        let start = position
        var value: UInt16 = 0
        while position - start < 4, let byte = next, let digit = hexDigit(byte) {
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return position > start ? value : nil
    }
}

/// The groups of an IPv6 address while it is read.
private struct V6Groups {
    private var head: UInt128 = 0
    private var headCount = 0
    private var tail: UInt128 = 0
    private var tailCount = 0
    /// `::` has been read; what comes is behind it.
    var isCompressed = false

    var count: Int { headCount + tailCount }

    mutating func append(_ group: UInt16) {
        if isCompressed {
            tail = tail << 16 | UInt128(group)
            tailCount += 1
        } else {
            head = head << 16 | UInt128(group)
            headCount += 1
        }
    }

    /// Nil unless the groups make 128 bits; `::` stands for at least one of them (RFC 4291 §2.2).
    var address: (UInt64, UInt64)? {
        guard isCompressed ? count <= 7 : count == 8 else { return nil }
        let value = head << UInt128(16 * (8 - headCount)) | tail
        return (UInt64(truncatingIfNeeded: value >> 64), UInt64(truncatingIfNeeded: value))
    }
}
