import Testing

@testable import Policy

/// What the scanner finds under the claim `name` of `json`; nil when the text is refused.
private func found(_ json: [UInt8], _ name: String = "a") -> String? {
    var plan = ClaimPlan()
    let claim = plan.claim(name)
    var scanner = ClaimScanner(capacity: 8_192)
    guard scanner.scan(json: json.span, plan) else { return nil }
    let value = scanner.value(claim)
    switch value.kind {
    case .absent, .null, .object: return "\(value.kind)"
    case .string, .number, .true, .false: return String(decoding: scanner.copy(value), as: UTF8.self)
    case .list:
        let elements = (0..<value.end - value.start).map { scanner.element($0, of: value) }
        return elements.map { $0.kind == .list ? "list" : String(decoding: scanner.copy($0), as: UTF8.self) }
            .joined(separator: "|")
    }
}

private func found(_ json: String, _ name: String = "a") -> String? { found(Array(json.utf8), name) }

@Suite struct `The claim scanner` {
    @Test(arguments: [
        (#"{"a":"x"}"#, "x"), (#"{"b":{"a":"no"},"a":"x"}"#, "x"), (#"{"a":-1.50e+2}"#, "-1.50e+2"),
        (#"{"a":true}"#, "true"), (#"{"a":null}"#, "null"), (#"{"b":1}"#, "absent"), (#"{"a":{"b":[]}}"#, "object"),
        (#"{"a":["x",["y"],1,"z"],"b":["q"]}"#, "x|list|1|z"), (#"{"a":[]}"#, ""),
        (#"{"a":"\"\\\/\b\f\n\r\t"}"#, "\"\\/\u{8}\u{c}\n\r\t"), (#"{"a":"\u00e9\ud83d\uDE00é😀"}"#, "é😀é😀"),
        (#"{"\u0061":"x\u0000y"}"#, "x\0y"), ("\t{ \"a\" :\r\n \"x\" } ", "x"),
    ])
    func `finds what is wanted`(_ json: String, _ expected: String) {
        #expect(found(json) == expected)
    }

    @Test func `finds a name with dots as a member first, then as a path`() {
        #expect(found(#"{"r":{"s":{"t":"deep"}}}"#, "r.s.t") == "deep")
        #expect(found(#"{"r":{"s":{"t":"deep"}},"r.s.t":"flat"}"#, "r.s.t") == "flat")
        #expect(found(#"{"https://x.example/roles":"flat"}"#, "https://x.example/roles") == "flat")
        #expect(found(#"{"r":{"s.t":"no"}}"#, "r.s.t") == "absent")
        #expect(found(#"{"r":[{"s":"no"}]}"#, "r.s") == "absent")
    }

    @Test(arguments: [
        #"{"a":1,"a":1}"#, #"{"a":1,"\u0061":2}"#, #"{"b":{"c":1,"c":2}}"#, #"{"b":[{"c":1,"c":2}]}"#,
        #"{"é":1,"\u00e9":2}"#,
    ])
    func `refuses a member name that comes twice, at any depth and in any spelling`(_ json: String) {
        #expect(found(json) == nil)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[]", "1", "\"a\"", "null", "{}x", "{}{}", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#,
        #"{"a":1 "b":2}"#, #"{a:1}"#, #"{'a':1}"#, #"{"a":[1,]}"#, #"{"a":[1 2]}"#, #"{"a":[}"#, #"{"a":tru}"#,
        #"{"a":True}"#, #"{"a":nul}"#, #"{"a":NaN}"#, #"{"a":.5}"#, #"{"a":1.}"#, #"{"a":1e}"#, #"{"a":1e+}"#,
        #"{"a":-}"#, #"{"a":00}"#, #"{"a":0x1}"#, #"{"a":1//}"#, #"{"a":"x}"#, #"{"a":"\x"}"#, #"{"a":"\u12g4"}"#,
        #"{"a":"\u12"}"#, #"{"a":"\"#, #"{"a":"\ud800"}"#, #"{"a":"\ud800\ud800"}"#, #"{"a":"\udc00"}"#,
        #"{"a":"\ud800x"}"#, "{\"a\":\"\n\"}", "{\"a\":\"\\n\t\"}", "\u{feff}{}", "{\u{a0}}",
    ])
    func `refuses what is not JSON`(_ json: String) {
        #expect(found(json) == nil)
    }

    @Test(
        arguments: [
            [0x80], [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80],
            [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98],
            [0xc3, 0x28], [0xe2, 0x28, 0xa1],
        ] as [[UInt8]])
    func `refuses text that is not UTF-8, before and behind an escape`(_ bytes: [UInt8]) {
        let (start, end) = (Array(#"{"a":""#.utf8), Array(#""}"#.utf8))
        #expect(found(start + bytes + end) == nil)
        #expect(found(start + Array(#"\n"#.utf8) + bytes + end) == nil)
        #expect(found(start + Array("é".utf8) + end) == "é")
    }

    @Test func `bounds depth, members, numbers and length`() {
        func nested(_ depth: Int) -> String {
            #"{"a":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(found(nested(16)) != nil)
        #expect(found(nested(17)) == nil)
        #expect(found(String(repeating: "{\"a\":", count: 4_000)) == nil)
        func members(_ count: Int) -> String {
            "{" + (1...count).map { "\"m\($0)\":0" }.joined(separator: ",") + "}"
        }
        #expect(found(members(128)) == "absent")
        #expect(found(members(129)) == nil)
        #expect(found("{\"a\":\(String(repeating: "1", count: 64))}") != nil)
        #expect(found("{\"a\":\(String(repeating: "1", count: 65))}") == nil)
        #expect(found("{\"a\":\"\(String(repeating: "x", count: 8_192 - 8))\"}") != nil)
        #expect(found("{\"a\":\"\(String(repeating: "x", count: 8_192 - 7))\"}") == nil)
    }

    @Test func `gives the same answer when its buffers are used again`() {
        var plan = ClaimPlan()
        let (a, b) = (plan.member("a"), plan.member("b"))
        var scanner = ClaimScanner(capacity: 100)
        let texts = [#"{"a":["x","y"],"b":"z"}"#, #"{"a":[{"#, #"{"b":"only"}"#].map { Array($0.utf8) }
        let results = texts.map { scanner.scan(json: $0.span, plan) }
        #expect(results == [true, false, true])
        #expect(scanner.value(a).kind == .absent)
        #expect(scanner.string(b) == Array("only".utf8))
    }
}
