import Testing

@testable import Wire

private func written(capacity: Int = 100, _ compose: (inout ByteWriter) -> Void) -> String {
    var writer = ByteWriter(capacity: capacity)
    compose(&writer)
    return writer.bytes.text + (writer.overflowed ? " (overflowed)" : "")
}

@Suite struct `The byte writer` {
    @Test func `puts pieces one behind another`() {
        let bytes = Array("0123456789".utf8)
        let text = written {
            $0.append("static ")
            $0.append(UInt8(ascii: "b"))
            $0.append(bytes.span, 2..<4)
            $0.append(bytes.span.extracting(9..<10))
            $0.append([33, 32])
            $0.append(text: String("dyn") + "amic")
        }
        #expect(text == "static b239! dynamic")
    }

    @Test func `writes numbers`() {
        for (value, decimal, hexadecimal) in [
            (0, "0", "0"), (9, "9", "9"), (10, "10", "a"), (15, "15", "f"), (16, "16", "10"), (255, "255", "ff"),
            (4_096, "4096", "1000"), (262_144, "262144", "40000"), (Int.max, "9223372036854775807", "7fffffffffffffff"),
        ] {
            #expect(written { $0.append(decimal: value) } == decimal)
            #expect(written { $0.append(hexadecimal: value) } == hexadecimal)
        }
    }

    @Test(arguments: [
        "0.0.0.0", "255.255.255.255", "203.0.113.9", "10.0.0.100", "::", "::1", "2001:db8::1", "2001:db8:0:1:1:1:1:1",
    ])
    func `writes addresses in their canonical form`(address: String) {
        #expect(written { $0.append(IPAddress(address)!) } == address)
    }

    /// A hostile length cannot write past the end: what does not fit is left out as a whole.
    @Test func `leaves out what does not fit and says so`() {
        #expect(written(capacity: 3) { $0.append("abc") } == "abc")
        #expect(written(capacity: 3) { $0.append("abcd") } == " (overflowed)")
        #expect(
            written(capacity: 3) {
                $0.append("ab")
                $0.append("cd")
                $0.append("e")
            } == "abe (overflowed)")
        #expect(written(capacity: 2) { $0.append(decimal: 100) } == " (overflowed)")
        #expect(written(capacity: 0) { $0.append(UInt8(0)) } == " (overflowed)")
        #expect(written(capacity: 0) { $0.append("") } == "")
    }

    @Test func `begins anew`() {
        #expect(
            written(capacity: 3) {
                $0.append("abcd")
                $0.reset()
                $0.append("xyz")
            } == "xyz")
    }
}

@Suite struct `Characters of HTTP` {
    @Test func `are made small where they are capitals and nowhere else`() {
        for byte in UInt8.min...UInt8.max {
            let expected = (65...90).contains(byte) ? byte + 32 : byte
            #expect(Characters.lowercased(byte) == expected, "\(byte)")
            #expect(Characters.isDigit(byte) == (48...57).contains(byte), "\(byte)")
            #expect(Characters.isWhitespace(byte) == (byte == 32 || byte == 9), "\(byte)")
        }
    }

    @Test func `are compared without their case where that is asked for`() {
        func folded(_ text: String) -> Bool { Array(text.utf8).span.equalsIgnoringCase("keep-alive") }
        #expect(folded("keep-alive") && folded("Keep-Alive") && folded("KEEP-ALIVE"))
        #expect(!folded("keep_alive") && !folded("keep-aliv") && !folded("keep-alivee") && !folded(""))
        // `-` and CR differ by 0x20, as letters do.
        #expect(!folded("keep\ralive"))
        func isGet(_ text: String) -> Bool { Array(text.utf8).span.equals("GET") }
        #expect(isGet("GET") && !isGet("get") && !isGet("GE") && !isGet("GETS"))
        func equal(_ a: String, _ b: String) -> Bool { Array(a.utf8).span.equals(Array(b.utf8).span) }
        #expect(equal("ab", "ab") && !equal("ab", "abc") && !equal("ab", "aB") && equal("", ""))
    }
}
