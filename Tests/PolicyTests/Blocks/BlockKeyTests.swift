import Policy
import Testing
import Wire

@Suite struct `The keys of the ledger` {
    @Test func `are the ones the runbooks type`() {
        let address = IPAddress("198.51.100.7")!
        #expect(BlockKey.block(IPNetwork(address)) == "ip_block:198.51.100.7")
        #expect(BlockKey.failures(IPNetwork(address)) == "login_fail:198.51.100.7")
        #expect(BlockKey.seen(IPNetwork(address)) == "login_seen:{login_fail:198.51.100.7}")
        #expect(BlockKey.pending(IPNetwork(address)) == "login_pending:{login_fail:198.51.100.7}")
        #expect(BlockKey.block(IPNetwork("203.0.113.0/24")!) == "ip_block:203.0.113.0/24")
    }

    @Test(arguments: [
        ("ip_block:1.2.3.4", "1.2.3.4"),
        ("ip_block:::ffff:1.2.3.4", "1.2.3.4"),
        ("ip_block:::FFFF:102:304", "1.2.3.4"),
        ("ip_block:2001:DB8::1", "2001:db8::1"),
        ("ip_block:2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
        ("ip_block:203.0.113.0/24", "203.0.113.0/24"),
        ("ip_block:2001:db8::/32", "2001:db8::/32"),
        ("ip_block:1.2.3.4/32", "1.2.3.4"),
    ]) func `mean the address, however it is spelled`(_ key: String, _ meaning: String) {
        #expect(BlockKey.network(ofBlock: key)?.description == meaning)
    }

    @Test(arguments: [
        "ip_block:", "ip_block:example.org", "ip_block:1.2.3", "ip_block:010.0.0.1", "ip_block:10.1.2.3/8",
        "ip_block:1.2.3.4 ", "ip_block:1.2.3.4/33", "login_fail:1.2.3.4",
    ]) func `mean nobody when they cannot be read`(_ key: String) {
        #expect(BlockKey.network(ofBlock: key) == nil)
    }
}
