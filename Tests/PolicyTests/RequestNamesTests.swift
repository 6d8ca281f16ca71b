import Testing

@testable import Policy
@testable import Wire

@Suite struct `The names of a request` {
    private let head = "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: from-outside\r\n\r\n"

    @Test func `are written for the backend as they stand in the log`() {
        let gate = Gate()
        _ = gate.decide(head)
        let trace = gate.trace(head)
        #expect(trace.requestIDText == "10e0000000009d8010e0b61ce1009d80")
        #expect(trace.traceIDText == "0000000000002d000000000000000000")
        #expect(
            trace.written
                == "X-Request-Id: 10e0000000009d8010e0b61ce1009d80\r\n"
                + "traceparent: 00-0000000000002d000000000000000000-000000005a007080-02\r\n")
    }

    @Test func `are others for every request`() {
        let gate = Gate()
        var seen: Set<String> = []
        for _ in 0..<1_000 {
            _ = gate.decide(head)
            seen.insert(gate.trace(head).requestIDText)
        }
        #expect(seen.count == 1_000)
    }

    @Test func `are taken over from a trusted peer only`() {
        let gate = Gate()
        _ = gate.decide(head, from: "10.0.0.1")
        #expect(gate.trace(head, from: "10.0.0.1").requestIDText == "from-outside")
        _ = gate.decide(head)
        #expect(gate.trace(head).requestIDText != "from-outside")
    }

    @Test func `keep the sampling of a trace that is continued`() {
        let gate = Gate()
        let head =
            "GET / HTTP/1.1\r\nHost: h\r\ntraceparent: cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-x\r\n\r\n"
        _ = gate.decide(head)
        let trace = gate.trace(head)
        #expect(trace.traceIDText == "4bf92f3577b34da6a3ce929d0e0e4736")
        // Ours in version 00, with the two flags that it knows.
        #expect(trace.written.hasSuffix("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000002d00-03\r\n"))
    }

    @Test func `of nothing are nothing`() {
        #expect(RequestTrace().requestIDText.isEmpty)
        #expect(RequestTrace().traceIDText.isEmpty)
        #expect(RequestTrace().written == "")
    }
}

extension RequestTrace {
    fileprivate var requestIDText: String { requestID.text }
    fileprivate var traceIDText: String { traceID.text }
    fileprivate var written: String {
        var out = ByteWriter(capacity: 512)
        write(into: &out)
        return out.bytes.text
    }
}

private func isSupported(_ method: String) -> Bool { Methods.isSupported(Array(method.utf8).span) }
private func isIdempotent(_ method: String) -> Bool { Methods.isIdempotent(Array(method.utf8).span) }

@Suite struct `Request methods` {
    @Test(arguments: [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH", "BASELINE_CONTROL",
    ])
    func `are supported`(method: String) {
        #expect(isSupported(method))
    }

    @Test(arguments: [
        "CONNECT", "TRACE", "PRI", "get", "Get", "connect", "GET1", "G.T", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG",
    ])
    func `are not supported`(method: String) {
        #expect(!isSupported(method))
    }

    /// RFC 9110 §9.2.2; TRACE is too, and is not offered. What is not known is not repeated.
    @Test func `may be repeated when they are idempotent`() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            #expect(isIdempotent(method), "\(method)")
        }
        for method in ["POST", "PATCH", "CONNECT", "PROPFIND", "get", ""] {
            #expect(!isIdempotent(method), "\(method)")
        }
    }
}
