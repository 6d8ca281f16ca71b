import Testing

@testable import Wire

/// What came of a head, as text: `GET /a 1 | Name=value | next 30`, `incomplete`, or the fault.
private func parse(
    _ text: String, head: Int = 32_768, target: Int = 8_192, fields capacity: Int = 100
) -> String {
    parse(Array(text.utf8), head: head, target: target, fields: capacity)
}

private func parse(_ bytes: [UInt8], head: Int = 32_768, target: Int = 8_192, fields capacity: Int = 100) -> String {
    var fields = FieldTable(capacity: capacity)
    let limits = HeadParser.Limits(headBytes: head, targetBytes: target)
    switch HeadParser.parseRequest(bytes.span, into: &fields, limits: limits) {
    case .incomplete: return "incomplete"
    case .malformed(let fault): return "\(fault)"
    case .complete(let line, let length):
        let parts = ["\(text(bytes, line.method)) \(text(bytes, line.target)) \(line.minorVersion)"]
        return (parts + shown(fields, bytes) + ["next \(length)"]).joined(separator: " | ")
    }
}

private func parseResponse(_ text: String, head: Int = 32_768) -> String {
    let bytes = Array(text.utf8)
    var fields = FieldTable(capacity: 100)
    let limits = HeadParser.Limits(headBytes: head, targetBytes: 1)
    switch HeadParser.parseResponse(bytes.span, into: &fields, limits: limits) {
    case .incomplete: return "incomplete"
    case .malformed(let fault): return "\(fault)"
    case .complete(let line, let length):
        return (["\(line.status) \(line.minorVersion)"] + shown(fields, bytes) + ["next \(length)"])
            .joined(separator: " | ")
    }
}

private func shown(_ fields: borrowing FieldTable, _ bytes: [UInt8]) -> [String] {
    (0..<fields.count).map { "\(text(bytes, fields[$0].name))=\(text(bytes, fields[$0].value))" }
}

