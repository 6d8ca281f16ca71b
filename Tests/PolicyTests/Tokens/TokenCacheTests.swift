import Testing
import Wire

@testable import Crypto
@testable import Policy
@testable import Settings

private func token(_ number: Int, _ more: String = "") -> String {
    Mint.token(#"{"sub":"user-\#(number)","exp":1700003600\#(more)}"#)
}

@Suite struct `The cache of verified tokens` {
    @Test func `gives back the very same result`() throws {
        let verifier = Mint.verifier()
        let first = try #require(verifier.verified(token(1)))
        #expect(verifier.cachedTokens == 1)
        #expect(verifier.verified(token(1)) === first)
        #expect(verifier.verified(token(2)) !== first)
        #expect(verifier.cachedTokens == 2)
    }

    @Test func `honours exp at the second, and nbf when the clock goes back`() {
        let verifier = Mint.verifier()
        let text = token(1, #","nbf":1700000000"#)
        #expect(verifier.reason(text) == nil)
        #expect(verifier.reason(text, at: WallTime(milliseconds: 1_700_003_599_999)) == nil)
        #expect(verifier.reason(text, at: WallTime(milliseconds: 1_699_999_999_999)) == .notYetValid)
        #expect(verifier.reason(text) == nil)
        #expect(verifier.reason(text, at: WallTime(seconds: 1_700_003_600)) == .tokenExpired)
        #expect(verifier.cachedTokens == 0)
    }

    @Test func `forgets what removed keys had signed, at once`() {
        let old = Mint.tokens([Mint.key("old"), Mint.key("new", secret: "the new secret, as long as it must be")])
        let verifier = Mint.verifier(old)
        #expect(verifier.reason(token(1)) == nil)
        let new = Mint.tokens([Mint.key("new", secret: "the new secret, as long as it must be")])
        verifier.update(
            keys: KeySet.build(from: new).keys,
            policy: TokenPolicy(tokens: new, identityHeaders: Mint.headers, routes: []))
        #expect(verifier.reason(token(1)) == .invalidSignature)
    }

    /// The header that was read last is not read again when the next token has the same.
    @Test func `takes no header for another one`() {
        let second = "the second secret, as long as it must be"
        let verifier = Mint.verifier(Mint.tokens([Mint.key("a"), Mint.key("b", secret: second)]))
        let (a, b) = (#"{"alg":"HS256","kid":"a"}"#, #"{"alg":"HS256","kid":"b"}"#)
        func reason(_ number: Int, _ header: String, _ secret: String) -> Reason? {
            verifier.reason(Mint.token(header: header, #"{"sub":"\#(number)","exp":1700003600}"#, secret: secret))
        }
        #expect(reason(1, a, Mint.secret) == nil)
        #expect(reason(2, a, second) == .invalidSignature)
        #expect(reason(3, b, second) == nil)
        #expect(reason(4, b, Mint.secret) == .invalidSignature)
        #expect(reason(5, #"{"alg":"none"}"#, second) == .algNotAllowed)
        #expect(reason(6, #"{"alg":"HS256","crit":["x"]}"#, second) == .invalidToken)
        #expect(reason(7, b, second) == nil)
        #expect(reason(8, a, second) == .invalidSignature)
        #expect(reason(9, #"{"alg":"HS256","kid":"c"}"#, second) == nil)
        #expect(reason(10, a, Mint.secret) == nil)
    }

    @Test func `chooses among the keys of today for a header of yesterday`() {
        let second = "the second secret, as long as it must be"
        let verifier = Mint.verifier(Mint.tokens([Mint.key("a"), Mint.key("b", secret: second)]))
        let header = #"{"alg":"HS256","kid":"b"}"#
        func reason(_ number: Int, _ secret: String) -> Reason? {
            verifier.reason(Mint.token(header: header, #"{"sub":"\#(number)","exp":1700003600}"#, secret: secret))
        }
        #expect(reason(1, second) == nil)
        let new = Mint.tokens([Mint.key("b"), Mint.key("c", secret: second)])
        verifier.update(
            keys: KeySet.build(from: new).keys, policy: TokenPolicy(tokens: new, identityHeaders: [], routes: []))
        #expect(reason(2, second) == .invalidSignature)
        #expect(reason(3, Mint.secret) == nil)
        let none = Mint.tokens([Mint.key("c", secret: second), Mint.key("d")])
        verifier.update(
            keys: KeySet.build(from: none).keys, policy: TokenPolicy(tokens: none, identityHeaders: [], routes: []))
        #expect(reason(4, second) == nil)
        #expect(reason(5, Mint.secret) == nil)
        #expect(reason(6, "a third secret, as long as it must be") == .invalidSignature)
    }

    @Test func `judges again under a new policy`() {
        let verifier = Mint.verifier()
        #expect(verifier.reason(token(1)) == nil)
        let stricter = Mint.tokens(issuers: ["https://a.example"])
        verifier.update(
            keys: KeySet.build(from: stricter).keys,
            policy: TokenPolicy(tokens: stricter, identityHeaders: [], routes: []))
        #expect(verifier.reason(token(1)) == .missingClaim)
    }

    @Test func `holds only tokens that were verified`() {
        let verifier = Mint.verifier()
        for number in 0..<100 {
            _ = verifier.verify(Mint.token(#"{"sub":"\#(number)","exp":1700003600}"#, secret: "guess"))
        }
        #expect(verifier.cachedTokens == 0)
    }

    @Test func `stays within its bounds with ten thousand tokens`() {
        let verifier = Mint.verifier(Mint.tokens(cacheEntries: 256))
        for number in 0..<10_000 { #expect(verifier.reason(token(number)) == nil) }
        #expect(verifier.cachedTokens <= 256)
        #expect(verifier.cachedTokens >= 250)
    }

    @Test func `may be switched off`() {
        let verifier = Mint.verifier(Mint.tokens(cacheEntries: 0))
        #expect(verifier.reason(token(1)) == nil)
        #expect(verifier.reason(token(1)) == nil)
        #expect(verifier.cachedTokens == 0)
    }

    @Test func `does not take a token for another one with the same end`() {
        let verifier = Mint.verifier()
        let good = token(1)
        #expect(verifier.reason(good) == nil)
        let other = token(2)
        let forged = other[..<other.lastIndex(of: ".")!] + good[good.lastIndex(of: ".")!...]
        #expect(verifier.reason(String(forged)) == .invalidSignature)
    }

    @Test func `keeps the most recently used of a full set`() {
        let verified = Mint.verifier().verified(token(0))!
        var cache = TokenCache(capacity: 4)
        let tokens = (0..<5).map { Array("a token that has the number 000\($0)".utf8) }
        for token in tokens[..<4] { cache.insert(token.span, verified) }
        let (first, last) = (tokens[0], tokens[4])
        _ = cache.find(first.span, generation: 1)
        cache.insert(last.span, verified)
        let held = tokens.map { cache.find($0.span, generation: 1) != nil }
        #expect(held == [true, false, true, true, true])
    }

    @Test func `puts tokens into places that differ from process to process`() {
        let verified = Mint.verifier().verified(token(0))!
        let tokens = (0..<64).map { Array("a token that ends in the number \($0 + 1_000)".utf8) }
        // Which of 64 tokens a cache of 32 still holds depends on nothing but the places.
        func survivors() -> [Bool] {
            var cache = TokenCache(capacity: 32)
            for token in tokens { cache.insert(token.span, verified) }
            return tokens.map { cache.find($0.span, generation: 1) != nil }
        }
        #expect(survivors() != survivors())
    }

    @Test func `keeps no entry above its size`() {
        let verified = Mint.verifier().verified(token(0))!
        let rest = verified.identityFields.count + verified.subject.count + 16 * verified.marks.names.count
        var cache = TokenCache(capacity: 4)
        let fits = [UInt8](repeating: 65, count: TokenCache.maximumEntryBytes - rest)
        let exceeds = fits + [65]
        cache.insert(exceeds.span, verified)
        #expect(cache.count == 0)
        cache.insert(fits.span, verified)
        #expect(cache.count == 1)
    }
}
