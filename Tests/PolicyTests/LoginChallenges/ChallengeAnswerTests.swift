import Crypto
import Testing

@testable import Policy
@testable import Settings
@testable import Wire

private let solution = "AQBlU_NYCAABAgMEBQYHaVEcZEJ_z6PXNuc3rTHFsg.181"
private let client = IPAddress("198.51.100.9")!

@Suite struct `A login with a solution` {
    private func gatekeeper(_ configuration: Configuration = challengedHouse()) -> Gatekeeper {
        House.gatekeeper(configuration)
    }

    private func head(_ fields: String) -> [UInt8] {
        Array("POST /auth/login HTTP/1.1\r\nHost: h\r\n\(fields)Content-Length: 0\r\n\r\n".utf8)
    }

    private func found(
        _ fields: String, _ configuration: Configuration = challengedHouse()
    ) -> PresentedSolution {
        let gatekeeper = gatekeeper(configuration)
        var facts = RequestFacts(client: House.client)
        let bytes = head(fields)
        // The address of the known solution is blocked in the house: only what is read of it matters here.
        _ = gatekeeper.decide(bytes.span, peer: client, now: House.now, wall: Mint.now, facts: &facts)
        return gatekeeper.solution(
            bytes.span, from: IPAddress("198.51.100.7")!, at: WallTime(seconds: 1_700_000_000))
    }

    private func isWork(_ solution: PresentedSolution) -> Bool { if case .work = solution { true } else { false } }

    @Test func `has it in a field or a cookie`() {
        #expect(found("") == .nothing)
        #expect(isWork(found("Gateway-Challenge: \(solution)\r\n")))
        #expect(isWork(found("gateway-challenge:\(solution)\r\n")))
        #expect(isWork(found("Cookie: a=b; gateway_challenge=\(solution)\r\n")))
        #expect(isWork(found("Gateway-Challenge: \(solution)\r\nCookie: gateway_challenge=x\r\n")))
        #expect(found("Gateway-Challenge: x\r\nCookie: gateway_challenge=\(solution)\r\n") == .wrong)
    }

    @Test func `has it in one of its first cookies, since others of their name may stand in front`() {
        let others = "gateway_challenge=x; a=b; gateway_challenge=\(solution.dropLast()); "
        #expect(isWork(found("Cookie: \(others)gateway_challenge=\(solution)\r\n")))
        #expect(isWork(found("Cookie: \(others)c=d\r\nCookie: gateway_challenge=\(solution)\r\n")))
        #expect(found("Cookie: \(others)\r\n") == .wrong)
        #expect(isWork(found("Cookie: \(others)gateway_challenge=; gateway_challenge=\(solution)\r\n")))
        #expect(found("Cookie: \(others)\(others)gateway_challenge=\(solution)\r\n") == .wrong, "it is the fifth")
    }

    @Test func `has it once, and under its name`() {
        #expect(found("Gateway-Challenge: \(solution)\r\nGateway-Challenge: \(solution)\r\n") == .wrong)
        #expect(found("Gateway_Challenge: \(solution)\r\n") == .nothing)
        #expect(found("X-Gateway-Challenge: \(solution)\r\n") == .nothing)
    }

    @Test func `has it in no cookie where there is no page`() {
        let pageless = challengedHouse { $0.login.challenge?.hasPage = false }
        #expect(found("Cookie: gateway_challenge=\(solution)\r\n", pageless) == .nothing)
    }

    @Test func `goes to its backend without it`() throws {
        let gate = Gate(challengedHouse())
        for field in ["Gateway-Challenge: x", "gateway_challenge: x", "GATEWAY-CHALLENGE: x"] {
            let sent = try #require(gate.forwarded(String(decoding: head("\(field)\r\n"), as: UTF8.self)))
            #expect(!sent.lowercased().contains("challenge"), "\(field)")
        }
        let fields = "Cookie: a=b; gateway_challenge=x; c=d\r\nCookie: gateway_challenge =y\r\nCookie: e=f\r\n"
        let sent = try #require(gate.forwarded(String(decoding: head(fields), as: UTF8.self)))
        #expect(sent.contains("Cookie: a=b; c=d\r\n") && sent.contains("Cookie: e=f\r\n"))
        #expect(!sent.contains("challenge"))
    }

    @Test func `is left as it is where nothing is asked`() throws {
        let gate = Gate()
        let text = String(decoding: head("Gateway-Challenge: x\r\nCookie: gateway_challenge=x\r\n"), as: UTF8.self)
        let sent = try #require(gate.forwarded(text))
        #expect(sent.contains("Gateway-Challenge: x\r\n") && sent.contains("Cookie: gateway_challenge=x\r\n"))
    }
}

@Suite struct `The answer with a challenge` {
    private func answer(
        _ fields: String, _ kind: PosedKind = .work, isHead: Bool = false,
        _ change: (inout Configuration) -> Void = { _ in }
    ) -> String {
        let gatekeeper = House.gatekeeper(challengedHouse(change))
        var facts = RequestFacts(client: client)
        let bytes = Array("POST /auth/login HTTP/1.1\r\nHost: h\r\n\(fields)Content-Length: 0\r\n\r\n".utf8)
        _ = gatekeeper.decide(bytes.span, peer: client, now: House.now, wall: Mint.now, facts: &facts)
        let id = Array("0123456789abcdef0123456789abcdef".utf8)
        gatekeeper.pose(
            kind, to: client, bytes.span, at: WallTime(seconds: 1_700_000_000), requestID: id.span)
        facts.isHead = isHead
        var out = ByteWriter(capacity: 32_768)
        gatekeeper.write(
            .challengeRequired, facts, origin: Span(), requestID: id.span, date: Array(House.date.utf8).span,
            keepAlive: true, into: &out)
        return out.bytes.text
    }

