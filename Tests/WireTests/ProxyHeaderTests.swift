import Testing

@testable import Wire

private func read(_ text: String) -> ProxyHeader.Reading { ProxyHeader.read(Array(text.utf8).span) }

private let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

/// 203.0.113.7:41000 → 192.0.2.1:443
private let v4Addresses: [UInt8] = [203, 0, 113, 7, 192, 0, 2, 1, 0xa0, 0x28, 0x01, 0xbb]
private let v4Origin = ProxyHeader.Origin.announced(
    source: Endpoint(IPAddress("203.0.113.7")!, 41_000), destination: Endpoint(IPAddress("192.0.2.1")!, 443))

/// 2001:db8::7:41000 → 2001:db8::1:443
private let v6Addresses: [UInt8] =
    [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [7]
    + [0x20, 0x01, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1] + [0xa0, 0x28, 0x01, 0xbb]
private let v6Origin = ProxyHeader.Origin.announced(
    source: Endpoint(IPAddress("2001:db8::7")!, 41_000), destination: Endpoint(IPAddress("2001:db8::1")!, 443))

private func block(_ payload: [UInt8]) -> [UInt8] { block(0x21, 0x11, payload) }

private func block(_ command: UInt8, _ family: UInt8, _ payload: [UInt8]) -> [UInt8] {
    signature + [command, family, UInt8(payload.count >> 8), UInt8(payload.count & 255)] + payload
}

private func read(_ bytes: [UInt8]) -> ProxyHeader.Reading { ProxyHeader.read(bytes.span) }

/// All proper beginnings of a header and then the header with something behind it.
private func expectWhole(_ header: [UInt8], _ origin: ProxyHeader.Origin) {
    for count in 0..<header.count { #expect(read(Array(header[..<count])) == .incomplete, "\(count) bytes") }
    #expect(read(header) == .complete(length: header.count, origin))
    #expect(read(header + Array("PROXY GET / HTTP/1.1\r\n".utf8)) == .complete(length: header.count, origin))
}

@Suite struct `A PROXY line` {
    @Test func `announces an IPv4 client`() {
        expectWhole(Array("PROXY TCP4 203.0.113.7 192.0.2.1 41000 443\r\n".utf8), v4Origin)
    }

    @Test func `announces an IPv6 client`() {
        expectWhole(Array("PROXY TCP6 2001:DB8:0:0::7 2001:db8::1 41000 443\r\n".utf8), v6Origin)
    }

    @Test func `may be as long as its longest form`() {
        let address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        let line = "PROXY UNKNOWN \(address) \(address) 65535 65535\r\n"
        #expect(line.utf8.count == 107)
        expectWhole(Array(line.utf8), .sender)
    }

    @Test(arguments: ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN what ever  it says\r\n", "PROXY UNKNOWN \r\n"])
    func `that knows nothing leaves the sender`(line: String) {
        expectWhole(Array(line.utf8), .sender)
    }

    @Test func `writes an IPv4-mapped address as the IPv4 one that it is`() {
        let origin = ProxyHeader.Origin.announced(
            source: Endpoint(IPAddress("203.0.113.7")!, 1), destination: Endpoint(IPAddress("::1")!, 0))
        expectWhole(Array("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 0\r\n".utf8), origin)
    }

    @Test(arguments: [
        "PROXY TCP4 203.0.113.7 192.0.2.1 41000\r\n", "PROXY TCP4 203.0.113.7 192.0.2.1 41000 443 \r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 41000 443 1\r\n", "PROXY TCP4  203.0.113.7 192.0.2.1 41000 443\r\n",
        "PROXY TCP4 203.0.113.7\t192.0.2.1 41000 443\r\n", "PROXY TCP4 203.0.113.07 192.0.2.1 41000 443\r\n",
        "PROXY TCP4 203.0.113.256 192.0.2.1 41000 443\r\n", "PROXY TCP4 203.0.113 192.0.2.1 41000 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 041000 443\r\n", "PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 -1 443\r\n", "PROXY TCP4 203.0.113.7 192.0.2.1 41000 \r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 4100000 443\r\n", "PROXY TCP4 ::1 ::1 41000 443\r\n",
        "PROXY TCP6 203.0.113.7 192.0.2.1 41000 443\r\n", "PROXY TCP6 2001:db8::7 192.0.2.1 1 2\r\n",
        "PROXY TCP6 2001:db8::7%eth0 ::1 1 2\r\n", "PROXY TCP6 [2001:db8::7] ::1 1 2\r\n",
        "PROXY UDP4 203.0.113.7 192.0.2.1 41000 443\r\n", "PROXY tcp4 203.0.113.7 192.0.2.1 41000 443\r\n",
        "PROXY UNKNOWNS\r\n", "PROXY \r\n", "PROXY \n", "PROXY UNKNOWN\n", "PROXY UNKNOWN\r \r\n",
        "PROXY UNKNOWN \rx\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.1 41000 443\n",
    ])
    func `is taken as it is written or not at all`(line: String) { #expect(read(line) == .malformed(.line)) }

    @Test func `of a client without an address is refused`() {
        #expect(read("PROXY TCP4 0.0.0.0 192.0.2.1 1 2\r\n") == .malformed(.address))
        #expect(read("PROXY TCP6 :: ::1 1 2\r\n") == .malformed(.address))
    }

    @Test func `that does not end is refused at its longest`() {
        let long = "PROXY UNKNOWN " + String(repeating: "x", count: 92)
        #expect(read(long) == .incomplete && long.utf8.count == 106)
        #expect(read(long + "x") == .malformed(.tooLong))
        #expect(read(long + "x\r\n") == .malformed(.tooLong))
    }
}

@Suite struct `A PROXY block` {
    @Test func `announces an IPv4 client`() { expectWhole(block(v4Addresses), v4Origin) }

    @Test func `announces an IPv6 client`() { expectWhole(block(0x21, 0x21, v6Addresses), v6Origin) }

    @Test(arguments: [0x00, 0x01, 0x10, 0x11, 0x21, 0xff] as [UInt8])
    func `of the sender itself is skipped, whatever is in it`(family: UInt8) {
        expectWhole(block(0x20, family, []), .sender)
        expectWhole(block(0x20, family, [1, 2, 3, 4, 5]), .sender)
    }

    @Test(arguments: [0x00, 0x10, 0x01] as [UInt8])
    func `of an unspecified kind leaves the sender`(family: UInt8) {
        expectWhole(block(0x21, family, [9, 9, 9]), .sender)
    }

    @Test func `of datagrams or Unix sockets leaves the sender`() {
        expectWhole(block(0x21, 0x12, v4Addresses), .sender)
        expectWhole(block(0x21, 0x22, v6Addresses), .sender)
        expectWhole(block(0x21, 0x31, [UInt8](repeating: 65, count: 216)), .sender)
        expectWhole(block(0x21, 0x32, [UInt8](repeating: 65, count: 216)), .sender)
    }

    @Test func `may have extensions that nobody knows here`() {
        let authority: [UInt8] = [0x02, 0, 3] + Array("api".utf8)
        let own: [UInt8] = [0xea, 0, 0]
        expectWhole(block(v4Addresses + authority + own), v4Origin)
    }

    @Test func `may be as long as the longest that is read`() {
        let padding: [UInt8] = [0x04, 0x0f, 0xf1] + [UInt8](repeating: 0, count: 4_081)
        let header = block(v4Addresses + padding)
        #expect(header.count == ProxyHeader.maximumLength)
        #expect(read(header) == .complete(length: header.count, v4Origin))
        #expect(read(Array(header.dropLast())) == .incomplete)
    }

    /// The checksum was computed with another implementation.
    @Test func `is believed when its checksum matches`() {
        let header = block(v4Addresses + [0x03, 0, 4, 0xcc, 0x06, 0xd7, 0xe0])
        expectWhole(header, v4Origin)
        for index in 16..<header.count where !(28..<31).contains(index) {
            var changed = header
            changed[index] ^= 1
            #expect(read(changed) == .malformed(.checksum), "byte \(index)")
        }
    }

    @Test func `has a checksum of four bytes`() {
        #expect(read(block(v4Addresses + [0x03, 0, 3, 1, 2, 3])) == .malformed(.checksum))
    }

    @Test(
        arguments: [
            (0x11, [0x04], ProxyHeader.Fault.extensions), (0x11, [0x04, 0], .extensions),
            (0x11, [0x04, 0, 1], .extensions),
            (0x11, [0x04, 0xff, 0xff, 0], .extensions),
        ] as [(UInt8, [UInt8], ProxyHeader.Fault)])
    func `whose extensions reach beyond it is refused`(family: UInt8, extra: [UInt8], fault: ProxyHeader.Fault) {
        #expect(read(block(0x21, family, v4Addresses + extra)) == .malformed(fault))
    }

    @Test func `that is shorter than its addresses is refused`() {
        #expect(read(block(Array(v4Addresses.dropLast()))) == .malformed(.tooShort))
        #expect(read(block(0x21, 0x21, v4Addresses)) == .malformed(.tooShort))
        #expect(read(block(0x21, 0x31, v6Addresses)) == .malformed(.tooShort))
    }

    @Test(arguments: [0x41, 0x51, 0xf1, 0x13, 0x1f, 0x2f] as [UInt8])
    func `of an unknown family or transport is refused when its byte is there`(family: UInt8) {
        #expect(read(signature + [0x21, family]) == .malformed(.family))
    }

    @Test(arguments: [0x11, 0x31, 0x01, 0xf0] as [UInt8])
    func `of another version is refused when its byte is there`(command: UInt8) {
        #expect(read(signature + [command]) == .malformed(.version))
    }

    @Test(arguments: [0x22, 0x2f] as [UInt8])
    func `with another command is refused when its byte is there`(command: UInt8) {
        #expect(read(signature + [command]) == .malformed(.command))
    }

    @Test func `that would be too long is refused before it comes`() {
        #expect(read(signature + [0x21, 0x11, 0x10, 0x01]) == .malformed(.tooLong))
        #expect(read(signature + [0x20, 0x00, 0xff, 0xff]) == .malformed(.tooLong))
    }

    @Test func `of a client without an address is refused`() {
        #expect(read(block([0, 0, 0, 0] + v4Addresses.dropFirst(4))) == .malformed(.address))
    }

    @Test func `with another signature is none, from the first byte that differs on`() {
        for index in signature.indices {
            var changed = Array(signature[...index])
            changed[index] ^= 0x20
            #expect(read(changed) == .malformed(.signature), "byte \(index)")
        }
    }
}

@Suite struct `What is no PROXY header` {
    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "POST ", "PROXX", "proxy TCP4", "\u{16}\u{3}\u{1}", "\r\n\r\nGET",
        "\n",
    ])
    func `is told at once`(text: String) { #expect(read(text) == .malformed(.signature)) }
}

@Suite struct `A PROXY header for a server` {
    private let v4 = Endpoint(IPAddress("203.0.113.7")!, 41_000)
    private let v6 = Endpoint(IPAddress("2001:db8::7")!, 41_000)

    @Test func `is a line`() {
        let to = Endpoint(IPAddress("192.0.2.1")!, 443)
        #expect(ProxyHeader.line(from: v4, to: to) == Array("PROXY TCP4 203.0.113.7 192.0.2.1 41000 443\r\n".utf8))
        #expect(
            ProxyHeader.line(from: v6, to: Endpoint(IPAddress("2001:db8::1")!, 443))
                == Array("PROXY TCP6 2001:db8::7 2001:db8::1 41000 443\r\n".utf8))
    }

    @Test func `is a block`() {
        #expect(ProxyHeader.block(from: v4, to: Endpoint(IPAddress("192.0.2.1")!, 443)) == block(v4Addresses))
        #expect(
            ProxyHeader.block(from: v6, to: Endpoint(IPAddress("2001:db8::1")!, 443)) == block(0x21, 0x21, v6Addresses))
    }

    /// A proxy in front may have told of a client of the other family.
    @Test func `brings two families under one`() {
        #expect(
            ProxyHeader.line(from: v6, to: Endpoint(IPAddress("192.0.2.1")!, 443))
                == Array("PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 41000 443\r\n".utf8))
        for own in [ProxyHeader.ownLine, ProxyHeader.ownBlock] {
            #expect(ProxyHeader.read(own.span) == .complete(length: own.count, .sender))
        }
        let mixed = ProxyHeader.block(from: v4, to: Endpoint(IPAddress("2001:db8::1")!, 443))
        #expect(
            read(mixed)
                == .complete(
                    length: 52, .announced(source: v4, destination: Endpoint(IPAddress("2001:db8::1")!, 443))))
    }
}
