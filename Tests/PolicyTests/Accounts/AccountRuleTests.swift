import Settings
import Testing

@testable import Policy

@Suite struct `What stands for an account` {
    private static let secret = Secret("0123456789abcdef0123456789abcdef")

    private func rule(_ secret: Secret = Self.secret) throws -> AccountRule {
        var configuration = House.configuration()
        configuration.accounts = .init(members: ["username"], secret: secret)
        return try #require(AccountRule(configuration))
    }

    /// Written out: what is in the store must mean the same to every version.
    /// HMAC-SHA-256 with HMAC-SHA-256(secret, "gateway accounts") as its key, the first 128 bits.
    @Test func `is a keyed hash, the same for every replica`() throws {
        #expect(try rule().mark(of: "alice")?.description == "d6f0d8d700da2bee6fbd7e43ee9f571c")
        #expect(try rule().mark(of: " ALICE") == rule().mark(of: "alice"))
    }

    @Test func `is another one with another secret`() throws {
        let other = try rule(Secret("0123456789abcdef0123456789abcdeF"))
        #expect(try other.mark(of: "alice") != rule().mark(of: "alice"))
    }

    @Test func `is found in a login`() throws {
        let rule = try rule()
        let mark = try #require(rule.mark(of: "alice"))
        #expect(rule.read(query: [], body: Array(#"{"username":"Alice"}"#.utf8)) == .account(mark))
        #expect(rule.read(query: [], body: []) == .unknown)
        #expect(rule.read(query: [], body: Array("username=a&username=b".utf8)) == .ambiguous)
        #expect(rule.mark(of: " ") == nil)
    }

    @Test func `is not looked for unless members are named`() {
        #expect(AccountRule(House.configuration()) == nil)
    }

    @Test func `is not looked for in a body that is encoded`() {
        let isReadable = { (fields: String) in
            let head = Array("\r\nPOST /login?a=b HTTP/1.1\r\nHost: a\r\n\(fields)Accept: */*\r\n\r\n".utf8)
            return AccountRule.isReadable(head.span, from: 13)
        }
        #expect(isReadable(""))
        #expect(isReadable("Content-Type: application/json; charset=utf-8\r\ncontent-encoding: identity\r\n"))
        #expect(!isReadable("content-encoding: gzip\r\n"))
        #expect(!isReadable("Content-Type: application/json\r\ncontent-type: application/json;charset=UTF-7\r\n"))
    }
}