private func text(_ bytes: [UInt8], _ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

@Suite struct `The head parser` {
    @Test func `tells where everything stands`() {
        #expect(
            parse("GET /a?b HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nX:\t a b \t\r\n\r\nbody")
                == "GET /a?b 1 | Host=h | X-Empty= | X=a b | next 51")
        #expect(parse("OPTIONS * HTTP/1.0\r\n\r\n") == "OPTIONS * 0 | next 22")
        #expect(parse("\r\nG / HTTP/1.1\r\n\r\n") == "G / 1 | next 18")
        #expect(parseResponse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n") == "200 1 | A=b | next 25")
        #expect(parseResponse("HTTP/1.0 404\r\n\r\nx") == "404 0 | next 16")
        #expect(parseResponse("HTTP/1.1 200 \r\n\r\n") == "200 1 | next 17")
    }

    @Test func `keeps the whole line of a field, to be cut out with its CRLF`() {
        let bytes = Array("GET / HTTP/1.1\r\nA: 1\r\nBc:2 \r\n\r\n".utf8)
        var fields = FieldTable(capacity: 4)
        _ = HeadParser.parseRequest(bytes.span, into: &fields, limits: .init(headBytes: 100, targetBytes: 100))
        let lines = (0..<fields.count).map { text(bytes, fields[$0].line) }
        #expect(lines == ["A: 1\r\n", "Bc:2 \r\n"])
    }

    /// Two ways to cut must not give two requests.
    @Test func `waits for the whole head wherever it is cut`() {
        let request = "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
        for cut in 0..<request.utf8.count {
            #expect(parse(Array(request.utf8.prefix(cut))) == "incomplete", "after \(cut)")
        }
        #expect(parse(request) == "POST /a 1 | Host=h | X=y | next 37")
        let response = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"
        for cut in 0..<response.utf8.count {
            #expect(parseResponse(String(response.utf8.prefix(cut))!) == "incomplete", "after \(cut)")
        }
    }

    @Test(arguments: [
        ("GET  / HTTP/1.1\r\n\r\n", "startLine"), (" GET / HTTP/1.1\r\n\r\n", "startLine"),
        ("GET /  HTTP/1.1\r\n\r\n", "startLine"), ("GET / HTTP/1.1 \r\n\r\n", "startLine"),
        ("GET\t/ HTTP/1.1\r\n\r\n", "startLine"), ("GET / HTTP/1.1\n\n", "startLine"),
        ("GET / HTTP/1.1\rX", "startLine"), ("GET /\r\n\r\n", "startLine"), ("\n", "startLine"),
        ("\rX", "lineEnding"), ("\r\n\r\n\r\n", "startLine"), ("GET / http/1.1\r\n\r\n", "startLine"),
        ("GET / HTTP/1.1X", "startLine"), ("GET / HTTP/a.1\r\n\r\n", "startLine"),
        ("GET / HTTP/1,1\r\n\r\n", "startLine"),
        ("GET / HTTP/10.0\r\n\r\n", "startLine"), ("GET / HTTP/2.0\r\n\r\n", "version"),
        ("GET / HTTP/0.9\r\n\r\n", "version"),
        ("GET /\u{0} HTTP/1.1\r\n\r\n", "startLine"), ("GET /\u{7f} HTTP/1.1\r\n\r\n", "startLine"),
        ("G@T / HTTP/1.1\r\n\r\n", "startLine"), ("GET / HTTP/1.1\r\n A: b\r\n\r\n", "lineFolding"),
        ("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", "lineFolding"),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "whitespaceBeforeColon"),
        ("GET / HTTP/1.1\r\nA\r\n\r\n", "fieldWithoutColon"), ("GET / HTTP/1.1\r\n: b\r\n\r\n", "fieldName"),
        ("GET / HTTP/1.1\r\nA(: b\r\n\r\n", "fieldName"), ("GET / HTTP/1.1\r\nA: b\n\r\n", "lineEnding"),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "lineEnding"), ("GET / HTTP/1.1\r\nA: b\u{0}\r\n\r\n", "controlByte"),
        ("GET / HTTP/1.1\r\nA: \u{7f}\r\n\r\n", "controlByte"), ("GET / HTTP/1.1\r\nA: b\r\n\rX", "lineEnding"),
        ("GET / HTTP/1.1\r\n\n", "fieldWithoutColon"),
    ])
    func `names what is wrong`(text: String, fault: String) {
        #expect(parse(text) == fault)
    }

    /// A fault is told as soon as it is there: nobody gets time to send more behind it.
    @Test func `does not wait behind a fault`() {
        #expect(parse("GET  ") == "startLine")
        #expect(parse("GET / HTTX") == "startLine")
        #expect(parse("GET / HTTP/3.0") == "version")
        #expect(parse("GET / HTTP/1.1\r\nA ") == "whitespaceBeforeColon")
        #expect(parse("GET / HTTP/1.1\r\n ") == "lineFolding")
        #expect(parse(String(repeating: "A", count: 65)) == "method")
        #expect(parseResponse("HTTP/1.1 2x0 OK") == "startLine")
        #expect(parseResponse("HTTX") == "startLine")
    }

    @Test func `bounds the head, the target, the fields and the method`() {
        let head = "GET / HTTP/1.1\r\nA: b\r\n\r\n"
        #expect(parse(head, head: head.utf8.count) == "GET / 1 | A=b | next 24")
        #expect(parse(head, head: head.utf8.count - 1) == "tooLong")
        #expect(parse(String(head.dropLast()), head: head.utf8.count - 2) == "tooLong")
        #expect(parse(head + String(repeating: "x", count: 99), head: 24) == "GET / 1 | A=b | next 24")
        #expect(parse("GET /23 HTTP/1.1\r\n\r\n", target: 3) == "GET /23 1 | next 20")
        #expect(parse("GET /234", target: 3) == "targetTooLong")
        #expect(parse(head, fields: 1) == "GET / 1 | A=b | next 24")
        #expect(parse("GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", fields: 1) == "tooManyFields")
        #expect(parse(String(repeating: "A", count: 64) + " / HTTP/1.1\r\n\r\n").hasSuffix("next 79"))
        #expect(parse(String(repeating: "A", count: 65) + " / HTTP/1.1\r\n\r\n") == "method")
        #expect(parseResponse("HTTP/1.1 200 " + String(repeating: "x", count: 50), head: 60) == "tooLong")
    }

    @Test(arguments: [
        ("HTTP/1.1 099 X\r\n\r\n", "startLine"), ("HTTP/1.1 600 X\r\n\r\n", "startLine"),
        ("HTTP/1.1 2000 X\r\n\r\n", "startLine"), ("HTTP/1.1  200 X\r\n\r\n", "startLine"),
        ("HTTP/1.1\t200 X\r\n\r\n", "startLine"), ("HTTP/2.0 200 X\r\n\r\n", "version"),
        ("HTTP/1.1 200 X\n\r\n", "lineEnding"), ("HTTP/1.1 200 \u{0}\r\n\r\n", "lineEnding"),
        ("\r\nHTTP/1.1 200 X\r\n\r\n", "startLine"), ("GET / HTTP/1.1\r\n\r\n", "startLine"),
    ])
    func `names what is wrong with a status line`(text: String, fault: String) {
        #expect(parseResponse(text) == fault)
    }

    /// RFC 9110 §5.5: every byte, at every place of a value that is read in words of eight.
    @Test func `lets exactly these bytes stand in a value`() {
        for byte in UInt8.min...UInt8.max {
            let isAllowed = byte == 9 || byte >= 32 && byte != 127
            for place in 0..<20 {
                let value = [UInt8](repeating: UInt8(ascii: "x"), count: place) + [byte] + Array("yz".utf8)
                let bytes = Array("GET / HTTP/1.1\r\nA: x".utf8) + value + Array("\r\n\r\n".utf8)
                #expect(parse(bytes).hasPrefix("GET ") == isAllowed, "\(byte) at \(place)")
            }
        }
    }

    /// RFC 9110 §5.6.2: tokens.
    @Test func `lets exactly these bytes stand in a name and a method`() {
        let others = Set("!#$%&'*+-.^_`|~".utf8)
        for byte in UInt8.min...UInt8.max {
            let scalar = Unicode.Scalar(byte)
            let isAllowed =
                others.contains(byte) || scalar.isASCII && Character(scalar).isLetter
                || (48...57).contains(byte)
            #expect(Characters.token.contains(byte) == isAllowed, "\(byte)")
            let field = Array("GET / HTTP/1.1\r\nA".utf8) + [byte] + Array("B: y\r\n\r\n".utf8)
            // A colon ends the name, and the value begins.
            #expect(parse(field).hasPrefix("GET ") == (isAllowed || byte == UInt8(ascii: ":")), "\(byte)")
            let method = Array("G".utf8) + [byte] + Array("T / HTTP/1.1\r\n\r\n".utf8)
            #expect(parse(method).hasSuffix(" / 1 | next 18") == isAllowed, "\(byte)")
        }
    }
}

