import Settings
import Testing

@testable import Policy

/// One answer of the gateway's own, and all that it depends on.
private struct Asked {
    var refusal: Refusal
    var requestID = "0123456789abcdef0123456789abcdef"
    var date = House.date
    var keepAlive = true
    var isHead = false
    var isSecure = false
    var origin = ""
    var retryAfter = 1

    func answer(of gate: Gate) -> String {
        gate.answer(
            refusal, requestID: requestID, keepAlive: keepAlive, isHead: isHead, isSecure: isSecure, date: date,
            origin: origin, retryAfter: retryAfter)
    }
}

@Suite struct `What was kept of the last refusal` {
    private static let configuration: Configuration = {
        var configuration = House.configuration()
        configuration.securityHeaders.strictTransportSeconds = 60
        return configuration
    }()

    /// Rows that differ in one thing each.
    private static let asked: [Asked] = [
        Asked(refusal: .addressBlocked),
        Asked(refusal: .addressBlocked, requestID: "ffffffffffffffffffffffffffffffff"),
        Asked(refusal: .addressBlocked, requestID: "given by a trusted proxy"),
        Asked(refusal: .addressBlocked, requestID: ""),
        Asked(refusal: .addressBlocked, date: "Wed, 15 Nov 2023 22:13:20 GMT"),
        Asked(refusal: .addressBlocked, keepAlive: false),
        Asked(refusal: .addressBlocked, isHead: true),
        Asked(refusal: .addressBlocked, isSecure: true),
        Asked(refusal: .addressBlocked, origin: "https://app.example.org"),
        Asked(refusal: .invalidToken(.wrongIssuer)),
        Asked(refusal: .invalidToken(.wrongAudience)),
        Asked(refusal: .malformed), Asked(refusal: .ambiguousPath), Asked(refusal: .malformedHandshake),
        Asked(refusal: .websocketVersion), Asked(refusal: .methodNotAllowed),
        Asked(refusal: .circuitOpen, retryAfter: 7), Asked(refusal: .circuitOpen, retryAfter: 8),
        Asked(refusal: .tooManyConnections), Asked(refusal: .headTimeout), Asked(refusal: .responseTimeout),
    ]

    /// Each behind every other, and behind itself, beside a gateway that has said nothing before.
    @Test func `is never told to anybody else`() {
        let gate = Gate(Self.configuration)
        for before in Self.asked {
            for after in Self.asked {
                _ = before.answer(of: gate)
                let alone = after.answer(of: Gate(Self.configuration))
                #expect(after.answer(of: gate) == alone)
                #expect(after.answer(of: gate) == alone, "and once more")
            }
        }
    }

    @Test func `is forgotten with its configuration`() {
        let gate = Gate()
        let asked = Asked(refusal: .addressBlocked)
        #expect(asked.answer(of: gate).contains("Proxy-Status: gateway;"))
        var configuration = House.configuration()
        configuration.forwarding.viaName = "edge"
        gate.adopt(configuration)
        #expect(asked.answer(of: gate).contains("Proxy-Status: edge;"))
    }
}
