import Crypto
import TestSupport
import Testing
import Wire

@testable import Policy
@testable import Settings

private let otherSecret = "another secret, as long as it must be"

@Suite struct `A token` {
    @Test func `with a right signature and claims is verified`() throws {
        let verifier = Mint.verifier()
        let token = try #require(verifier.verified(Mint.token(Mint.claims(#","role":"admin""#))))
        #expect(token.subject == Array("alice".utf8))
        #expect(token.expiresAt == WallTime(seconds: 1_700_003_600))
        #expect(token.issuedAt == WallTime(seconds: 1_699_999_990))
        #expect(token.algorithm == .hs256)
        #expect(token.keyLabel == "main")
        #expect(
            String(decoding: token.identityFields, as: UTF8.self)
                == "X-User-ID: alice\r\nX-User-Role: admin\r\nX-Authenticated: true\r\n")
    }

    @Test(arguments: [
        TokenVectors.rs256, TokenVectors.ps256, TokenVectors.es256, TokenVectors.es384, TokenVectors.edDSA,
    ])
    func `of each public key family is verified under a JWKS, and refused when a byte changes`(
        _ token: String
    ) throws {
        let keys = [TokenVectors.rsaJWK, TestKeys.p256JWK, TokenVectors.p384JWK, TestKeys.ed25519JWK]
        let verifier = Mint.verifier(Mint.tokens([Mint.jwks("idp", keys)]))
        #expect(verifier.reason(token) == nil)
        let parts = token.split(separator: ".").map(String.init)
        let payload = Mint.base64(Array(#"{"sub":"mallory","exp":1700003600}"#.utf8))
        #expect(verifier.reason("\(parts[0]).\(payload).\(parts[2])") == .invalidSignature)
        let flipped = (parts[2].first == "A" ? "B" : "A") + parts[2].dropFirst()
        #expect(verifier.reason("\(parts[0]).\(parts[1]).\(flipped)") == .invalidSignature)
    }

    @Test func `of another key is refused`() {
        #expect(Mint.verifier().reason(Mint.token(Mint.claims(), secret: otherSecret)) == .invalidSignature)
    }

    @Test func `signed with the public key as a secret is refused`() {
        let onlyPEM = Mint.verifier(Mint.tokens([Mint.pem("rsa", TestKeys.rsa)]))
        #expect(onlyPEM.reason(TokenVectors.hs256UnderPublicKey) == .algNotAllowed)
        let both = Mint.verifier(Mint.tokens([Mint.key(), Mint.pem("rsa", TestKeys.rsa)]))
        #expect(both.reason(TokenVectors.hs256UnderPublicKey) == .invalidSignature)
        let mistaken = Mint.tokens([Mint.key("rsa", secret: TestKeys.rsa)])
        #expect(KeySet.build(from: mistaken).problems.map(\.severity) == [.unusable])
        #expect(Mint.verifier(mistaken).reason(TokenVectors.hs256UnderPublicKey) == .algNotAllowed)
    }

    @Test(arguments: ["none", "None", "NONE", "nOnE", "HS384", "HS257", "RS256", ""])
    func `of an algorithm that no key has is refused, signed or not`(_ alg: String) {
        let verifier = Mint.verifier()
        let signed = Mint.token(header: #"{"alg":"\#(alg)"}"#, Mint.claims())
        #expect(verifier.reason(signed) == .algNotAllowed)
        let unsigned = signed[...signed.lastIndex(of: ".")!]
        #expect(verifier.reason(String(unsigned)) == .algNotAllowed)
    }

    @Test(arguments: [
        #"{"alg":"HS256","crit":["exp"]}"#, #"{"alg":"HS256","crit":[]}"#, #"{"alg":"HS256","b64":true}"#,
        #"{"alg":"HS256","cty":"JWT"}"#, #"{"alg":"HS256","typ":"logout+jwt"}"#, #"{"alg":"HS256","typ":1}"#,
        #"{"alg":"HS256","kid":7}"#, #"{"alg":["HS256"]}"#, #"{"typ":"JWT"}"#, #"{"alg":"HS256","alg":"HS256"}"#,
        #"{"alg":"none","\u0061lg":"HS256"}"#, #"["HS256"]"#, #"{"alg":"HS256"} x"#, #"{"alg":"HS256",}"#, "",
        #"{"alg":"HS256","typ":"application/"}"#,
    ])
    func `with a header that could mean something else is refused`(_ header: String) {
        #expect(Mint.verifier().reason(Mint.token(header: header, Mint.claims())) == .invalidToken)
    }

    @Test(arguments: [
        #"{"alg":"HS256"}"#, #"{"alg":"HS256","typ":"jwt"}"#, #"{"alg":"HS256","typ":"at+JWT"}"#,
        #"{"alg":"HS256","typ":"application/at+jwt"}"#, #"{"alg":"HS256","typ":"Application/JWT"}"#,
        #"{"\u0061lg":"HS256"}"#, #" { "alg" : "HS256" , "x" : [ 1, {} ] } "#,
    ])
    func `with any spelling of a plain header is verified`(_ header: String) {
        #expect(Mint.verifier().reason(Mint.token(header: header, Mint.claims())) == nil)
    }

    @Test func `that brings its own key is judged by ours`() {
        let own = #""jwk":{"kty":"oct","k":"YW5vdGhlcg"},"jku":"https://evil.example/","x5u":"https://evil.example/""#
        let header = #"{"alg":"HS256",\#(own)}"#
        #expect(Mint.verifier().reason(Mint.token(header: header, Mint.claims())) == nil)
        let foreign = Mint.token(header: header, Mint.claims(), secret: otherSecret)
        #expect(Mint.verifier().reason(foreign) == .invalidSignature)
    }

    @Test func `in any form but three parts of strict base64url is refused`() {
        let verifier = Mint.verifier()
        let good = Mint.token(Mint.claims())
        let parts = good.split(separator: ".").map(String.init)
        for bad in [
            "", ".", "..", "...", "a", "\(parts[0]).\(parts[1])", "\(good).", "\(good).x.y", ".\(good)", " \(good)",
            "\(good) ", "\(parts[0]).\(parts[1] + "=").\(parts[2])", "\(parts[0])..\(parts[2])",
            #"{"payload":"\#(parts[1])"}"#,
        ] {
            let reason = verifier.reason(bad)
            #expect(reason == .invalidToken || reason == .invalidSignature, "\(bad)")
        }
        #expect(verifier.reason("\(good)=") == .invalidSignature)
        #expect(verifier.reason("\(parts[0]).\(parts[1]).") == .invalidSignature)
        #expect(verifier.reason("\(parts[0]).\(parts[1]).\(parts[2].dropLast(4))") == .invalidSignature)
    }

    @Test func `whose signature has other bits behind its last byte is refused`() {
        let good = Mint.token(Mint.claims())
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        // 32 bytes end in a digit of which two bits mean nothing.
        let other = digits[digits.firstIndex(of: good.last!)! + 1]
        #expect(Mint.verifier().reason(String(good.dropLast()) + String(other)) == .invalidSignature)
    }

    @Test func `longer than allowed is refused unread`() {
        let token = Mint.token(Mint.claims())
        let limit = token.utf8.count
        #expect(Mint.verifier(Mint.tokens(maximumBytes: limit)).reason(token) == nil)
        #expect(Mint.verifier(Mint.tokens(maximumBytes: limit - 1)).reason(token) == .tokenTooLarge)
    }

    @Test func `of sixteen thousand bytes is verified without the cache`() {
        let verifier = Mint.verifier()
        let claims = Mint.claims(#","x":"\#(String(repeating: "x", count: 11_000))""#)
        #expect(verifier.reason(Mint.token(claims)) == nil)
        #expect(verifier.reason(Mint.token(claims)) == nil)
        #expect(verifier.cachedTokens == 0)
    }

    @Test func `whose identity fields would fill a head is refused`() {
        let long = String(repeating: "é", count: 1_400)
        let token = Mint.token(Mint.claims(#","role":"\#(long)""#))
        #expect(Mint.verifier().reason(token) == .tokenTooLarge)
    }
}

@Suite struct `A refused token` {
    @Test func `tells the audit what it claimed, marked as unverified`() throws {
        let header = #"{"alg":"HS256","kid":"k9"}"#
        let token = Mint.token(header: header, Mint.claims(), secret: otherSecret)
        let refusal = try #require(Mint.verifier().refusal(token))
        #expect(refusal.reason == .invalidSignature)
        #expect(!refusal.isSigned)
        #expect(refusal.algorithm == .hs256)
        #expect(refusal.keyID == "k9")
        #expect(refusal.subject == "alice")
        #expect(refusal.issuedAt == WallTime(seconds: 1_699_999_990))
        #expect(refusal.expiresAt == WallTime(seconds: 1_700_003_600))
    }

    @Test func `that has expired is known to be ours`() throws {
        let token = Mint.token(Mint.claims())
        let refusal = try #require(Mint.verifier().refusal(token, at: WallTime(seconds: 1_700_003_600)))
        #expect(refusal.reason == .tokenExpired)
        #expect(refusal.isSigned)
        #expect(refusal.subject == "alice")
    }

    @Test func `has long names cut between characters`() throws {
        let kid = String(repeating: "é", count: 65) + "tail"
        let subject = "x" + String(repeating: "é", count: 200)
        let token = Mint.token(
            header: #"{"alg":"HS256","kid":"\#(kid)"}"#, #"{"sub":"\#(subject)"}"#, secret: otherSecret)
        let refusal = try #require(Mint.verifier().refusal(token))
        #expect(refusal.keyID == String(repeating: "é", count: 64))
        #expect(refusal.subject == "x" + String(repeating: "é", count: 127))
    }
}