@Suite struct `The beginning of a head` {
    private let limits = HeadParser.Limits(headBytes: 32_768, targetBytes: 8_192)

    /// What it costs to get `head` in single bytes: how often it is parsed, and how many bytes are read for it.
    private func cost(of head: [UInt8]) -> (times: Int, bytes: Int) {
        var times = 0
        var bytes = 0
        var parsed = 0
        for count in 1...head.count {
            let beginning = head.span.extracting(0..<count)
            guard HeadParser.isWorthParsing(beginning, from: count - 1, parsed: parsed, limits: limits) else {
                continue
            }
            parsed = count
            times += 1
            bytes += count
        }
        return (times, bytes)
    }

    /// Parsed at every byte it would be 537 million.
    @Test func `is not parsed at every byte that comes`() {
        let line = Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 32_700))".utf8)
        let once = cost(of: line)
        #expect(once.times < 500)
        #expect(once.bytes < 64 * line.count + 64 * 128)
        let lines = Array(
            ("GET / HTTP/1.1\r\nHost: a\r\n"
                + String(repeating: "X: \(String(repeating: "x", count: 320))\r\n", count: 98)).utf8)
        #expect(cost(of: lines).times < 600)
    }

    @Test func `is parsed when a line is complete`() {
        let beginning = Array("GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 1_000))\r".utf8)
        func isWorthParsing(with byte: UInt8) -> Bool {
            let more = beginning + [byte]
            return HeadParser.isWorthParsing(
                more.span, from: beginning.count, parsed: beginning.count, limits: limits)
        }
        #expect(isWorthParsing(with: 10))
        #expect(!isWorthParsing(with: 65))
    }

    /// However little came last: it is refused now, and not when the time of heads is over.
    @Test func `is parsed when it is too long`() {
        let head = Array("GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 40_000))".utf8)
        func isWorthParsing(_ count: Int) -> Bool {
            HeadParser.isWorthParsing(
                head.span.extracting(first: count), from: count - 1, parsed: count - 1, limits: limits)
        }
        #expect(!isWorthParsing(32_767))
        #expect(isWorthParsing(32_768))
        #expect(isWorthParsing(33_000))
    }

    @Test func `is parsed at every byte while it is short`() {
        #expect(cost(of: Array("GET / HTTP/1.1".utf8)).times == 14)
    }
}

