import Policy
import Testing
import Wire

@Suite struct `The keys of the ledger` {
    @Test func `are the ones the runbooks type`() {
        let address = IPAddress("198.51.100.7")!
        #expect(BlockKey.block(IPNetwork(address)) == "ip_block:198.51.100.7")
        let key = LoginKey(IPNetwork(address))
        #expect(BlockKey.failures(key) == "login_fail:198.51.100.7")
        #expect(BlockKey.seen(key) == "login_seen:{login_fail:198.51.100.7}")
        #expect(BlockKey.pending(key) == "login_pending:{login_fail:198.51.100.7}")
        #expect(BlockKey.block(IPNetwork("203.0.113.0/24")!) == "ip_block:203.0.113.0/24")
    }

    @Test func `of other rules are of the same families, and never those of an address`() {
        let network = IPNetwork("2001:db8::/64")!
        let mark = AccountMark("0123456789abcdef0000000000000001")!
        #expect(BlockKey.failures(LoginKey(rule: "mfa", network)) == "login_fail:mfa@2001:db8::/64")
        #expect(BlockKey.seen(LoginKey(rule: "mfa", network)) == "login_seen:{login_fail:mfa@2001:db8::/64}")
        let pair = LoginKey(rule: "accounts", network, account: mark)
        #expect(
            BlockKey.pending(pair)
                == "login_pending:{login_fail:accounts@0123456789abcdef0000000000000001@2001:db8::/64}")
        #expect(BlockKey.block(pair.subject) == "account_lock:0123456789abcdef0000000000000001@2001:db8::/64")
        let account = BlockSubject(BlockSubject.everywhere, account: mark)
        #expect(BlockKey.block(account) == "account_lock:0123456789abcdef0000000000000001")
        for subject in [pair.subject, account] {
            #expect(BlockKey.subject(ofBlock: BlockKey.block(subject)) == subject)
            #expect(LoginKey("x@\(subject)") == LoginKey(rule: "x", subject))
        }
    }

    @Test(arguments: [
        "account_lock:", "account_lock:192.0.2.1", "account_lock:0123456789ABCDEF0000000000000001",
        "account_lock:0123456789abcdef000000000000000", "account_lock:0123456789abcdef0000000000000001@",
        "account_lock:0123456789abcdef0000000000000001@10.1.2.3/8",
        "ip_block:0123456789abcdef0000000000000001", "ip_block:0123456789abcdef0000000000000001@192.0.2.1",
    ]) func `of accounts mean none when they cannot be read`(_ key: String) {
        #expect(BlockKey.subject(ofBlock: key) == nil)
    }

    @Test(arguments: ["", "login", "@192.0.2.1", "Login@192.0.2.1", "a b@192.0.2.1", "login@", "login@here"])
    func `of counting are read only as they are written`(_ text: String) {
        #expect(LoginKey(text) == nil)
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
