import Testing
import Wire

@testable import Policy

/// The client that comes out for a peer and X-Forwarded-For fields in the order of the head.
private func client(_ peer: String, _ fields: String..., trusting networks: [String] = ["10.0.0.0/8", "fd00::/8"])
    -> String
{
    var walk = ClientAddress(peer: IPAddress(peer)!, trusted: TrustedNetworks(networks.map { IPNetwork($0)! }))
    for field in fields.reversed() where walk.wantsMore { walk.take(Array(field.utf8).span) }
    return walk.address.description
}

@Suite struct `The client's address` {
    @Test func `is the peer when the peer is not trusted, whatever the field says`() {
        #expect(client("203.0.113.9", "198.51.100.1") == "203.0.113.9")
        #expect(client("203.0.113.9", "10.0.0.1") == "203.0.113.9")
        #expect(client("203.0.113.9", "198.51.100.1", trusting: []) == "203.0.113.9")
    }

    @Test func `is the peer when a trusted proxy says nothing`() {
        #expect(client("10.0.0.1") == "10.0.0.1")
        #expect(client("10.0.0.1", "") == "10.0.0.1")
        #expect(client("10.0.0.1", " , ,") == "10.0.0.1")
    }

    @Test func `is what the trusted proxy saw, not what the client claims`() {
        #expect(client("10.0.0.1", "198.51.100.1") == "198.51.100.1")
        #expect(client("10.0.0.1", "1.1.1.1, 198.51.100.1") == "198.51.100.1")
        #expect(client("10.0.0.1", "127.0.0.1,198.51.100.1") == "198.51.100.1")
        #expect(client("10.0.0.1", "1.1.1.1, 198.51.100.1 ,\t10.9.9.9 , 10.0.0.2") == "198.51.100.1")
        #expect(client("10.0.0.1", "10.5.5.5, 198.51.100.1, 10.0.0.2") == "198.51.100.1")
    }

    @Test func `comes from all fields as one list`() {
        #expect(client("10.0.0.1", "1.1.1.1", "198.51.100.1") == "198.51.100.1")
        #expect(client("10.0.0.1", "198.51.100.1", "10.0.0.3, 10.0.0.2") == "198.51.100.1")
        #expect(client("10.0.0.1", "198.51.100.1", "", "10.0.0.2") == "198.51.100.1")
    }

    @Test func `is the leftmost entry when everybody is trusted`() {
        #expect(client("10.0.0.1", "10.0.0.3, 10.0.0.2") == "10.0.0.3")
    }

    @Test(arguments: [
        "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:", "1.2.3.4:123456", "1.2.3.4:x", "[::1",
        "::1]",
        "[::1]80", "[1.2.3.4]", "[]:80", "fe80::1%eth0", "\"1.2.3.4\"", "1.2.3.4 5.6.7.8", "0.0.0.0", "::", "localhost",
        "é",
    ])
    func `is the last good one when an entry is rubbish`(entry: String) {
        #expect(client("10.0.0.1", "198.51.100.1, \(entry)") == "10.0.0.1")
        #expect(client("10.0.0.1", "198.51.100.1, \(entry), 10.0.0.2") == "10.0.0.2")
    }

    @Test func `may be written with brackets and ports`() {
        #expect(client("10.0.0.1", "198.51.100.1:555") == "198.51.100.1")
        #expect(client("10.0.0.1", "[2001:db8::1]:80") == "2001:db8::1")
        #expect(client("10.0.0.1", "[2001:DB8::1]") == "2001:db8::1")
        #expect(client("10.0.0.1", "2001:db8::1, [fd00::2]:1234, 10.0.0.2:9") == "2001:db8::1")
    }

    @Test func `is an IPv4 address when it is mapped into IPv6`() {
        #expect(client("::ffff:10.0.0.1", "::ffff:198.51.100.1") == "198.51.100.1")
        #expect(client("10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2") == "198.51.100.1")
    }

    @Test func `is looked for through a bounded number of entries`() {
        let last = "10.0.0.2"
        func chain(_ count: Int) -> String {
            (["198.51.100.1"] + Array(repeating: last, count: count)).joined(separator: ",")
        }
        #expect(client("10.0.0.1", chain(ClientAddress.maximumHops - 1)) == "198.51.100.1")
        #expect(client("10.0.0.1", chain(ClientAddress.maximumHops)) == last)
        #expect(client("10.0.0.1", "198.51.100.1" + String(repeating: ",", count: 100)) == "10.0.0.1")
    }
}
