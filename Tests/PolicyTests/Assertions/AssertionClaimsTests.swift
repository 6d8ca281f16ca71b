import Testing

@testable import Policy
@testable import Settings

/// What an assertion says of a token whose payload has these members; nil: the token is refused.
private func asserted(_ members: String, rolesClaim: String = "roles", scopesClaim: String = "scope") -> String? {
    var tokens = Mint.tokens(rolesClaim: rolesClaim)
    tokens.scopesClaim = scopesClaim
    let verifier = TokenVerifier(
        keys: KeySet.build(from: tokens).keys,
        policy: TokenPolicy(tokens: tokens, identityHeaders: Mint.headers, routes: [Mint.route()], asserts: true))
    let payload = #"{"exp":1700003600\#(members.isEmpty ? "" : ",\(members)")}"#
    return verifier.verified(Mint.token(payload)).map { String(decoding: $0.assertedClaims, as: UTF8.self) }
}

@Suite struct `The claims of an assertion` {
    @Test func `say all that the token says, always in one order`() {
        let members = #"""
            "client_id":"c-1","azp":"app","auth_time":1699999000,"amr":["pwd","otp"],"acr":"gold","iss":"https://idp",\#
            "scope":"read write","roles":["user","admin"],"sub":"alice","tenant":"blue"
            """#
        #expect(
            asserted(members) == #","sub":"alice","sub_id":{"format":"iss_sub","iss":"https://idp","sub":"alice"},"#
                + #""roles":["user","admin"],"scope":"read write","acr":"gold","amr":["pwd","otp"],"#
                + #""auth_time":1699999000,"azp":"app","client_id":"c-1""#)
    }

    @Test(arguments: [
        ("", ""), (#""sub":"alice""#, #","sub":"alice""#), (#""sub":42"#, #","sub":"42""#),
        (#""iss":"https://idp""#, ""), (#""email":"a@b""#, ""), (#""azp":7,"acr":["gold"],"amr":"pwd""#, ""),
        (#""roles":[],"scope":"","amr":[]"#, ""), (#""auth_time":null"#, ""),
    ])
    func `are left out when there is nothing to say`(_ members: String, _ expected: String) {
        #expect(asserted(members) == expected)
    }

    /// As the rules of routes read them (docs/authorization.md).
    @Test(arguments: [
        (#""roles":"user  admin ""#, #","roles":["user","admin"]"#),
        (#""roles":["user",7,"",null,["x"],"admin"]"#, #","roles":["user","admin"]"#),
        (#""scope":["read","write"]"#, #","scope":"read write""#),
        (#""scope":" read   write ""#, #","scope":"read write""#),
        (#""roles":["two words"]"#, #","roles":["two words"]"#),
    ])
    func `have one form, however the issuer writes them`(_ members: String, _ expected: String) {
        #expect(asserted(members) == expected)
    }

    @Test func `make no scope out of a part of another one`() {
        #expect(asserted(#""scope":["read all","write"]"#) == #","scope":"write""#)
    }

    @Test func `are found where the configuration says`() {
        #expect(asserted(#""realm":{"roles":["a"]}"#, rolesClaim: "realm.roles") == #","roles":["a"]"#)
        #expect(asserted(#""scp":["a"]"#, scopesClaim: "scp") == #","scope":"a""#)
    }

    @Test(arguments: [
        (#""acr":"a\"b\\c""#, #","acr":"a\"b\\c""#),
        (#""acr":"\",\"roles\":[\"admin\"],\"x\":\"""#, #","acr":"\",\"roles\":[\"admin\"],\"x\":\"""#),
        (#""acr":"\u0000\n\r\u001f\u007f""#, #","acr":"\u0000\u000a\u000d\u001f"# + "\u{7f}\""),
        (#""acr":"Zoë \u20ac \ud83d\ude00 \/""#, ##","acr":"Zoë € 😀 /""##),
    ])
    func `cannot be broken out of`(_ members: String, _ expected: String) { #expect(asserted(members) == expected) }

    @Test func `are bounded, and a token that says more is refused`() {
        let fits = String(repeating: "a", count: AssertionClaims.maximumBytes - #","acr":"""#.utf8.count)
        #expect(asserted(#""acr":"\#(fits)""#)?.utf8.count == AssertionClaims.maximumBytes)
        #expect(asserted(#""acr":"\#(fits)a""#) == nil)
    }

    @Test func `are not made when nothing is signed`() {
        #expect(Mint.verifier().verified(House.token())?.assertedClaims == [])
    }
}
