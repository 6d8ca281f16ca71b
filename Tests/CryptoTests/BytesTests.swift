import Testing

@testable import Crypto

private func decode(_ text: String) -> [UInt8]? {
    let bytes = Array(text.utf8)
    return Base64URL.decode(bytes.span)
}

@Suite struct `Base64url` {
    @Test(arguments: [
        ("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmE", "fooba"),
        ("Zm9vYmFy", "foobar"), ("fn5-fz8_", "~~~\u{7f}??"),
    ])
    func `reads and writes the vectors of RFC 4648`(_ text: String, _ bytes: String) {
        #expect(decode(text) == Array(bytes.utf8))
        let input = Array(bytes.utf8)
        let encoded = Base64URL.encode(input.span)
        #expect(encoded == text)
    }

    @Test(arguments: [
        "Zg==", "Zm8=", "=", "Z", "Zm9vY", "Zm 9", "Zm9v\n", " Zm9v", "Zm+v", "Zm/v", "Zm9v.", "Zmé", "Zm9\0", "Zh",
        "Zm9", "Zm9vYh", "____A",
    ])
    func `refuses padding, white space, the other alphabet, bad lengths and stray bits`(_ text: String) {
        #expect(decode(text) == nil)
    }

    @Test func `reads back every byte`() {
        let bytes = (0..<768).map { UInt8(truncatingIfNeeded: $0 &* 167) }
        for count in 760...768 {
            let part = Array(bytes[..<count])
            let text = Base64URL.encode(part.span)
            #expect(decode(text) == part)
        }
    }

    @Test func `does not write behind the buffer it was given`() {
        var buffer: [UInt8] = [9, 9, 9, 9]
        let text = Array("Zm9vYg".utf8)
        func decode(_ text: [UInt8], to buffer: inout [UInt8]) -> Int? {
            var span = buffer.mutableSpan
            return Base64URL.decode(text.span, into: &span)
        }
        var small: [UInt8] = [9, 9, 9]
        let inSmall = decode(text, to: &small)
        #expect(inSmall == nil)
        let inLarge = decode(Array(text[..<4]), to: &buffer)
        #expect(inLarge == 3)
        #expect(buffer == Array("foo".utf8) + [9])
    }
}

@Suite struct `Some bytes` {
    @Test func `are digested by SHA-256 as FIPS 180-2 says`() {
        func digest(_ text: String) -> String {
            let message = Array(text.utf8)
            return Base64URL.encode(Bytes.sha256(message.span).span)
        }
        #expect(digest("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
        #expect(digest("") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")
    }

    @Test func `are equal when length and content are`() {
        let pairs: [([UInt8], [UInt8], Bool)] = [
            ([], [], true), ([1], [1], true), ([1], [2], false), ([1], [], false), ([1, 2], [1, 2, 0], false),
        ]
        for (a, b, expected) in pairs {
            let fast = Bytes.equal(a.span, b.span)
            let constant = Bytes.constantTimeEqual(a.span, b.span)
            #expect(fast == expected)
            #expect(constant == expected)
        }
    }

    @Test func `are found from a place on`() {
        let text = Array("a.b.c".utf8)
        let found = [0, 2, 4, 5].map { Bytes.index(of: 46, in: text.span, from: $0) }
        #expect(found == [1, 3, nil, nil])
    }

    @Test func `that are random differ each time`() {
        #expect(Bytes.random(16).count == 16)
        #expect(Bytes.random(16) != Bytes.random(16))
    }
}
