import Testing
import Wire

@testable import GatewayCore

@Suite struct `A request to the admin server` {
    private func read(_ text: String) -> AdminRequestReader.Outcome {
        var fields = FieldTable(capacity: AdminRequestReader.fieldLimit)
        return AdminRequestReader.read(Array(text.utf8).span, into: &fields)
    }

    private func request(_ text: String) -> AdminRequest? {
        if case .complete(let request, _) = read(text) { request } else { nil }
    }

    private func status(_ text: String) -> Int? {
        if case .refused(let problem) = read(text) { problem.status } else { nil }
    }

    @Test func `is read with its query, its credentials and its claimed actor`() {
        let text =
            "GET /api/v1/blocks?limit=5&note=a%20b HTTP/1.1\r\nHost: x\r\nauthorization: Bearer t\r\n"
            + "X-Actor: alice\r\n\r\n"
        var wanted = AdminRequest(method: "GET", path: "/api/v1/blocks")
        wanted.query = ["limit": "5", "note": "a b"]
        wanted.authorization = Array("Bearer t".utf8)
        wanted.claimedActor = "alice"
        #expect(read(text) == .complete(wanted, consumed: text.utf8.count))
    }

    @Test func `waits for the whole body and leaves what follows`() {
        let head = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
        #expect(read(head + "abcd") == .incomplete)
        var wanted = AdminRequest(method: "POST", path: "/x")
        wanted.body = Array("abcde".utf8)
        #expect(read(head + "abcdeGET ") == .complete(wanted, consumed: head.utf8.count + 5))
    }

    @Test func `may come in chunks`() {
        let head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        let found = request(head + "2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
        #expect(found?.body == Array("abcde".utf8))
    }

    @Test func `keeps the connection unless it says otherwise`() {
        #expect(request("GET / HTTP/1.1\r\nHost: x\r\n\r\n")?.keepAlive == true)
        #expect(request("GET / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n")?.keepAlive == false)
        #expect(request("GET / HTTP/1.0\r\n\r\n")?.keepAlive == false)
    }

    /// RFC 9112 §9.3, §9.6: one option among others.
    @Test func `reads Connection as a list`() {
        for value in ["TE, close", "close,", "keep-alive, Close", ",close"] {
            let text = "GET / HTTP/1.1\r\nHost: x\r\nConnection: \(value)\r\n\r\n"
            #expect(request(text)?.keepAlive == false, "\(value)")
        }
        #expect(request("GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, closed\r\n\r\n")?.keepAlive == true)
        let two = "GET / HTTP/1.1\r\nHost: x\r\nConnection: TE\r\nConnection: close\r\n\r\n"
        #expect(request(two)?.keepAlive == false)
        #expect(status("GET / HTTP/1.1\r\nHost: x\r\nConnection: a b\r\n\r\n") == 400)
    }

    /// RFC 9112 §3.2.
    @Test func `has one Host, unless it is of HTTP/1.0`() {
        #expect(status("GET / HTTP/1.1\r\n\r\n") == 400)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n") == 400)
        #expect(status("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400)
        #expect(request("GET / HTTP/1.1\r\nHost:\r\n\r\n") != nil)
        #expect(request("GET / HTTP/1.0\r\n\r\n") != nil)
    }

    @Test func `is of HTTP/1`() {
        #expect(status("GET / HTTP/2.0\r\nHost: x\r\n\r\n") == 505)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        "GET /?all=true&all=false HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET x HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
    func `is refused when it could be read in two ways`(text: String) {
        #expect(status(text) == 400)
    }

    @Test func `is bounded`() {
        let field = "A: " + String(repeating: "b", count: AdminRequestReader.headLimit)
        #expect(status("GET / HTTP/1.1\r\nHost: x\r\n\(field)\r\n\r\n") == 413)
        #expect(status("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n") == 413)
        let chunk = "8000\r\n" + String(repeating: "c", count: 0x8000) + "\r\n"
        let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(status(head + chunk + chunk + "1\r\nd\r\n") == 413)
    }

    @Test func `cannot ask for a 100 Continue`() {
        #expect(status("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n") == 417)
    }
}

@Suite struct `An answer of the admin server` {
    private let noon = WallTime(seconds: 1_795_262_400)

    @Test func `is a whole message`() {
        let answer = AdminResponse.json(["status": "alive"])
        #expect(
            String(decoding: answer.bytes(keepAlive: true, toHead: false, at: noon), as: UTF8.self)
                == "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\n"
                + "Content-Length: 19\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n"
                + "{\"status\":\"alive\"}\n")
    }

    @Test func `to HEAD has the length and no body`() {
        let answer = AdminResponse.json(["status": "alive"])
        let text = String(decoding: answer.bytes(keepAlive: false, toHead: true, at: noon), as: UTF8.self)
        #expect(text.contains("\r\nContent-Length: 19\r\n"))
        #expect(text.hasSuffix("\r\nConnection: close\r\n\r\n"))
    }

    @Test func `about a problem follows RFC 9457`() {
        let answer = AdminProblem.unusable("reason is a string").response
        #expect(answer.contentType == "application/problem+json")
        #expect(
            String(decoding: answer.body, as: UTF8.self)
                == #"{"type":"about:blank","title":"A value cannot be used","status":422,"#
                + #""detail":"reason is a string","code":"REQ_001"}"# + "\n")
        let text = String(decoding: answer.bytes(keepAlive: true, toHead: true, at: noon), as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 422 Unprocessable Content\r\n"))
    }
}