    private func body(_ text: String) throws -> Substring.UTF8View {
        let end = try #require(text.utf8.firstRange(of: Array("\r\n\r\n".utf8))?.upperBound)
        return text.utf8[end...]
    }

    private static func captcha(_ configuration: inout Configuration) {
        configuration.login.challenge?.siteverify = .init(
            .hcaptcha, url: WebAddress("https://captcha.example.org/verify")!, siteKey: "10000000-ffff",
            secret: Secret("s3cret-s3cret"))
    }

    @Test func `is a problem with a member more`() throws {
        let text = answer("Accept: application/json\r\n")
        #expect(text.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        let nonce = try #require(text.firstMatch(of: #/"nonce":"([A-Za-z0-9_-]{42})"/#)).1
        let said = String(decoding: try body(text), as: UTF8.self)
        #expect(
            said == """
                {"type":"about:blank","title":"A challenge must be solved before the next login","status":403,\
                "code":"AUTH_007","request_id":"0123456789abcdef0123456789abcdef","challenge":{"kind":"proof_of_work",\
                "algorithm":"sha-256","nonce":"\(nonce)","difficulty":8,"expires":"2023-11-14T22:23:20.000Z"}}

                """)
        #expect(text.contains("\r\nContent-Length: \(said.utf8.count)\r\n"))
        #expect(text.contains("\r\nCache-Control: no-store\r\n"))
        #expect(!text.contains("Retry-After") && !text.contains("WWW-Authenticate"))
    }

    @Test func `names the provider and the site key, and no secret`() throws {
        let text = answer("", .captcha, Self.captcha)
        #expect(
            text.hasSuffix(
                #""challenge":{"kind":"siteverify","provider":"hcaptcha","site_key":"10000000-ffff"}}"# + "\n"))
        #expect(try text.contains("\r\nContent-Length: \(body(text).count)\r\n"))
        #expect(!text.contains("s3cret"))
        #expect(answer("", .work, Self.captcha).contains(#""kind":"proof_of_work""#), "while the provider is away")
    }

    @Test(arguments: [PosedKind.work, .captcha]) func `is a page for browsers`(kind: PosedKind) throws {
        let text = answer("Accept: application/xhtml+xml, Text/HTML;q=0.9\r\n", kind) {
            if kind == .captcha { Self.captcha(&$0) }
        }
        let html = String(decoding: try body(text), as: UTF8.self)
        #expect(text.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"))
        #expect(text.contains("\r\nContent-Length: \(html.utf8.count)\r\n"))
        #expect(html.contains("0123456789abcdef0123456789abcdef"), "support asks for it")
        // The script that runs is the one that the policy names, and no other one has room.
        let script = try #require(html.firstMatch(of: #/<script>([^<]*(?:<(?!\/script>)[^<]*)*)<\/script>/#)).1
        let hash = String(decoding: Base64.encode(Bytes.sha256(Array(script.utf8).span)), as: UTF8.self)
        let policy = try #require(text.firstMatch(of: #/Content-Security-Policy: ([^\r]+)\r\n/#)).1
        #expect(policy.contains("default-src 'none'; script-src 'sha256-\(hash)'"))
        #expect(policy.contains("form-action 'none'") && policy.contains("frame-ancestors 'none'"))
        #expect(html.contains("data-sitekey=\"10000000-ffff\"") == (kind == .captcha))
        #expect(policy.contains("https://") == (kind == .captcha), "nothing of anybody else's")
        #expect(html.contains("data-nonce=") == (kind == .work))
    }

    @Test func `has no page for scripts, nor where that is off`() {
        for accept in ["", "Accept: */*\r\n", "Accept: application/json, text/plain, */*\r\n"] {
            #expect(answer(accept).contains("application/problem+json"))
        }
        let pageless = answer("Accept: text/html\r\n") { $0.login.challenge?.hasPage = false }
        #expect(pageless.contains("problem+json"))
    }

    @Test func `has one policy, the page's own`() {
        let text = answer("Accept: text/html\r\n") {
            $0.securityHeaders.isOn = true
            $0.securityHeaders.contentSecurityPolicy = "default-src 'self'"
        }
        #expect(text.split(separator: "Content-Security-Policy").count == 2)
        #expect(text.contains("X-Content-Type-Options: nosniff"))
    }

    @Test func `has no body for HEAD, and the same length`() throws {
        let text = answer("Accept: text/html\r\n", isHead: true)
        #expect(text.hasSuffix("\r\n\r\n") && !text.contains("Content-Length: 0\r\n"))
    }

    @Test func `is each time another one`() {
        let gatekeeper = House.gatekeeper(challengedHouse())
        let bytes = Array("POST /auth/login HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".utf8)
        var facts = RequestFacts(client: client)
        let id = Array("0123456789abcdef0123456789abcdef".utf8)
        var answers: Set<String> = []
        for _ in 0..<3 {
            _ = gatekeeper.decide(bytes.span, peer: client, now: House.now, wall: Mint.now, facts: &facts)
            gatekeeper.pose(.work, to: client, bytes.span, at: Mint.now, requestID: id.span)
            var out = ByteWriter(capacity: 32_768)
            gatekeeper.write(
                .challengeRequired, facts, origin: Span(), requestID: id.span, date: Array(House.date.utf8).span,
                keepAlive: true, into: &out)
            answers.insert(out.bytes.text)
        }
        #expect(answers.count == 3)
    }
}
