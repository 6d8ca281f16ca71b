/// An address and a TCP port.
package struct Endpoint: Hashable, Sendable {
    package var address: IPAddress
    /// 0: not known.
    package var port: UInt16

    package init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): the first bytes of a connection, by which a
/// proxy says between whom it stands. Read strictly: what does not exactly match is no header (§2.1).
package enum ProxyHeader {
    /// Bytes of the longest header that is read. §2.2 allows 64 KiB of extensions; those in use need a few hundred.
    package static let maximumLength = 16 + 4_096

    package enum Origin: Equatable, Sendable {
        /// LOCAL, UNKNOWN, or a kind of connection that ours cannot be: the two ends of the connection are what they are.
        case sender
        case announced(source: Endpoint, destination: Endpoint)
    }

    package enum Reading: Equatable, Sendable {
        /// So far it could be one.
        case incomplete
        /// The header has `length` bytes; what follows is not looked at.
        case complete(length: Int, Origin)
        case malformed(Fault)
    }

    /// What is wrong, in words for the log.
    package enum Fault: String, CaseIterable, Sendable {
        case signature = "the connection does not begin with a PROXY header"
        case tooLong = "the header is longer than allowed"
        case line = "the line of version 1 is malformed"
        case version = "the version is not known"
        case command = "the command is not known"
        case family = "the address family or the transport is not known"
        case tooShort = "the header is shorter than its addresses"
        case extensions = "the extensions do not fit into the header"
        case checksum = "the checksum does not match"
        case address = "the announced client has no address"
    }

    /// Reads the header at the beginning of `bytes`, which may hold more, or only its first part.
    package static func read(_ bytes: Span<UInt8>) -> Reading {
        guard !bytes.isEmpty else { return .incomplete }
        return bytes[0] == UInt8(ascii: "P") ? readLine(bytes) : readBlock(bytes)
    }

    // MARK: Version 1

    /// With its line break (§2.1).
    private static let longestLine = 107

    private static func readLine(_ bytes: Span<UInt8>) -> Reading {
        let start: StaticString = "PROXY "
        guard begins(bytes, with: start.utf8Start, start.utf8CodeUnitCount) else { return .malformed(.signature) }
        var end = 0
        while end < min(bytes.count, longestLine), bytes[end] != UInt8(ascii: "\n") {
            // "must not tolerate a single CR or LF"
            if end > 0, bytes[end - 1] == UInt8(ascii: "\r") { return .malformed(.line) }
            end += 1
        }
        guard end < longestLine else { return .malformed(.tooLong) }
        guard end < bytes.count else { return .incomplete }
        guard end > start.utf8CodeUnitCount, bytes[end - 1] == UInt8(ascii: "\r") else { return .malformed(.line) }
        return origin(of: bytes.extracting(start.utf8CodeUnitCount..<end - 1), length: end + 1)
    }

    /// - Parameter text: between `PROXY ` and the line break.
    private static func origin(of text: Span<UInt8>, length: Int) -> Reading {
        let words = LineWords(text)
        if words.range(0).map({ text.extracting($0).equals("UNKNOWN") }) == true {
            return .complete(length: length, .sender)
        }
        guard words.count == 5, let family = words.range(0), let source = words.range(1),
            let destination = words.range(2),
            let sourcePort = words.range(3), let destinationPort = words.range(4)
        else { return .malformed(.line) }
        let isV6 = text.extracting(family).equals("TCP6")
        guard isV6 || text.extracting(family).equals("TCP4"),
            let from = address(text.extracting(source), isV6: isV6),
            let to = address(text.extracting(destination), isV6: isV6),
            let fromPort = port(text.extracting(sourcePort)), let toPort = port(text.extracting(destinationPort))
        else { return .malformed(.line) }
        guard !from.isUnspecified else { return .malformed(.address) }
        return .complete(
            length: length, .announced(source: Endpoint(from, fromPort), destination: Endpoint(to, toPort)))
    }

    private static func address(_ text: Span<UInt8>, isV6: Bool) -> IPAddress? {
        var hasColon = false
        for index in text.indices where text[index] == UInt8(ascii: ":") { hasColon = true }
        return hasColon == isV6 ? IPAddress(ascii: text) : nil
    }

    private static func port(_ text: Span<UInt8>) -> UInt16? {
        guard (1...5).contains(text.count), text.count == 1 || text[0] != UInt8(ascii: "0") else { return nil }
        var value = 0
        for index in text.indices {
            guard Characters.isDigit(text[index]) else { return nil }
            value = value * 10 + Int(text[index] - 48)
        }
        return UInt16(exactly: value)
    }

    // MARK: Version 2

    private static let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
    private static let fixedLength = 16

    private static func readBlock(_ bytes: Span<UInt8>) -> Reading {
        guard begins(bytes, with: signature.utf8Start, signature.utf8CodeUnitCount) else {
            return .malformed(.signature)
        }
        // Each byte is judged when it is there: whoever sends another protocol learns it at once.
        guard bytes.count > 12 else { return .incomplete }
        guard bytes[12] >> 4 == 2 else { return .malformed(.version) }
        let isLocal = bytes[12] & 15 == 0
        guard isLocal || bytes[12] & 15 == 1 else { return .malformed(.command) }
        guard bytes.count > 13 else { return .incomplete }
        let family = bytes[13] >> 4
        let transport = bytes[13] & 15
        guard isLocal || family <= 3 && transport <= 2 else { return .malformed(.family) }
        guard bytes.count >= fixedLength else { return .incomplete }
        let length = fixedLength + (Int(bytes[14]) << 8 | Int(bytes[15]))
        guard length <= maximumLength else { return .malformed(.tooLong) }
        guard bytes.count >= length else { return .incomplete }
        // Of LOCAL and UNSPEC the block is to be skipped whatever is in it.
        if isLocal || family == 0 || transport == 0 { return .complete(length: length, .sender) }
        let header = bytes.extracting(0..<length)
        let extensions = fixedLength + [0, 12, 36, 216][Int(family)]
        guard extensions <= length else { return .malformed(.tooShort) }
        if let fault = check(header, from: extensions) { return .malformed(fault) }
        guard transport == 1, family != 3 else { return .complete(length: length, .sender) }
        let size = family == 1 ? 4 : 16
        let ports = fixedLength + 2 * size
        let source = Endpoint(address(header, at: fixedLength, size), UInt16(number(header, at: ports, 2)))
        guard !source.address.isUnspecified else { return .malformed(.address) }
        let destination = Endpoint(
            address(header, at: fixedLength + size, size), UInt16(number(header, at: ports + 2, 2)))
        return .complete(length: length, .announced(source: source, destination: destination))
    }

    /// Goes over the type-length-values behind the addresses (§2.2.1). None is needed here, but a checksum is checked.
    private static func check(_ header: Span<UInt8>, from start: Int) -> Fault? {
        var place = start
        while place < header.count {
            guard place + 3 <= header.count else { return .extensions }
            let value = place + 3
            let end = value + Int(number(header, at: place + 1, 2))
            guard end <= header.count else { return .extensions }
            // PP2_TYPE_CRC32C
            if header[place] == 3 {
                guard end - value == 4, number(header, at: value, 4) == UInt64(checksum(header, without: value..<end))
                else { return .checksum }
            }
            place = end
        }
        return nil
    }

    /// CRC-32C (RFC 3720 §12.1) of the header with zeros in place of the checksum itself. Bit by bit: headers are short,
    /// and few have one.
    private static func checksum(_ header: Span<UInt8>, without range: Range<Int>) -> UInt32 {
        var value: UInt32 = 0xffff_ffff
        for index in header.indices {
            value ^= range.contains(index) ? 0 : UInt32(header[index])
            for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        }
        return value ^ 0xffff_ffff
    }

    private static func address(_ header: Span<UInt8>, at place: Int, _ size: Int) -> IPAddress {
        guard size == 16 else { return IPAddress(v4: UInt32(number(header, at: place, 4))) }
        return IPAddress(high: number(header, at: place, 8), low: number(header, at: place + 8, 8))
    }

    /// In network byte order.
    private static func number(_ bytes: Span<UInt8>, at place: Int, _ size: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in place..<place + size { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    /// Whether `bytes` begin with the text, as far as they go.
    private static func begins(_ bytes: Span<UInt8>, with text: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        for index in 0..<min(bytes.count, count) where bytes[index] != text[index] { return false }
        return true
    }
}

/// The first words of a line, with exactly one space between them. Two spaces make an empty word, which is none of those
/// that are looked for.
private struct LineWords {
    private var ends = InlineArray<6, Int>(repeating: -1)
    /// More than five are counted as six.
    private(set) var count = 0

    init(_ text: Span<UInt8>) {
        for index in 0...text.count where index == text.count || text[index] == UInt8(ascii: " ") {
            ends[count] = index
            count += 1
            if count == 6 { return }
        }
    }

    func range(_ index: Int) -> Range<Int>? {
        index < count ? (index == 0 ? 0 : ends[index - 1] + 1)..<ends[index] : nil
    }
}

extension ProxyHeader {
    /// Version 1, of a connection that is its sender's own and stands for no client (§2.1).
    package static var ownLine: [UInt8] { Array("PROXY UNKNOWN\r\n".utf8) }

    /// Version 2, the same: LOCAL (§2.2).
    package static var ownBlock: [UInt8] { block([0x20, 0, 0, 0]) }

    /// Version 1: a line. Addresses of two families are written as IPv6 ones.
    package static func line(from source: Endpoint, to destination: Endpoint) -> [UInt8] {
        let isV4 = source.address.isV4 && destination.address.isV4
        func text(_ address: IPAddress) -> String {
            !isV4 && address.isV4 ? "::ffff:\(address)" : "\(address)"
        }
        let words = "\(text(source.address)) \(text(destination.address)) \(source.port) \(destination.port)"
        return Array("PROXY \(isV4 ? "TCP4" : "TCP6") \(words)\r\n".utf8)
    }

    /// Version 2: a block without extensions.
    package static func block(from source: Endpoint, to destination: Endpoint) -> [UInt8] {
        let isV4 = source.address.isV4 && destination.address.isV4
        var bytes = block([0x21, isV4 ? 0x11 : 0x21, 0, isV4 ? 12 : 36])
        for address in [source.address, destination.address] {
            if !isV4 { bytes += (0..<8).map { UInt8(truncatingIfNeeded: address.high >> UInt64(56 - 8 * $0)) } }
            bytes += (isV4 ? 4..<8 : 0..<8).map { UInt8(truncatingIfNeeded: address.low >> UInt64(56 - 8 * $0)) }
        }
        for port in [source.port, destination.port] { bytes += [UInt8(port >> 8), UInt8(port & 255)] }
        return bytes
    }

    /// - Parameter rest: command, family, and the length of what follows.
    private static func block(_ rest: [UInt8]) -> [UInt8] {
        Array(UnsafeBufferPointer(start: signature.utf8Start, count: signature.utf8CodeUnitCount)) + rest
    }
}
