import Testing
import Wire

@testable import Policy

@Suite struct `The answer with keys` {
    private static func answer(_ body: String, _ fields: String = "", status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// The verdict on the answer in pieces of so many bytes, closed behind the last one.
    private func verdict(_ text: String, piece: Int = .max) -> FetchedAnswer.Verdict {
        let answer = FetchedAnswer()
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(piece))
            rest = rest.dropFirst(piece)
            let verdict = answer.take(part.span)
            if verdict != .incomplete { return verdict }
        }
        return answer.ended()
    }

    private static let good = [
        answer("{}"), answer("{}", "Content-Type: application/json; charset=utf-8\r\n"),
        answer("{}", "Content-Type: Application/JWK-Set+JSON\r\n"), answer("{}", "Content-Encoding: identity\r\n"),
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer("{}"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n{}",
    ]

    @Test(arguments: good, [1, 2, 7, Int.max])
    func `is taken however it comes`(text: String, piece: Int) {
        #expect(
            verdict(text, piece: piece) == .document(FetchedDocument(bytes: Array("{}".utf8), lifetime: nil)))
    }

    @Test(arguments: [
        (answer("{}", status: "500 Oops"), "status 500"),
        (answer("{}", status: "204 No Content"), "status 204"),
        (answer("{}", "Location: https://evil.test/\r\n", status: "301 Moved"), "redirects are not followed"),
        (answer("{}", status: "101 Switching Protocols"), "status 101"),
        (answer("<p>", "Content-Type: text/html\r\n"), "text/html and not JSON"),
        (answer("{}", "Content-Type: application/jsonp\r\n"), "application/jsonp and not JSON"),
        (answer("{}", "Content-Type: \u{1b}[31m\r\n"), "control byte"),
        (answer("{}", "Content-Encoding: br\r\n"), "encoded (br)"),
        (answer("{}", "Content-Length: 2\r\n"), "Content-Length"),
        (answer("{}", "Transfer-Encoding: chunked\r\n"), "both present"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n", "more than 1048576 bytes"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", "closed before"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "malformed body"),
        ("HTTP/1.1 200 OK\r\n", "closed before"),
        ("HTTP/2 200\r\n\r\n", "malformed"),
        (String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 17) + answer("{}"), "too many interim"),
        ("HTTP/1.1 200 OK\r\nA: \(String(repeating: "a", count: 40_000))", "longer than allowed"),
    ])
    func `is refused for what two readers could see in two ways, or is none`(text: String, reason: String) {
        guard case .refused(let words) = verdict(text) else {
            Issue.record("it was taken: \(text.prefix(80))")
            return
        }
        #expect(words.contains(reason))
        #expect(words.utf8.allSatisfy { (0x20...0x7e).contains($0) })
    }

    @Test(arguments: [("400 No", true, false), ("429 Slow down", true, true), ("503 Away", false, false)])
    func `may be that too much was asked`(status: String, isAnswer: Bool, isRationed: Bool) {
        let answer = FetchedAnswer()
        #expect(answer.take(Array(Self.answer("", status: status).utf8).span) != .incomplete)
        #expect(answer.isAnswer == isAnswer && answer.isRationed == isRationed)
    }

    /// The head is read from its beginning each time.
    @Test func `is refused when its head comes in too many pieces`() {
        let text = Self.answer("{}", "A: \(String(repeating: "a", count: 300))\r\n")
        #expect(verdict(text, piece: 1) == .refused("the head of the answer comes in too many pieces"))
        #expect(verdict(text, piece: 2) == .document(FetchedDocument(bytes: Array("{}".utf8), lifetime: nil)))
    }

    /// RFC 9111 §4.2.1 and §5.2.2.
    @Test(
        arguments: [
            ("", nil), ("Cache-Control: max-age=300\r\n", 300), ("cache-control: public, MAX-AGE=300 \r\n", 300),
            ("Cache-Control: max-age=300\r\nAge: 100\r\n", 200),
            ("Cache-Control: max-age=300\r\nAge: -9999999999\r\n", 300),
            ("Cache-Control: max-age=300\r\nAge: 99999999999999999999\r\n", 300), ("Age: -1\r\n", nil),
            ("Cache-Control: max-age=10\r\nAge: 100\r\n", 0),
            ("Cache-Control: max-age=300\r\nCache-Control: max-age=60\r\n", 60), ("Cache-Control: no-store\r\n", 0),
            ("Cache-Control: max-age=300, no-cache\r\n", 0), ("Cache-Control: max-age=-1\r\n", nil),
            ("Cache-Control: max-age=99999999999999999999\r\n", nil), ("Cache-Control: s-maxage=5\r\n", nil),
            ("Cache-Control: max-age=99999999999\r\n", 366 * 86_400),
        ] as [(String, Int?)])
    func `says how long it holds`(fields: String, seconds: Int?) {
        guard case .document(let document) = verdict(Self.answer("{}", fields)) else {
            Issue.record("it was refused")
            return
        }
        #expect(document.lifetime == seconds.map { Interval.seconds($0) })
    }
}
