import Testing

@testable import Policy
@testable import Settings
@testable import Wire

/// A gate before routes with and without a grace of 60 s; the leeway is 10 s.
private func gate() -> Gate {
    var lenient = House.route("/lenient", .required, cookie: "access")
    lenient.expiredGrace = .seconds(60)
    var longer = House.route("/longer", .optional)
    longer.expiredGrace = .seconds(300)
    var staff = House.route("/staff", .required, roles: ["admin"])
    staff.expiredGrace = .seconds(60)
    var configuration = House.configuration(routes: [lenient, longer, staff, House.route("/strict", .required)])
    configuration.tokens.leeway = .seconds(10)
    return Gate(configuration)
}

private let end: Int64 = 1_700_003_600_000

private func head(_ target: String, _ method: String = "GET", _ fields: [String] = [], token: String = House.token())
    -> String
{
    (["\(method) \(target) HTTP/1.1", "Host: a", "Authorization: Bearer \(token)"] + fields + ["", ""])
        .joined(separator: "\r\n")
}

@Suite struct `An expired token in its grace` {
    /// The plan, so many milliseconds after the token's end; nil: refused as expired.
    private func plan(_ text: String, _ after: Int64, by gate: Gate = gate()) -> Plan? {
        let decision = gate.decide(text, wall: WallTime(milliseconds: end + after))
        if decision.plan == nil { #expect(decision.refusal == .tokenExpired) }
        return decision.plan
    }

    @Test func `is good to the millisecond, beyond the leeway`() {
        #expect(plan(head("/lenient"), 9_999)?.grace == .zero)
        #expect(plan(head("/lenient"), 10_000)?.grace == .seconds(60))
        #expect(plan(head("/lenient"), 69_999)?.grace == .seconds(60))
        #expect(plan(head("/lenient"), 70_000) == nil)
        #expect(plan(head("/longer"), 309_999)?.grace == .seconds(300))
        #expect(plan(head("/longer"), 310_000) == nil)
        #expect(plan(head("/strict"), 9_999) != nil)
        #expect(plan(head("/strict"), 10_000) == nil)
    }

    /// Routes share the memory of verified tokens, and none makes another one's token good or bad.
    @Test func `is judged by each route alone`() {
        let gate = gate()
        #expect(plan(head("/lenient"), 0, by: gate)?.grace == .zero)
        for _ in 0..<2 {
            #expect(plan(head("/strict"), 20_000, by: gate) == nil)
            #expect(plan(head("/lenient"), 20_000, by: gate)?.grace == .seconds(60))
            #expect(plan(head("/lenient"), 20_000, by: gate)?.grace == .seconds(60))
            #expect(plan(head("/longer"), 80_000, by: gate)?.grace == .seconds(300))
            #expect(plan(head("/lenient"), 80_000, by: gate) == nil)
            #expect(plan(head("/lenient"), 0, by: gate)?.grace == .zero)
        }
    }

    @Test func `is good for what changes nothing`() {
        for method in ["GET", "HEAD", "OPTIONS"] { #expect(plan(head("/lenient", method), 20_000) != nil) }
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "GETX"] {
            #expect(plan(head("/lenient", method), 20_000) == nil)
            #expect(plan(head("/lenient", method), 0) != nil)
        }
    }

    /// A tunnel would go on behind the grace, and nobody would look at it again.
    @Test func `opens no tunnel`() {
        let fields = [
            "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        #expect(plan(head("/lenient", "GET", fields + ["Upgrade: websocket"]), 20_000) == nil)
        #expect(plan(head("/lenient", "GET", fields + ["Upgrade: websocket"]), 0)?.changesProtocol == true)
        // One that is left out anyhow.
        #expect(plan(head("/lenient", "GET", fields + ["Upgrade: h2c"]), 20_000) != nil)
    }

    @Test func `must be good in all else`() {
        func refusal(_ token: String, _ target: String = "/lenient") -> Refusal? {
            gate().decide(head(target, token: token), wall: WallTime(milliseconds: end + 20_000)).refusal
        }
        #expect(refusal(Mint.token(Mint.claims(), secret: "x")) == .invalidToken(.invalidSignature))
        #expect(refusal(House.token(#","nbf":1700009999"#)) == .invalidToken(.notYetValid))
        #expect(refusal(House.token(), "/staff") == .missingRole)
        #expect(refusal(House.token(#","roles":["admin"]"#), "/staff") == nil)
    }

    @Test func `is told to the upstream, and nobody else can tell it`() {
        func forwarded(_ target: String, _ after: Int64) -> String? {
            let gatekeeper = House.gatekeeper(
                {
                    var route = House.route("/", .required)
                    route.expiredGrace = .seconds(60)
                    return House.configuration(routes: [route])
                }())
            let bytes = Array(
                head(target, "GET", ["X-Token-Expired: false", "x_token_expired: 0", "Connection: X-Token-Expired"])
                    .utf8)
            var facts = RequestFacts(client: House.client)
            let verdict = gatekeeper.decide(
                bytes.span, peer: House.client, now: House.now, wall: WallTime(milliseconds: end + after), facts: &facts
            )
            guard case .forward(let plan) = verdict else { return nil }
            var out = ByteWriter(capacity: 8_192)
            gatekeeper.prepare(plan, facts, bytes.span, RequestTrace(), peer: House.client, into: &out)
            return out.bytes.text
        }
        let told = forwarded("/", 20_000)?.lowercased().split(separator: "\r\n").filter { $0.contains("token-expired") }
        #expect(told == ["x-token-expired: true"])
        #expect(forwarded("/", -1)?.lowercased().contains("expired") == false)
    }

    /// What it has opened ends with it, whenever that was.
    @Test func `has the rest of its time left`() throws {
        let token = try #require(Mint.verifier().verified(House.token()))
        func left(_ after: Int64, _ lenience: Int) -> Interval {
            token.timeLeft(at: WallTime(milliseconds: end + after), leeway: .seconds(lenience))
        }
        #expect(left(-1_000, 0) == .seconds(1))
        #expect(left(-1_000, 10) == .seconds(11))
        #expect(left(4_000, 10) == .seconds(6))
        #expect(left(40_000, 10 + 60) == .seconds(30))
        #expect(left(80_000, 10 + 60) == .zero)
    }
}
