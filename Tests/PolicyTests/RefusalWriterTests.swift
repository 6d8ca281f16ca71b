import Testing

@testable import Policy
@testable import Settings

/// Every row of the table.
private let refusals: [Refusal] = [
    .overloaded, .malformed, .ambiguousPath, .headTimeout, .bodyTooLarge, .targetTooLong, .expectationFailed,
    .misdirected, .headTooLarge, .methodNotSupported, .codingNotSupported, .versionNotSupported, .addressBlocked,
    .noRoute, .methodNotAllowed, .missingToken, .tokenExpired, .tokenRevoked, .tokenTooLarge, .malformedCredentials,
    .invalidToken(.invalidSignature), .missingClaim, .missingRole, .upstreamUnreachable, .connectTimeout,
    .upstreamUntrusted, .upstreamDistrusts, .upstreamHandshakeFailed, .upstreamFailed, .badResponse, .responseTimeout,
    .bodyTimeout, .malformedBody, .keysUnavailable, .introspectionUnavailable, .missingScope, .loginTooWeak,
    .challengeRequired, .challengeUnchecked,
]

@Suite struct `The gateway's own answer` {
    private let gate = Gate()

    @Test func `is a problem with a code`() {
        #expect(
            gate.answer(.upstreamUnreachable) == """
                HTTP/1.1 503 Service Unavailable\r
                Date: Tue, 14 Nov 2023 22:13:20 GMT\r
                Content-Type: application/problem+json\r
                Cache-Control: no-store\r
                Content-Length: 93\r
                Retry-After: 1\r
                Proxy-Status: gateway; error=destination_unavailable\r
                \r
                {"type":"about:blank","title":"The service cannot be reached","status":503,"code":"SVC_001"}

                """)
    }

    @Test func `names the request and says when the connection ends`() {
        #expect(
            gate.answer(.badResponse, requestID: "r-1", keepAlive: false) == """
                HTTP/1.1 502 Bad Gateway\r
                Date: Tue, 14 Nov 2023 22:13:20 GMT\r
                Content-Type: application/problem+json\r
                Cache-Control: no-store\r
                Content-Length: 118\r
                X-Request-Id: r-1\r
                Proxy-Status: gateway; error=http_protocol_error\r
                Connection: close\r
                \r
                {"type":"about:blank","title":"The service gave a malformed answer","status":502,"code":"SVC_001",\
                "request_id":"r-1"}

                """)
    }

    /// One byte too few or too many would shift the client's next answer.
    @Test(arguments: refusals, ["", "0123456789abcdef"])
    func `has as many bytes as it says`(refusal: Refusal, requestID: String) throws {
        let text = gate.answer(refusal, requestID: requestID)
        let end = try #require(text.utf8.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound)
        let body = text.utf8[end...]
        #expect(text.contains("\r\nContent-Length: \(body.count)\r\n"))
        #expect(body.last == UInt8(ascii: "\n"))
    }

    /// RFC 9110 §9.3.2: the fields of the answer to GET, without its body.
    @Test(arguments: refusals)
    func `has no body for HEAD and the same head`(refusal: Refusal) throws {
        let whole = gate.answer(refusal)
        let head = gate.answer(refusal, isHead: true)
        #expect(head.hasSuffix("\r\n\r\n"))
        #expect(whole.hasPrefix(head))
    }

    /// RFC 9110 §15.5.2, §15.5.6 and §10.2.3.
    @Test(arguments: refusals)
    func `carries what its status asks for`(refusal: Refusal) {
        let text = gate.answer(refusal)
        #expect(!text.hasPrefix("HTTP/1.1 \(refusal.status) Unknown"))
        #expect(text.contains("\r\nWWW-Authenticate: Bearer ") == (refusal.status == 401 || refusal.code.asksForToken))
        #expect(text.contains("\r\nRetry-After: ") == (refusal.status == 503))
        #expect(text.contains("\"code\":\"\(refusal.code.rawValue)\""))
        #expect(!refusal.title.description.contains { "\"\\".contains($0) || !$0.isASCII }, "titles are not escaped")
    }

    /// What the server cannot tell the end of, it must not read on (RFC 9112 §9.6).
    @Test(arguments: refusals)
    func `ends the connection for what was not understood`(refusal: Refusal) {
        #expect(
            refusal.closes
                == ([.read, .admit].contains(refusal.stage)
                    || [
                        .bodyTimeout, .malformedBody,
                    ].contains(refusal)))
    }

    /// RFC 9209 §2.3: each of these types is for certain statuses.
    @Test(arguments: refusals)
    func `says in Proxy-Status what went wrong, once`(refusal: Refusal) {
        let lines = gate.answer(refusal).split(separator: "\r\n").filter { $0.hasPrefix("Proxy-Status: ") }
        #expect(lines == ["Proxy-Status: gateway; error=\(refusal.proxyError.rawValue)"])
        switch refusal.proxyError {
        case .requestDenied: #expect([401, 403].contains(refusal.status))
        case .requestError: #expect((400..<500).contains(refusal.status))
        case .destinationUnavailable: #expect(refusal.status == 503)
        case .connectionTerminated, .protocolError, .tlsProtocolError, .tlsCertificateError, .tlsAlertReceived:
            #expect(refusal.status == 502)
        case .connectionTimeout, .responseTimeout: #expect(refusal.status == 504)
        case .internalResponse: #expect(refusal.status >= 500)
        }
    }

    @Test(arguments: [("edge", "edge"), ("*x", "*x"), ("9edge", "\"9edge\""), ("-", "\"-\"")])
    func `is named in Proxy-Status as in Via`(name: String, told: String) {
        var configuration = House.configuration()
        configuration.forwarding.viaName = name
        let text = Gate(configuration).answer(.noRoute)
        #expect(text.contains("\r\nProxy-Status: \(told); error=http_request_error\r\n"))
    }

    @Test func `has no Proxy-Status where the operator wants none, from the next configuration on`() {
        var configuration = House.configuration()
        configuration.forwarding.proxyStatus = false
        gate.adopt(configuration)
        #expect(!gate.answer(.badResponse).contains("Proxy-Status"))
    }

    @Test func `allows the methods of the place that was asked last`() {
        _ = gate.decide("DELETE /read HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(gate.answer(.methodNotAllowed).contains("\r\nAllow: GET, POST, HEAD\r\n"))
    }

    @Test func `uses the codes that the runbooks know`() {
        #expect(Refusal.invalidToken(.wrongIssuer).code.rawValue == "AUTH_001")
        #expect(Refusal.tokenExpired.code.rawValue == "AUTH_002")
        #expect(Refusal.tokenRevoked.code.rawValue == "AUTH_003")
        #expect(Refusal.addressBlocked.code.rawValue == "AUTH_004")
        #expect(Refusal.missingClaim.code.rawValue == "PERM_001")
        #expect(Refusal.missingRole.code.rawValue == "PERM_002")
        #expect(Refusal.upstreamUnreachable.code.rawValue == "SVC_001")
        #expect(Refusal.responseTimeout.code.rawValue == "SVC_002")
    }
}

extension ErrorCode {
    /// 403 with which another token would help.
    fileprivate var asksForToken: Bool { self == .forbidden || self == .missingRole }
}