@Suite struct `A field line` {
    private func parse(_ line: String, at start: Int = 0) -> String {
        let bytes = Array(line.utf8)
        switch FieldLine.parse(bytes.span, at: start) {
        case .incomplete: return "incomplete"
        case .malformed(let fault): return "\(fault)"
        case .complete(let field, let length):
            return "\(text(bytes, field.name))=\(text(bytes, field.value)) \(length)"
        }
    }

    @Test func `is a name, a colon and a value without white space around it`() {
        #expect(parse("A:b\r\n") == "A=b 5")
        #expect(parse("A: \t b\tc \t\r\nnext") == "A=b\tc 12")
        #expect(parse("A:\r\n") == "A= 4")
        #expect(parse("A: \t \r\n") == "A= 7")
        #expect(parse("A: b: c\r\n") == "A=b: c 9")
        #expect(parse("xxA: b\r\n", at: 2) == "A=b 6")
    }

    @Test func `is not there before its LF`() {
        for cut in 0..<6 { #expect(parse(String("A: b\r\n".utf8.prefix(cut))!) == "incomplete", "after \(cut)") }
    }

    /// At every place of a name, in words and byte by byte.
    @Test func `tells of a sign in its name`() {
        for length in [1, 2, 7, 8, 9, 16, 17] {
            for at in 0..<length {
                for byte in UInt8(0x21)..<0x7f where Characters.token.contains(byte) {
                    var name = Array(repeating: UInt8(ascii: "a"), count: length)
                    name[at] = byte
                    let isUsual = Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber
                    for value in [":\r\n", ": something that is longer than a word\r\n"] {
                        let line = name + Array(value.utf8)
                        guard case .complete(let field, _) = FieldLine.parse(line.span, at: 0) else {
                            Issue.record("\(line) is no field line")
                            continue
                        }
                        #expect(field.hasUnusualName == !(isUsual || byte == UInt8(ascii: "-")), "\(line)")
                    }
                }
            }
        }
    }

    @Test func `has a name that fits`() {
        #expect(parse(String(repeating: "a", count: 65_536) + ": b\r\n") == "fieldName")
    }
}

/// Eight bytes at a time must find what one at a time finds.
@Suite struct `Words of a head` {
    private func prefix(of word: UInt64, _ holds: (UInt8) -> Bool) -> Int {
        (0..<8).first { !holds(UInt8(truncatingIfNeeded: word >> UInt64(8 * $0))) } ?? 8
    }

    private func isOfName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d: true
        default: false
        }
    }

    @Test func `end at the same byte, whichever it is and wherever it stands`() {
        for neighbour: UInt8 in [0x61, 0x2d, 0x39, 0xff, 0x00, 0x7f, 0x20] {
            for place in 0..<8 {
                for byte in UInt8.min...UInt8.max {
                    let shift = UInt64(8 * place)
                    let word = UInt64(neighbour) &* 0x0101_0101_0101_0101 & ~(0xff << shift) | UInt64(byte) << shift
                    #expect(Words.unmarkedPrefix(Words.unusualNameMarks(word)) == prefix(of: word, isOfName))
                    #expect(
                        Words.unmarkedPrefix(Words.controlMarks(word)) == prefix(of: word) { $0 >= 0x20 && $0 != 0x7f })
                    #expect(
                        Words.unmarkedPrefix(Words.untargetedMarks(word))
                            == prefix(of: word) { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
                }
            }
        }
    }
}
