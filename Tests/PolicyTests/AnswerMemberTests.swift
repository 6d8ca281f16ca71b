import Settings
import Testing

@testable import Policy
@testable import Wire

/// What a login's answer says in its body (docs/login-rules.md).
@Suite struct `A member of an answer` {
    private static func reader(_ member: String, _ values: [String]) -> ResponseReader {
        var configuration = House.configuration()
        var rule = Configuration.Login.Rule(
            name: "api", kind: .login, endpoints: [.init(method: "POST", path: "/api/login")], failureStatuses: [401],
            limit: 5, window: .seconds(60), block: .seconds(60))
        rule.failureMember = (member, values)
        configuration.login.rules = [rule]
        return ResponseReader(House.rules(configuration))
    }

    /// `failed`, `passed`, `more`, `malformed` or `unasked`.
    private func said(
        _ answer: String, _ member: String = "error.code", _ values: [String] = ["bad", "7", "false"],
        ended: Bool = false
    ) -> String {
        said(bytes: Array(answer.utf8), member, values, ended: ended)
    }

    private func said(
        bytes: [UInt8], _ member: String = "error.code", _ values: [String] = ["bad"], ended: Bool = false
    ) -> String {
        var reader = Self.reader(member, values)
        let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: .row(0))
        guard case .final(let response) = reader.parse(bytes.span, to: context) else { return "no answer" }
        guard !response.undecidedRows.isEmpty else { return response.isFailedLogin ? "failed" : "unasked" }
        switch reader.rows(ofBody: response, bytes.span, ended: ended) {
        case .more: return "more"
        case .malformed(let rows): return rows == .row(0) ? "malformed" : "malformed of nobody"
        case .failedRows(let rows): return rows.isEmpty ? "passed" : rows == .row(0) ? "failed" : "failed of others"
        }
    }

    private func answer(_ body: String, _ fields: String = "", status: Int = 200, type: String? = "application/json")
        -> String
    {
        let type = type.map { "Content-Type: \($0)\r\n" } ?? ""
        return "HTTP/1.1 \(status) X\r\n\(type)\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `is a failure by its value, whatever the status`() {
        for status in [200, 202, 302, 403, 500] {
            #expect(said(answer(#"{"error":{"code":"bad"}}"#, status: status)) == "failed")
            #expect(said(answer(#"{"error":{"code":"good"}}"#, status: status)) == "passed")
        }
        #expect(said(answer(#"{"x":[1,{"y":2}], "error" : { "code" : 7 , "more": "bad"} }"#)) == "failed")
        #expect(said(answer(#"{"error":{"code":false}}"#)) == "failed")
        #expect(said(answer(#"{"error":{"code":true}}"#)) == "passed")
        #expect(said(answer(#"{"error":{"code":"b\u0061d"}}"#)) == "failed", "as it is meant, not as it is written")
        #expect(said(answer(#"{"error.code":"bad"}"#)) == "failed", "a member of that very name")
        #expect(said(answer(#"{"code":"bad","error":{"codes":"bad"},"errors":{"code":"bad"}}"#)) == "passed")
        #expect(
            said(answer(#"{"text":"\"error\":{\"code\":\"bad\"}"}"#)) == "passed",
            "what a client has echoed is a string")
        #expect(said(answer("\u{feff} \r\n" + #"{"error":{"code":"bad"}}"#)) == "failed")
        #expect(said(answer("{}", status: 401)) == "failed", "by its status, and its body is not waited for")
    }

    @Test func `without values is a failure when it is there at all`() {
        for value in [#""x""#, "0", "false", "[]", #"{"a":1}"#] {
            #expect(said(answer("{\"error\":\(value)}"), "error", []) == "failed", "\(value)")
        }
        #expect(said(answer(#"{"error":null}"#), "error", []) == "passed")
        #expect(said(answer(#"{"ok":1}"#), "error", []) == "passed")
        #expect(said(answer(#"{"error":null}"#), "error", ["null"]) == "failed")
        #expect(said(answer(#"{"error":["bad"]}"#), "error", ["bad"]) == "passed", "a list has no one value")
    }

    @Test func `that cannot be read is a failure, or the guesser would see to that`() {
        let good = #"{"error":{"code":"good"}}"#
        #expect(said(answer(good, "Content-Encoding: gzip\r\n")) == "failed")
        #expect(said(answer(good, "Content-Encoding: identity\r\n")) == "passed")
        #expect(said(answer(good, "Content-Encoding: identity\r\nContent-Encoding: br\r\n")) == "failed")
        for broken in [#"{"error":{"code":"good"}"#, #"{'error':1}"#, good + "x", #"{"a":1,"a":2}"#, "\u{1}", "   "] {
            #expect(said(answer(broken)) == "failed", "\(broken)")
        }
        for other in ["[1]", #"[{"error":{"code":"bad"}}]"#, "\"token\"", "true", "null", "-1"] {
            #expect(said(answer(other)) == "failed", "\(other): there may be many answers in it")
            #expect(said(answer(other, type: nil)) == "failed")
        }
        // An error page of a broken server says nothing; anything else may be the form that the guesser asked for.
        #expect(said(answer("<html>", type: "text/html")) == "failed")
        #expect(said(answer("<html>", type: nil)) == "failed")
        for status in [302, 400, 403, 406, 499] {
            #expect(said(answer("<html>", status: status, type: "text/html")) == "failed", "\(status)")
        }
        #expect(said(answer("<html>", status: 502, type: "text/html")) == "passed")
        #expect(said(answer("<html>", status: 502, type: "application/problem+json; charset=utf-8")) == "failed")
        // Whatever it is called.
        #expect(said(answer(#"{"error":{"code":"bad"}}"#, type: "text/html")) == "failed")
        #expect(said(answer(good, type: "text/html")) == "passed")
    }

    @Test func `is not there where there is no body`() {
        #expect(said("HTTP/1.1 204 No Content\r\n\r\n") == "unasked")
        #expect(said("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == "unasked")
        #expect(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == "passed")
    }

    @Test func `may be what a redirect has hidden`() {
        for status in [302, 303, 304] {
            #expect(said("HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n") == "failed")
        }
        #expect(said("HTTP/1.1 302 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == "failed")
        #expect(
            said("HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n") == "unasked", "its status counts, where that is set")
    }

    @Test func `is not read again for every byte`() {
        func next(_ head: String, _ count: Int) -> Int {
            var reader = Self.reader("error", [])
            let context = ResponseContext(isHead: false, minorVersion: 1, loginRows: .row(0))
            guard case .final(let response) = reader.parse(Array(head.utf8).span, to: context) else { return -1 }
            return ResponseReader.nextLook(at: response, after: count) - response.headLength
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"
        let (ofChunked, ofLength) = (chunked.utf8.count, length.utf8.count)
        #expect(next(chunked, 8_000) == 10_000 - ofChunked)
        #expect(next(chunked, 16_000) == 16_385, "as much as is looked at")
        #expect(next(length, 8_000) == 9_000, "it is whole")
        #expect(next(length, ofLength) == ofLength / 4)
        #expect(next(chunked, 190_000) == 192 * 1_024 - ofChunked)
        let isEnd = ResponseReader.mayEnd(Array("1\r\nx\r\n0\r\n\r\n".utf8).span)
        let isNone = ResponseReader.mayEnd(Array("1\r\nx\r\n".utf8).span)
        #expect(isEnd && !isNone)
    }

    @Test func `is waited for until its body is whole`() {
        let whole =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"error\":\r\n10\r\n{\"code\": \"bad\"}}\r\n0\r\n\r\n"
        let head = whole.utf8.count - "9\r\n{\"error\":\r\n10\r\n{\"code\": \"bad\"}}\r\n0\r\n\r\n".utf8.count
        for cut in head..<whole.utf8.count { #expect(said(String(whole.utf8.prefix(cut))!) == "more") }
        #expect(said(whole) == "failed")
        let marked = Array(answer("\u{feff}{}").utf8)
        for missing in 1...4 { #expect(said(bytes: Array(marked.dropLast(missing))) == "more") }
        #expect(said(bytes: marked) == "passed")
        #expect(said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n") == "malformed")
        // One that ends with its connection.
        let open = "HTTP/1.1 200 OK\r\n\r\n{\"error\":{\"code\":\"bad\"}}"
        #expect(said(open) == "more")
        #expect(said(open, ended: true) == "failed")
        #expect(said("HTTP/1.1 200 OK\r\n\r\n", ended: true) == "passed")
        // What has a length is not whole before that.
        #expect(said("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", ended: true) == "more")
        #expect(
            said("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<h") == "failed", "that is not JSON, however it goes on")
    }

    @Test func `is looked for in the first 16 KiB`() {
        func long(_ start: String, _ end: String, _ filler: Int) -> String {
            answer("{\(start)\"filler\":\"\(String(repeating: "x", count: filler))\"\(end)}")
        }
        let bad = #""error":{"code":"bad"}"#
        let good = #""error":{"code":"good"}"#
        #expect(said(long("", "," + bad, 16_000)) == "failed")
        #expect(said(long(bad + ",", "", 100_000)) == "failed")
        #expect(said(long(good + ",", "", 100_000)) == "passed", "it has been seen")
        #expect(said(long("", "," + good, 100_000)) == "failed", "it may stand behind what is read")
        // A number that goes on behind the cut is another one.
        for filler in 16_340...16_384 {
            let start = "{\"filler\":\"\(String(repeating: "x", count: filler))\",\"error\":"
            let isCut = start.utf8.count + 3 >= 16_384
            #expect(said(answer(start + "123,\"t\":\"\(start)\"}"), "error", ["123"]) == "failed", "\(filler)")
            #expect(said(answer(start + "124, \"t\":{}}" + start), "error", ["123"]) == (isCut ? "failed" : "passed"))
        }
        let exact = 16_384 - "{\"filler\":\"\"}".utf8.count
        #expect(said(long("", "", exact)) == "passed")
        #expect(said(long("", "", exact + 1)) == "failed")
        // Chunks of one byte may hold little in much.
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\n \r\n", count: 32_768)
        #expect(said(chunks) == "failed")
    }
}
