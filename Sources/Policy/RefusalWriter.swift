internal import Settings
package import Wire

extension Gatekeeper {
    /// Writes the gateway's own answer: an RFC 9457 problem with the `code` that clients and runbooks know.
    ///
    /// - Parameters:
    ///   - origin: of a CORS request; else empty.
    ///   - requestID: what support is asked with.
    ///   - date: an IMF-fixdate.
    ///   - retryAfter: seconds, for a 429 or 503.
    package func write(
        _ refusal: Refusal, _ facts: RequestFacts, origin: Span<UInt8>, requestID: Span<UInt8>, date: Span<UInt8>,
        retryAfter: Int = 1, keepAlive: Bool, into out: inout ByteWriter
    ) {
        let form = RefusalText.Form(refusal, facts, origin: origin, requestID: requestID, keepAlive: keepAlive)
        if let form, lastRefusal.write(form, requestID: requestID, date: date, into: &out) { return }
        let start = out.count
        let places = compose(
            refusal, facts, origin: origin, requestID: requestID, date: date, retryAfter: retryAfter,
            keepAlive: keepAlive, into: &out)
        if case .challengeRequired = refusal.code { posed = nil }
        if let form, !out.overflowed { lastRefusal.keep(out.bytes.extracting(start...), form, places) }
    }

    private func compose(
        _ refusal: Refusal, _ facts: RequestFacts, origin: Span<UInt8>, requestID: Span<UInt8>, date: Span<UInt8>,
        retryAfter: Int, keepAlive: Bool, into out: inout ByteWriter
    ) -> RefusalText.Places {
        let start = out.count
        var places = RefusalText.Places()
        out.append("HTTP/1.1 ")
        out.append(decimal: refusal.status)
        out.append(" ")
        out.append(StatusPhrase.of(refusal.status))
        out.append("\r\nDate: ")
        places.date = out.count - start
        out.append(date)
        let posed = if case .challengeRequired = refusal.code { self.posed } else { PosedChallenge?.none }
        if let page = posed?.page {
            out.append("\r\nContent-Type: text/html; charset=utf-8\r\nContent-Security-Policy: ")
            out.append(text: page.contentPolicy)
        } else {
            out.append("\r\nContent-Type: application/problem+json")
        }
        out.append("\r\nCache-Control: no-store\r\nContent-Length: ")
        out.append(decimal: posed?.page?.html.count ?? bodyLength(refusal, requestID) + (posed?.member.count ?? 0))
        out.append("\r\n")
        if let challenge = Challenge.value(for: refusal, demands: demands(facts)) {
            out.append("WWW-Authenticate: ")
            out.append(text: challenge)
            out.append("\r\n")
        }
        if refusal.asksToRetry {
            out.append("Retry-After: ")
            out.append(decimal: retryAfter)
            out.append("\r\n")
        }
        if refusal.isByRate, let standing = rateStanding { standing.rule.write(standing.level, into: &out) }
        if refusal == .methodNotAllowed, let allow = head.allow {
            out.append("Allow: ")
            switch allow {
            case .place(let place): out.append(text: rules.routes.allowedMethods(at: place))
            case .reading: out.append("GET, HEAD")
            }
            out.append("\r\n")
        }
        if refusal == .websocketVersion {
            // RFC 6455 §4.4; RFC 9110 §15.5.22 asks for Upgrade, of the connection that the client itself has.
            out.append("Sec-WebSocket-Version: 13\r\n")
            if head.passage == .ours { out.append("Upgrade: websocket\r\nConnection: Upgrade\r\n") }
        }
        writeCORS(facts, origin, into: &out)
        if posed?.page != nil {
            // The page has a policy of its own; two would both have to allow what it does.
            rules.hardening.write(isSecure: facts.isSecure, replacesPage: true, into: &out) {
                $0.equals("content-security-policy")
            }
        } else if !rules.hardening.isEmpty {
            rules.hardening.write(isSecure: facts.isSecure, into: &out)
        }
        if requestID.count > 0 {
            out.append("X-Request-Id: ")
            places.requestID = out.count - start
            out.append(requestID)
            out.append("\r\n")
        }
        if !rules.proxyStatus.isEmpty {
            out.append(rules.proxyStatus)
            out.append(text: refusal.proxyError.rawValue)
            out.append("\r\n")
        }
        if !keepAlive { out.append("Connection: close\r\n") }
        out.append("\r\n")
        guard !facts.isHead else { return places }
        if let page = posed?.page {
            out.append(page.html)
            return places
        }
        out.append("{\"type\":\"about:blank\",\"title\":\"")
        out.append(refusal.title)
        out.append("\",\"status\":")
        out.append(decimal: refusal.status)
        out.append(",\"code\":\"")
        out.append(text: refusal.code.rawValue)
        if requestID.count > 0 {
            out.append("\",\"request_id\":\"")
            places.bodyRequestID = out.count - start
            out.append(requestID)
        }
        out.append("\"")
        if let posed { out.append(posed.member) }
        out.append("}\n")
        return places
    }

    private func demands(_ facts: RequestFacts) -> Challenge.Demands? {
        guard let route = facts.route, route < rules.demands.count else { return nil }
        return rules.demands[route]
    }

    /// A browser shows a refusal to its page only when it is told that the page may see it (Fetch §3.2.3).
    private func writeCORS(_ facts: RequestFacts, _ origin: Span<UInt8>, into out: inout ByteWriter) {
        guard origin.count > 0, let route = facts.route, route < rules.configuration.routes.count,
            let cors = rules.configuration.routes[route].cors
        else {
            return
        }
        if cors.allowedOrigins.contains("*") {
            out.append("Access-Control-Allow-Origin: *\r\n")
        } else if cors.names(origin) {
            // Credentials only for origins that are named: for `*` browsers must not send any (Fetch §3.2.5).
            out.append("Access-Control-Allow-Origin: ")
            out.append(origin)
            out.append("\r\nVary: Origin\r\nAccess-Control-Allow-Credentials: true\r\n")
        } else {
            return
        }
        out.append(
            "Access-Control-Expose-Headers: WWW-Authenticate, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy\r\n"
        )
    }

    /// Of the body that `compose` writes; status has three digits, and neither titles nor request ids need escaping.
    private func bodyLength(_ refusal: Refusal, _ requestID: Span<UInt8>) -> Int {
        let fixed = "{\"type\":\"about:blank\",\"title\":\"\",\"status\":xxx,\"code\":\"\"}\n".utf8.count
        let identified = requestID.count > 0 ? "\",\"request_id\":\"".utf8.count + requestID.count : 0
        return fixed + refusal.title.utf8CodeUnitCount + refusal.code.rawValue.utf8.count + identified
    }
}

extension Configuration.CORS {
    /// Whether `origin` is one of those that are named; `*` names none.
    func names(_ origin: Span<UInt8>) -> Bool {
        allowedOrigins.contains { $0 != "*" && Array($0.utf8).span.equals(origin) }
    }
}

/// Reason phrases of RFC 9110 §15 for the statuses that the gateway itself gives.
package enum StatusPhrase {
    /// `Unknown` for statuses that the gateway never gives: the phrase means nothing to clients (RFC 9112 §4).
    package static func of(_ status: Int) -> StaticString {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Unknown"
        }
    }
}
