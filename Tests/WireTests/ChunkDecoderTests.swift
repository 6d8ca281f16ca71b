import Testing

@testable import Wire

/// How a body ended, with its payload put together again.
private enum Outcome: Equatable {
    case complete(payload: String, rest: String)
    case unfinished(payload: String)
    case malformed(ChunkDecoder.Malformation)
}

/// Decodes the pieces one after another as a connection would.
private func decode(_ pieces: [[UInt8]]) -> Outcome {
    var decoder = ChunkDecoder()
    var payload: [UInt8] = []
    for (number, piece) in pieces.enumerated() {
        var offset = 0
        reading: while true {
            switch decoder.decode(piece.span, from: offset) {
            case .data(let range):
                precondition(!range.isEmpty)
                payload += piece[range]
                offset = range.upperBound
            case .needMore: break reading
            case .end(let next):
                let rest = Array(piece[next...]) + pieces[(number + 1)...].joined()
                return .complete(
                    payload: String(decoding: payload, as: UTF8.self), rest: String(decoding: rest, as: UTF8.self))
            case .malformed(let malformation): return .malformed(malformation)
            }
        }
    }
    return .unfinished(payload: String(decoding: payload, as: UTF8.self))
}

/// The same outcome in one piece, in every two pieces, and byte by byte.
private func expect(
    _ text: String, gives expected: Outcome, sourceLocation: SourceLocation = #_sourceLocation
) {
    let bytes = Array(text.utf8)
    for split in 0...bytes.count {
        #expect(
            decode([Array(bytes[..<split]), Array(bytes[split...])]) == expected, "split at \(split)",
            sourceLocation: sourceLocation)
    }
    #expect(decode(bytes.map { [$0] }) == expected, "byte by byte", sourceLocation: sourceLocation)
}

@Suite struct `The chunk decoder` {
    @Test func `takes chunks apart wherever the input is cut`() {
        expect("5\r\nhello\r\n0\r\n\r\n", gives: .complete(payload: "hello", rest: ""))
        expect("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", gives: .complete(payload: "hello world", rest: ""))
        expect("0\r\n\r\n", gives: .complete(payload: "", rest: ""))
        expect(
            "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n",
            gives: .complete(payload: "0123456789abcdefghij", rest: ""))
        expect("0000000000000003\r\nabc\r\n000\r\n\r\n", gives: .complete(payload: "abc", rest: ""))
    }

    @Test func `takes payload that looks like framing as payload`() {
        expect("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", gives: .complete(payload: "\r\n0\r\n\r\n", rest: ""))
    }

    @Test func `leaves what follows the body to the next request`() {
        expect("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", gives: .complete(payload: "x", rest: "GET / HTTP/1.1\r\n"))
    }

    @Test func `asks for more while the body is unfinished`() {
        expect("", gives: .unfinished(payload: ""))
        expect("5\r\nhel", gives: .unfinished(payload: "hel"))
        expect("5\r\nhello\r\n0\r\n", gives: .unfinished(payload: "hello"))
    }

    @Test func `tells payload as ranges of the input`() {
        var decoder = ChunkDecoder()
        let input = Array("3\r\nabc\r\n2\r\nde".utf8)
        #expect(decoder.decode(input.span, from: 0) == .data(3..<6))
        #expect(decoder.decode(input.span, from: 6) == .data(11..<13))
        #expect(decoder.decode(input.span, from: 13) == .needMore)
        #expect(!decoder.isComplete)
        let end = Array("\r\n0\r\n\r\nX".utf8)
        #expect(decoder.decode(end.span, from: 0) == .end(next: 7))
        #expect(decoder.isComplete)
        #expect(decoder.decode(end.span, from: 7) == .malformed(.afterEnd))
    }

