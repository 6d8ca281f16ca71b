import Testing
import Wire

@Suite struct `An IP address` {
    @Test(arguments: [
        ("1.2.3.4", "1.2.3.4"), ("255.255.255.255", "255.255.255.255"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("::ffff:1.2.3.4", "1.2.3.4"), ("0:0:0:0:0:FFFF:1.2.3.4", "1.2.3.4"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("fe80::0001", "fe80::1"),
    ])
    func `is read in any spelling and written in one`(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test func `is counted by what one client has`() {
        func isOne(_ one: String, _ other: String) -> Bool { IPAddress(one)!.countedAs == IPAddress(other)!.countedAs }
        #expect(!isOne("192.0.2.1", "192.0.2.2"))
        #expect(isOne("2001:db8::1", "2001:db8::ffff:1:2"))
        #expect(!isOne("2001:db8::1", "2001:db8:0:1::1"))
        // Behind a translator all of IPv4 is in one /64 (RFC 6052 §2.1).
        #expect(!isOne("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2"))
        #expect(isOne("64:ff9b::192.0.2.1", "192.0.2.1"))
        #expect(isOne("64:ff9b::1:0:0", "64:ff9b::2:0:0"), "which is not in the translator's /96")
        #expect(IPAddress("64:ff9b::192.0.2.1")!.translatedV4 == 0xc000_0201)
        #expect(IPAddress("64:ff9b:1::192.0.2.1")!.translatedV4 == nil)
        #expect(IPAddress("192.0.2.1")!.translatedV4 == nil)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "1..2.3", ":", ":::", "::1::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5",
        "12345::", "g::",
        ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1::2:", "::1.2.3", "[::1]", "::1%lo", "1.2.3.4:80",
    ])
    func `is not read from anything else`(text: String) {
        #expect(IPAddress(text) == nil)
    }
}
