import Testing

@testable import GatewayCore

@Suite struct `JSON for operators` {
    private func read(_ text: String) throws(JSONFault) -> JSONValue { try JSONValue.read(Array(text.utf8)) }

    @Test func `keeps the order of members and escapes what a terminal would act on`() {
        let value: JSONValue = [
            "z": 1, "a": [true, .null, .decimal(-0.25)], "text": "\"\\\n\u{1b}[2J\u{7f}\u{2028}ö",
        ]
        #expect(
            value.text == #"{"z":1,"a":[true,null,-0.250],"text":"\"\\\n\u001b[2J\u007f\u2028ö"}"#)
    }

    @Test func `reads what it writes`() throws {
        let value: JSONValue = ["a": [1, -2, "x\u{1f600}"], "b": ["c": .null, "d": false], "": []]
        #expect(try read(value.text) == value)
        #expect(try read(" { \"a\" : \"\\ud83d\\ude00\\/\" } ") == ["a": "\u{1f600}/"])
        #expect(try read("1.5e1") == .decimal(15))
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "{a:1}", "01", "1.", "+1", "nul", "\"\t\"", "\"\\x\"", "\"\\ud800\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\"", "{\"a\":1,\"a\":2}", "1 2", "99999999999999999999", "\"a",
    ])
    func `refuses what is not strict JSON`(text: String) {
        #expect(throws: JSONFault.self) { _ = try read(text) }
    }

    @Test func `says where the fault is`() {
        #expect(throws: JSONFault(message: "a colon is missing", offset: 5)) { _ = try read("{\"a\" 1}") }
    }

    @Test func `is bounded in depth`() throws {
        let depth = 16
        let deepest = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(throws: Never.self) { _ = try read(deepest) }
        #expect(throws: JSONFault(message: "too deep", offset: depth)) { _ = try read("[\(deepest)]") }
    }

    @Test func `refuses bytes that are not UTF-8`() {
        #expect(throws: JSONFault.self) { _ = try JSONValue.read([0x22, 0xff, 0x22]) }
    }
}
