internal import Policy
internal import Wire

/// What the gateway answers by itself on the public listener: `/health`, short, for load balancers and probes (the
/// detailed form is on the admin listener), the keys of the assertions, and OPTIONS that may go no further.
struct LocalAnswers {
    var health = HealthState(ledger: "embedded", isReady: true)
    /// The key set of the assertions; empty: there is none.
    var assertionKeys: [UInt8] = []
    /// Seconds that it may be kept.
    private var keysAge = 0

    /// What the rules say of the key set.
    mutating func take(_ rules: GatekeeperRules) {
        assertionKeys = rules.assertionKeys?.document ?? []
        keysAge = Int(rules.assertions?.jwksMaximumAge.seconds ?? 0)
    }

    func write(
        _ answer: LocalAnswer, _ facts: RequestFacts, _ hardening: ResponseHardening, keepAlive: Bool, wall: WallTime,
        date: Span<UInt8>, into out: inout ByteWriter
    ) -> Int {
        func endHead(_ out: inout ByteWriter, length: Int) {
            out.append("\r\nContent-Length: ")
            out.append(decimal: length)
            out.append("\r\n")
            hardening.write(isSecure: facts.isSecure, into: &out)
            if !keepAlive { out.append("Connection: close\r\n") }
            out.append("\r\n")
        }
        switch answer {
        case .health:
            let status = health.status
            let body = health.body(at: wall)
            out.append("HTTP/1.1 ")
            out.append(decimal: status)
            out.append(" ")
            out.append(StatusPhrase.of(status))
            out.append("\r\nDate: ")
            out.append(date)
            out.append("\r\nContent-Type: application/json\r\nCache-Control: no-store")
            endHead(&out, length: body.utf8.count)
            if !facts.isHead { out.append(text: body) }
            return status
        case .assertionKeys:
            out.append("HTTP/1.1 200 OK\r\nDate: ")
            out.append(date)
            out.append("\r\nContent-Type: ")
            out.append(AssertionKeyring.contentType)
            out.append("\r\nCache-Control: public, max-age=")
            out.append(decimal: keysAge)
            endHead(&out, length: assertionKeys.count)
            if !facts.isHead { out.append(assertionKeys) }
            return 200
        case .redirect(let location):
            out.append("HTTP/1.1 308 Permanent Redirect\r\nDate: ")
            out.append(date)
            out.append("\r\nLocation: ")
            out.append(location)
            endHead(&out, length: 0)
            return 308
        case .options(let allow):
            out.append("HTTP/1.1 200 OK\r\nDate: ")
            out.append(date)
            if !allow.isEmpty {
                out.append("\r\nAllow: ")
                out.append(text: allow)
            }
            // RFC 9110 §9.3.7: must be there when there is no content.
            endHead(&out, length: 0)
            return 200
        }
    }
}

extension HealthState {
    /// Degraded still serves: a probe that took it out of rotation would turn a lost Redis into an outage.
    var status: Int { isReady ? 200 : 503 }

    var word: String { !isReady ? "starting" : isHealthy ? "healthy" : "degraded" }

    /// The same on the public and on the admin listener.
    func body(at wall: WallTime) -> String {
        "{\"status\":\"\(word)\",\"service\":\"gateway\",\"version\":\"\(GatewayVersion.text)\","
            + "\"timestamp\":\"\(wall.text)\",\"features\":{\"ip_block\":true,\"jwt\":true,"
            + "\"ledger\":\"\(ledger)\"}}\n"
    }
}

/// The version of this program.
package enum GatewayVersion {
    package static let text = "0.1.0"
}
