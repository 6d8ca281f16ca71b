import Policy
import Testing
import Wire

@testable import Ledger

@Suite struct `The protocol of Redis` {
    private func replies(_ chunks: [String]) throws -> [RESPValue] {
        let reader = RESPReader()
        var all: [RESPValue] = []
        for chunk in chunks {
            let bytes = Array(chunk.utf8)
            try reader.feed(bytes.span)
            while let reply = try reader.next() { all.append(reply) }
        }
        return all
    }

    private func feed(_ reader: RESPReader, _ text: String) throws {
        let bytes = Array(text.utf8)
        try reader.feed(bytes.span)
    }

    @Test func `has a value for every kind of reply`() throws {
        let all = try replies(["+OK\r\n-WRONGTYPE no\r\n:-2\r\n$3\r\na\u{0}b\r\n$-1\r\n*-1\r\n*2\r\n:1\r\n*0\r\n"])
        #expect(
            all == [
                .status("OK"), .error("WRONGTYPE no"), .integer(-2), .bytes([97, 0, 98]), .null, .null,
                .array([.integer(1), .array([])]),
            ])
    }

    @Test func `is read the same however it is cut into pieces`() throws {
        let text = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$16\r\nip_block:1.2.3.4\r\n:7\r\n"
        let whole = try replies([text])
        #expect(whole.count == 2)
        #expect(try replies(text.map(String.init)) == whole)
    }

    @Test func `is not read on after nonsense`() {
        #expect(throws: LedgerError.self) { try replies(["HTTP/1.1 400 Bad Request\r\n"]) }
    }

    @Test(arguments: [
        "*2147483647\r\n", "*4194305\r\n", "*4000000\r\n*4000000\r\n", "*1\r\n*1\r\n*1\r\n*4194304\r\n",
        "+" + String(repeating: "a", count: 70_000), "-" + String(repeating: "a", count: 70_000),
        "$" + String(repeating: "1", count: 70_000), "*" + String(repeating: "0", count: 70_000),
        "*2\r\n:1\r\n:" + String(repeating: "1", count: 70_000),
    ]) func `is not read on when one reply wants too much`(_ text: String) {
        #expect(throws: LedgerError.self) { try replies([text]) }
    }

    @Test func `has room for many elements and long values, reply after reply`() throws {
        let reader = RESPReader(mostElements: 100)
        for _ in 0..<3 {
            try feed(reader, "*10\r\n" + String(repeating: "*8\r\n" + String(repeating: ":1\r\n", count: 8), count: 10))
            #expect(try reader.next()?.array?.count == 10)
        }
        try feed(reader, "*10\r\n" + String(repeating: "*10\r\n" + String(repeating: ":1\r\n", count: 10), count: 10))
        #expect(throws: LedgerError("a reply of more than 100 elements")) { try reader.next() }
        let long = String(repeating: "a", count: 200_000)
        let value = "$200000\r\n\(long)\r\n"
        #expect(
            try replies([String(value.prefix(100_000)), String(value.dropFirst(100_000))]) == [.bytes(Array(long.utf8))]
        )
    }

    @Test func `ends with a reply that does not`() throws {
        let reader = RESPReader(largest: 100_000)
        let chunk = String(repeating: "a", count: 60_000)
        // Whole replies do not add up.
        for _ in 0..<3 {
            try feed(reader, "$60000\r\n\(chunk)\r\n")
            #expect(try reader.next() != nil)
        }
        try feed(reader, "$9000000\r\n\(chunk)")
        #expect(try reader.next() == nil)
        try feed(reader, chunk)
        #expect(throws: LedgerError("a reply of more than 100000 bytes")) { try reader.next() }
    }

    @Test func `is written so that no argument can be taken for another`() {
        let bytes = RESPCommand.encode(["SET", "a b\r\n", ""])
        #expect(String(decoding: bytes, as: UTF8.self) == "*3\r\n$3\r\nSET\r\n$5\r\na b\r\n\r\n$0\r\n\r\n")
    }
}

@Suite struct `The value of a block` {
    private func record(_ origin: BlockOrigin, reason: String, actor: String) -> BlockRecord {
        BlockRecord(
            network: IPNetwork("192.0.2.1")!, origin: origin, reason: reason, actor: actor,
            since: WallTime(milliseconds: 1_795_245_556_123), deadline: .never)
    }

    @Test func `is short JSON that says who, why, how many and when`() {
        let value = BlockValue(record(.automatic(failures: 5), reason: "failed_logins", actor: "gateway"))
        #expect(
            value.text
                == #"{"by":"gateway","reason":"failed_logins","failures":5,"at":"2026-11-21T07:19:16.123Z"}"#)
        #expect(BlockValue(Array(value.text.utf8)) == value)
    }

    @Test func `survives quotes, control characters and other alphabets`() {
        let value = BlockValue(record(.command, reason: "say \"no\" \\ \n\u{1}", actor: "žofie"))
        #expect(BlockValue(Array(value.text.utf8)) == value)
        #expect(value.origin == .command)
    }

    @Test(arguments: [
        "1", "", "true", "{}", #"{"by":"x"}"#, #"{"by":"x","reason":"y","at":"yesterday"}"#,
        #"{"by":"x","reason":"y","failures":"5","at":"2026-11-21T07:19:16.123Z"}"#,
        #"{"by":"x","reason":"y","at":"2026-11-21T07:19:16.123Z"} "# + "x", #"{"by":"x"#, #"{"by":"\u00"#,
        #"{"by":"x","reason":"y","at":"2026-02-31T07:19:16.123Z"}"#,
    ]) func `set by hand is whatever the gateway did not write`(_ text: String) {
        #expect(BlockValue(Array(text.utf8)) == nil)
    }
}