    @Test func `checks extensions and drops them`() {
        expect("5;a\r\nhello\r\n0;b=c\r\n\r\n", gives: .complete(payload: "hello", rest: ""))
        expect(
            #"5;a=1;b;c="x;y\" z""# + "\r\nhello\r\n0\r\n\r\n", gives: .complete(payload: "hello", rest: ""))
        expect("5 ; a = \"\" ; b\t=\tc\r\nhello\r\n0\r\n\r\n", gives: .complete(payload: "hello", rest: ""))
    }

    @Test(arguments: [
        "5;;a\r\n", "5;=a\r\n", "5;a=;b\r\n", "5;a=b c\r\n", "5;a b\r\n", "5 5\r\n", "5;a=\"b\"c\r\n",
        "5;a=\"\u{1}\"\r\n",
        "5;a=b\u{0}\r\n", "5;a,b\r\n", "5;a=\"b\"\"c\"\r\n", "5;a=b=c\r\n", "5;\u{e9}\r\n",
    ])
    func `refuses a malformed extension`(text: String) {
        expect(text, gives: .malformed(.badExtension))
    }

    @Test(arguments: [
        "5\nhello\n0\n\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n", "5\r\nhello\r\n0\r\n\n",
        "5\rhello\r\n0\r\n\r\n", "5\r\r\nhello\r\n", "5;a\nhello\r\n", "5;a=\"x\n\"\r\nhello\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\rX", "5;a\rX\r\nhello", "0\r\nA: b\n\r\n", "0\r\nA: b\rc\r\n\r\n",
        // White space, a separator or an open quote before the end of the line is none of the grammar's either.
        "5;\r\nhello\r\n", "5;a \r\nhello\r\n", "5;a=\r\nhello\r\n", "5;a=\"b\r\nhello\r\n", "5;a=\"b\\\r\nhello\r\n",
        "5;a=\"b\" \r\nhello\r\n", "5 \r\nhello\r\n", "5\t\nhello\r\n",
    ])
    func `refuses a line that does not end with CRLF`(text: String) {
        expect(text, gives: .malformed(.badLineEnd))
    }

    @Test(arguments: [
        "\r\n", "g\r\n", "0x5\r\nhello\r\n", "-5\r\n", "+5\r\n", " 5\r\nhello\r\n", "5\r\nhello\r\n\r\n", "5_0\r\n",
        ";a\r\n", "\n", "5.\r\n", "\u{ff15}\r\n",
    ])
    func `refuses a size that is not hexadecimal`(text: String) {
        expect(text, gives: .malformed(.badSize))
    }

    @Test func `refuses a size that does not fit`() {
        expect("8000000000000000\r\n", gives: .malformed(.sizeTooLarge))
        expect("FFFFFFFFFFFFFFFF\r\n", gives: .malformed(.sizeTooLarge))
        expect("10000000000000005\r\nhello\r\n", gives: .malformed(.sizeTooLarge))
        expect("00000000000000005\r\nhello\r\n", gives: .malformed(.sizeTooLarge))
        expect("7fffffffffffffff\r\nhello", gives: .unfinished(payload: "hello"))
    }

    @Test func `discards trailer fields`() {
        expect("0\r\nX-Checksum: abc\r\nEmpty:\r\n\r\nnext", gives: .complete(payload: "", rest: "next"))
        expect("0\r\nServer-Timing:\tdb;dur=53\t\u{e9} \r\n\r\n", gives: .complete(payload: "", rest: ""))
        // Not the field itself, only its beginning.
        expect("0\r\nContent-Length-X: 1\r\nHos: a\r\n\r\n", gives: .complete(payload: "", rest: ""))
    }

    @Test(arguments: [
        "0\r\nA : b\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nA\r\n\r\n", "0\r\n: b\r\n\r\n",
        "0\r\nA: \u{0}\r\n\r\n", "0\r\nA: \u{7f}\r\n\r\n", "0\r\nA(: b\r\n\r\n",
    ])
    func `refuses a malformed trailer field`(text: String) {
        expect(text, gives: .malformed(.badTrailer))
    }

    @Test(arguments: [
        "Content-Length", "content-length", "TRANSFER-ENCODING", "Host", "Trailer", "Connection", "TE", "Upgrade",
        "Expect", "Content-Type", "Content-Encoding", "Content-Range", "Authorization", "Cookie", "Set-Cookie",
    ])
    func `drops a trailer field that frames or routes the message, like any other`(name: String) {
        expect("0\r\nX: y\r\n\(name): 5\r\n\r\nrest", gives: .complete(payload: "", rest: "rest"))
    }

    @Test func `bounds extensions over the whole body`() {
        let limit = ChunkDecoder.maximumExtensionBytes
        // `;`, the name and the CR behind it count.
        let chunk = "1;" + String(repeating: "e", count: 1_022) + "\r\nx\r\n"
        let allowed = String(repeating: chunk, count: limit / 1_024)
        #expect(
            decode([Array((allowed + "0\r\n\r\n").utf8)])
                == .complete(payload: String(repeating: "x", count: limit / 1_024), rest: ""))
        #expect(decode([Array((allowed + "0;a\r\n\r\n").utf8)]) == .malformed(.extensionsTooLong))
        let spaces = "1" + String(repeating: " ", count: limit + 1)
        #expect(decode([Array(spaces.utf8)]) == .malformed(.extensionsTooLong))
    }

    @Test func `bounds the trailer section`() {
        // The section counts with its last CRLF; the line has 5 bytes beside its value.
        let value = String(repeating: "v", count: ChunkDecoder.maximumTrailerBytes - 5 - 2)
        #expect(decode([Array("0\r\nA: \(value)\r\n\r\n".utf8)]) == .complete(payload: "", rest: ""))
        #expect(decode([Array("0\r\nA: v\(value)\r\n\r\n".utf8)]) == .malformed(.trailersTooLong))
        let many = String(repeating: "A:\r\n", count: ChunkDecoder.maximumTrailerBytes / 4 + 1)
        #expect(decode([Array("0\r\n\(many)\r\n".utf8)]) == .malformed(.trailersTooLong))
    }

    @Test func `stays small, because every connection holds one`() {
        #expect(MemoryLayout<ChunkDecoder>.size <= 16)
    }
}
