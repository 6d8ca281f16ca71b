import Testing
import Wire

@testable import Policy
@testable import Settings

private func time(_ seconds: Int64, _ milliseconds: Int64 = 0) -> WallTime {
    WallTime(milliseconds: seconds * 1_000 + milliseconds)
}

@Suite struct `The dates of a token` {
    @Test func `end it exactly at the second of exp`() {
        let token = Mint.token(#"{"exp":1700003600}"#)
        #expect(Mint.verifier().reason(token, at: time(1_700_003_599, 999)) == nil)
        #expect(Mint.verifier().reason(token, at: time(1_700_003_600)) == .tokenExpired)
    }

    @Test func `end it the leeway later`() {
        let token = Mint.token(#"{"exp":1700003600}"#)
        let verifier = Mint.verifier(Mint.tokens(leeway: 30))
        #expect(verifier.reason(token, at: time(1_700_003_629, 999)) == nil)
        #expect(verifier.reason(token, at: time(1_700_003_630)) == .tokenExpired)
    }

    @Test func `may have fractions and exponents`() {
        #expect(Mint.verifier().reason(Mint.token(#"{"exp":1700003600.5}"#), at: time(1_700_003_600, 499)) == nil)
        #expect(
            Mint.verifier().reason(Mint.token(#"{"exp":1700003600.5}"#), at: time(1_700_003_600, 500)) == .tokenExpired)
        #expect(Mint.verifier().reason(Mint.token(#"{"exp":1.7000036e9}"#), at: time(1_700_003_599)) == nil)
    }

    @Test func `start it at nbf, less the leeway`() {
        let token = Mint.token(#"{"exp":1700003600,"nbf":1700000100}"#)
        #expect(Mint.verifier().reason(token, at: time(1_700_000_099, 999)) == .notYetValid)
        #expect(Mint.verifier().reason(token, at: time(1_700_000_100)) == nil)
        let tolerant = Mint.verifier(Mint.tokens(leeway: 30))
        #expect(tolerant.reason(token, at: time(1_700_000_069, 999)) == .notYetValid)
        #expect(tolerant.reason(token, at: time(1_700_000_070)) == nil)
    }

    @Test func `must not lie in the future for iat`() {
        let token = Mint.token(#"{"exp":1700003600,"iat":1700000001,"nbf":1}"#)
        #expect(Mint.verifier().reason(token, at: time(1_700_000_000)) == .notYetValid)
        #expect(Mint.verifier().reason(token, at: time(1_700_000_001)) == nil)
    }

    @Test func `must have an end`() {
        #expect(Mint.verifier().reason(Mint.token(#"{"sub":"alice"}"#)) == .missingClaim)
        #expect(Mint.verifier().reason(Mint.token("{}")) == .missingClaim)
    }

    @Test(arguments: [
        #"{"exp":"1700003600"}"#, #"{"exp":null}"#, #"{"exp":true}"#, #"{"exp":[1700003600]}"#, #"{"exp":1e400}"#,
        #"{"exp":9007199254740993}"#, #"{"exp":99999999999999999999999999}"#, #"{"exp":1700003600,"nbf":"1"}"#,
        #"{"exp":1700003600,"iat":{}}"#, #"{"exp":01700003600}"#, #"{"exp":1700003600.}"#, #"{"exp":+1700003600}"#,
        #"{"exp":Infinity}"#, #"{"exp":1700003600,"exp":1700003600}"#,
    ])
    func `are refused in any other form`(_ payload: String) {
        #expect(Mint.verifier().reason(Mint.token(payload)) == .invalidToken)
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("1", 1_000), ("1.5", 1_500), ("1.0009", 1_000), ("-1.0009", -1_001), ("1e3", 1_000_000),
        ("1.7e9", 1_700_000_000_000), ("1700000000000e-3", 1_700_000_000_000), ("1E+2", 100_000), ("5e-4", 0),
        ("-5e-4", -1), ("0e999", 0), ("9007199254740992", 9_007_199_254_740_992_000),
        ("1700000000.123456789012345678901234567890", 1_700_000_000_123),
    ])
    func `are read to the millisecond, rounded down`(_ text: String, _ expected: Int64) {
        let bytes = Array(text.utf8)
        let milliseconds = NumericDate.milliseconds(bytes.span)
        #expect(milliseconds == expected)
    }

    @Test(arguments: ["9007199254740993", "-9007199254740993", "1e16", "1e9999", "1e99", "123456789012345678901234"])
    func `out of range are none`(_ text: String) {
        let bytes = Array(text.utf8)
        let milliseconds = NumericDate.milliseconds(bytes.span)
        #expect(milliseconds == nil)
    }
}

@Suite struct `Issuer, audience and subject` {
    private func reason(_ more: String, issuers: [String] = [], audiences: [String] = []) -> Reason? {
        Mint.verifier(Mint.tokens(issuers: issuers, audiences: audiences)).reason(Mint.token(Mint.claims(more)))
    }

    @Test func `must be the expected issuer, byte for byte`() {
        let issuers = ["https://a.example", "https://b.example"]
        #expect(reason(#","iss":"https://b.example""#, issuers: issuers) == nil)
        #expect(reason(#","iss":"https:\/\/b.example""#, issuers: issuers) == nil)
        #expect(reason(#","iss":"https://b.example/""#, issuers: issuers) == .wrongIssuer)
        #expect(reason(#","iss":"HTTPS://b.example""#, issuers: issuers) == .wrongIssuer)
        #expect(reason("", issuers: issuers) == .missingClaim)
        #expect(reason(#","iss":["https://b.example"]"#, issuers: issuers) == .invalidToken)
        #expect(reason(#","iss":"anyone""#) == nil)
    }

    @Test func `must have our name among the audiences`() {
        let audiences = ["api", "web"]
        #expect(reason(#","aud":"api""#, audiences: audiences) == nil)
        #expect(reason(#","aud":["other","web"]"#, audiences: audiences) == nil)
        #expect(reason(#","aud":"apis""#, audiences: audiences) == .wrongAudience)
        #expect(reason(#","aud":["other"]"#, audiences: audiences) == .wrongAudience)
        #expect(reason(#","aud":[]"#, audiences: audiences) == .wrongAudience)
        #expect(reason("", audiences: audiences) == .missingClaim)
        #expect(reason(#","aud":["api",1]"#, audiences: audiences) == .invalidToken)
        #expect(reason(#","aud":{"api":1}"#, audiences: audiences) == .invalidToken)
        #expect(reason(#","aud":["x"]"#) == nil)
    }

    @Test func `name somebody by text or number only`() throws {
        let verifier = Mint.verifier()
        #expect(verifier.verified(Mint.token(#"{"exp":1700003600,"sub":42}"#))?.subject == Array("42".utf8))
        #expect(verifier.reason(Mint.token(#"{"exp":1700003600,"sub":true}"#)) == .invalidToken)
        #expect(verifier.reason(Mint.token(#"{"exp":1700003600,"sub":["alice"]}"#)) == .invalidToken)
        #expect(verifier.verified(Mint.token(#"{"exp":1700003600}"#))?.subject == [])
    }

    @Test func `come from the first identity header when there is no sub`() {
        let headers = [Configuration.IdentityHeader(name: "X-User-ID", value: .claim("user_id"))]
        let verifier = Mint.verifier(headers: headers)
        #expect(verifier.verified(Mint.token(#"{"exp":1700003600,"user_id":7}"#))?.subject == Array("7".utf8))
    }
}
