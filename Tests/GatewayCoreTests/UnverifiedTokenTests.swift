import Testing
import Wire

@testable import GatewayCore

@Suite struct `A token that somebody found` {
    /// base64url without padding, written out so that it shares nothing with what is tested.
    private func base64(_ text: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var out = ""
        var (bits, count) = (0, 0)
        for byte in text.utf8 {
            (bits, count) = (bits << 8 | Int(byte), count + 8)
            while count >= 6 {
                count -= 6
                out.append(alphabet[bits >> count & 63])
            }
        }
        if count > 0 { out.append(alphabet[bits << (6 - count) & 63]) }
        return out
    }

    private func token(_ payload: String) -> String { "eyJhbGciOiJIUzI1NiJ9.\(base64(payload)).c2ln" }

    private func read(_ payload: String) -> UnverifiedToken? { UnverifiedToken(token(payload)) }

    @Test func `says by which id it can be revoked, and until when it must be`() {
        let found = read(#"{"jti":"j-1","exp":1700000000,"realm_access":{"roles":["a"]}}"#)
        #expect(found?.id == "j-1")
        #expect(found?.expiresAt == WallTime(seconds: 1_700_000_000))
        #expect(read(#"{"jti":77}"#)?.id == "77", "the gateway knows it by the text of the number")
        #expect(read(#"{"jti":"j-1","exp":1700000000.25}"#)?.expiresAt == WallTime(seconds: 1_700_000_001))
        #expect(read(#"{"jti":"j-1","exp":1.7e9}"#)?.expiresAt == WallTime(seconds: 1_700_000_000))
        #expect(read("{}").map { $0.id == nil && $0.expiresAt == nil } == true)
        #expect(read(#"{"jti":null,"exp":"1700000000"}"#).map { $0.id == nil && $0.expiresAt == nil } == true)
        #expect(read(#"{"jti":["j"]}"#).map { $0.id == nil } == true)
    }

    /// Some issuers write milliseconds, and a stranger what he likes: it is far away, and no sum of it overflows.
    @Test(arguments: [
        "100000000000", "1700000000123", "9223372036854775807", "1e11", "1e300", "-1", "-9223372036854775808",
        "0", "-1.5",
    ])
    func `that has no sensible end is taken for one without`(expiry: String) {
        #expect(read("{\"jti\":\"j-1\",\"exp\":\(expiry)}").map { $0.id == "j-1" && $0.expiresAt == nil } == true)
    }

    @Test func `is taken as people paste it`() {
        let text = token(#"{"jti":"j-1"}"#)
        for pasted in [text, "\(text)\n", " \t\(text)\r\n", "Bearer \(text)", "bearer\n\(text)\n"] {
            #expect(UnverifiedToken(pasted)?.id == "j-1", "\(pasted)")
        }
    }

    @Test(arguments: [
        "", " ", "Bearer", "Bearer ", "x", ".", "..", "a.b.c", "a.e30", "a.e30.c.d", "a.e30.c a.e30.c", "Basic a.e30.c",
        "Bearer Bearer a.e30.c", "a.e30=.c", "a.e31.c", "a.W10.c", "a.bnVsbA.c", "a.eyJqdGkiOiJqIn0K\u{0}.c",
        "a.e\n30.c", "a.é.c",
    ])
    func `that is none is none`(text: String) {
        #expect(UnverifiedToken(text) == nil)
    }

    @Test func `with a member twice, or deep in itself, is none`() {
        #expect(read(#"{"jti":"a","jti":"b"}"#) == nil)
        #expect(read(#"{"jti":"a","j\u0074i":"b"}"#) == nil)
        #expect(read(#"{"x":\#(String(repeating: "[", count: 100_000))"#) == nil)
        #expect(read("{\"jti\":\"a\"") == nil)
    }
}
