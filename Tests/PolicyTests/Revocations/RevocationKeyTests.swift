import Testing

@testable import Policy

@Suite struct `A key of a revocation` {
    @Test(arguments: [
        ("revoked:sub:alice", RevocationTarget.Kind.subject, "alice"),
        ("revoked:jti:3f2c", .token, "3f2c"),
        ("revoked:role:admin", .role, "admin"),
        ("revoked:key:idp/2024-05", .key, "idp/2024-05"),
        ("revoked:iss:https://idp.example.org:8443/a", .issuer, "https://idp.example.org:8443/a"),
        ("revoked:sub:a:b::c:", .subject, "a:b::c:"),
        ("revoked:sub::", .subject, ":"),
        ("revoked:sub: ", .subject, " "),
        ("revoked:sub:\n", .subject, "\n"),
        ("revoked:sub:\r\n", .subject, "\r\n"),
        ("revoked:sub:\u{0}x", .subject, "\u{0}x"),
        ("revoked:sub:\u{301}", .subject, "\u{301}"),
        ("revoked:sub:\u{338}alice", .subject, "\u{338}alice"),
        ("revoked:sub:\u{200d}a", .subject, "\u{200d}a"),
        ("revoked:sub:a:\u{20e3}", .subject, "a:\u{20e3}"),
        ("revoked:sub:a\u{fffd}b", .subject, "a\u{fffd}b"),
        ("revoked:sub:*", .subject, "*"),
    ])
    func `names its target, whatever the name looks like`(key: String, kind: RevocationTarget.Kind, name: String) throws
    {
        let target = try #require(RevocationKey.target(of: key))
        #expect(target.kind == kind)
        #expect(target.name == Array(name.utf8))
        #expect(Array(RevocationKey.of(target).utf8) == Array(key.utf8))
    }

    @Test(arguments: [
        "", "revoked", "revoked:", "revoked::", "revoked:bogus", "revoked:sub", "revoked:sub:", "revoked::alice",
        "revoked:user:alice", "revoked:Sub:alice", "revoked:sub alice", "revoked: sub:alice", "Revoked:sub:alice",
        "revoked:subject:alice", "ip_block:192.0.2.1", " revoked:sub:alice", "revoked:\u{301}sub:alice",
        "revoked:su\u{301}b:alice", "revoked:sub\u{301}:alice", "revoked\u{37e}sub:alice",
    ])
    func `that names nothing is none`(key: String) {
        #expect(RevocationKey.target(of: key) == nil)
    }

    @Test func `holds a name of 512 bytes and no more`() {
        let longest = String(repeating: "é", count: 256)
        #expect(RevocationKey.target(of: "revoked:sub:\(longest)")?.text == longest)
        #expect(RevocationKey.target(of: "revoked:sub:\(longest)x") == nil)
        #expect(RevocationTarget(.subject, longest) != nil)
        #expect(RevocationTarget(.subject, longest + "x") == nil)
        #expect(RevocationTarget(.subject, "") == nil)
    }

    @Test func `keeps apart two spellings of one word`() throws {
        let composed = try #require(RevocationKey.target(of: "revoked:sub:caf\u{e9}"))
        let decomposed = try #require(RevocationKey.target(of: "revoked:sub:cafe\u{301}"))
        #expect(composed != decomposed)
        #expect(composed.text == decomposed.text, "to String they are one")
    }
}
