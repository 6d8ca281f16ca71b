import Testing
import Wire

@testable import Policy
@testable import Settings

private func fields(_ header: String, _ claim: String, _ payload: String) -> String? {
    let headers = [Configuration.IdentityHeader(name: header, value: .claim(claim))]
    let verifier = Mint.verifier(headers: headers)
    return verifier.verified(Mint.token(#"{"exp":1700003600,\#(payload)}"#)).map {
        String(decoding: $0.identityFields, as: UTF8.self)
    }
}

@Suite struct `Identity fields` {
    @Test(arguments: [
        (#""role":"admin""#, "X-Role: admin\r\n"), (#""role":7"#, "X-Role: 7\r\n"),
        (#""role":true"#, "X-Role: true\r\n"),
        (#""role":["admin","staff",3]"#, "X-Role: admin,staff,3\r\n"),
        (#""role":["a",null,{},"","b"]"#, "X-Role: a,b\r\n"),
        (#""role":"a b""#, "X-Role: a b\r\n"),
    ])
    func `carry strings, numbers, booleans and lists`(_ claim: String, _ expected: String) {
        #expect(fields("X-Role", "role", claim) == expected)
    }

    @Test(arguments: [#""role":"""#, #""role":null"#, #""role":{"a":1}"#, #""role":[]"#, #""other":1"#])
    func `are left out when there is nothing to say`(_ claim: String) {
        #expect(fields("X-Role", "role", claim) == "")
    }

    @Test(arguments: [
        (#""role":"a\r\nX-Admin: 1""#, "X-Role: a%0D%0AX-Admin: 1\r\n"),
        (#""role":"\u0000\u007f\t""#, "X-Role: %00%7F%09\r\n"),
        (#""role":"Zoë""#, "X-Role: Zo%C3%AB\r\n"), (#""role":"100%0a""#, "X-Role: 100%250a\r\n"),
        (#""role":" a ""#, "X-Role: %20a%20\r\n"), (#""role":["user,admin","x"]"#, "X-Role: user%2Cadmin,x\r\n"),
        (#""role":"Doe, Jane""#, "X-Role: Doe, Jane\r\n"),
    ])
    func `cannot be broken out of`(_ claim: String, _ expected: String) {
        #expect(fields("X-Role", "role", claim) == expected)
    }

    @Test func `find nested claims by a path`() {
        #expect(
            fields("X-Roles", "realm_access.roles", #""realm_access":{"roles":["a","b"]}"#) == "X-Roles: a,b\r\n")
    }
}

@Suite struct `The demands of a route` {
    private func refusal(
        _ payload: String, claims: [Configuration.RequiredClaim] = [], roles: [String] = [],
        rolesClaim: String = "roles", scopes: [String] = [], scopesClaim: String = "scope",
        stepUp: Configuration.StepUp = .init()
    ) throws -> Refusal? {
        var tokens = Mint.tokens(rolesClaim: rolesClaim)
        tokens.scopesClaim = scopesClaim
        var demanding = Mint.route(claims: claims, roles: roles)
        demanding.requiredScopes = scopes
        demanding.stepUp = stepUp
        let routes = [Mint.route(), demanding]
        let policy = TokenPolicy(tokens: tokens, identityHeaders: [], routes: routes)
        let authenticator = Authenticator(
            keys: KeySet.build(from: tokens).keys, policy: policy, routes: routes)
        let head = Array(Mint.token(#"{"exp":1700003600,\#(payload)}"#.replacing(",}", with: "}")).utf8)
        guard
            case .identified(let token) = authenticator.authenticate(
                .at(0..<head.count), in: head.span, route: 1, at: Mint.now)
        else {
            Issue.record("the token is right")
            return nil
        }
        #expect(authenticator.authorize(token, route: 0, at: Mint.now) == nil)
        return authenticator.authorize(token, route: 1, at: Mint.now)
    }

    @Test func `of claims are met by one of the values`() throws {
        let tier = [Configuration.RequiredClaim(name: "tier", oneOf: ["gold", "silver"])]
        #expect(try refusal(#""tier":"silver""#, claims: tier) == nil)
        #expect(try refusal(#""tier":["bronze","gold"]"#, claims: tier) == nil)
        #expect(try refusal(#""tier":"bronze""#, claims: tier) == .missingClaim)
        #expect(try refusal(#""tier":"gold silver""#, claims: tier) == .missingClaim)
        #expect(try refusal(#""tier":{"gold":true}"#, claims: tier) == .missingClaim)
        #expect(try refusal(#""x":1"#, claims: tier) == .missingClaim)
    }

    @Test func `of several claims are all needed`() throws {
        let both = [
            Configuration.RequiredClaim(name: "tier", oneOf: ["gold"]),
            Configuration.RequiredClaim(name: "verified", oneOf: ["true"]),
        ]
        #expect(try refusal(#""tier":"gold","verified":true"#, claims: both) == nil)
        #expect(try refusal(#""tier":"gold","verified":"true""#, claims: both) == nil)
        #expect(try refusal(#""tier":"gold","verified":false"#, claims: both) == .missingClaim)
        #expect(try refusal(#""verified":true"#, claims: both) == .missingClaim)
    }

    @Test func `of roles are met by one role in a list or a string`() throws {
        #expect(try refusal(#""roles":["user","admin"]"#, roles: ["admin", "root"]) == nil)
        #expect(try refusal(#""roles":"user  admin""#, roles: ["admin"]) == nil)
        #expect(try refusal(#""roles":"admin""#, roles: ["admin"]) == nil)
        #expect(try refusal(#""roles":"administrator""#, roles: ["admin"]) == .missingRole)
        #expect(try refusal(#""roles":["ad","min"]"#, roles: ["admin"]) == .missingRole)
        #expect(try refusal(#""roles":"""#, roles: [""]) == .missingRole)
        #expect(try refusal(#""roles":[7]"#, roles: ["7"]) == .missingRole)
        #expect(try refusal(#""x":1"#, roles: ["admin"]) == .missingRole)
        #expect(try refusal(#""a":{"b":["admin"]}"#, roles: ["admin"], rolesClaim: "a.b") == nil)
    }

    @Test func `of a claim that is present are met by any value but null`() throws {
        let present = [Configuration.RequiredClaim(name: "email", oneOf: ["@present"])]
        for value in ["\"a@b\"", "\"\"", "0", "false", "[]", "{}"] {
            #expect(try refusal("\"email\":\(value)", claims: present) == nil, "\(value)")
        }
        #expect(try refusal(#""email":null"#, claims: present) == .missingClaim)
        #expect(try refusal(#""x":1"#, claims: present) == .missingClaim)
    }

    /// RFC 6749 §3.3: words with spaces between, letter case counts; some issuers write a list.
    @Test func `of scopes are met by all of them`() throws {
        let both = ["orders.read", "orders.write"]
        #expect(try refusal(#""scope":"openid orders.write orders.read""#, scopes: both) == nil)
        #expect(try refusal(#""scope":["orders.read","orders.write"]"#, scopes: both) == nil)
        #expect(try refusal(#""scp":["orders.read","orders.write"]"#, scopes: both, scopesClaim: "scp") == nil)
        #expect(try refusal(#""scope":"orders.read""#, scopes: both) == .missingScope)
        #expect(try refusal(#""scope":"orders.read orders.WRITE""#, scopes: both) == .missingScope)
        #expect(try refusal(#""scope":"orders.read,orders.write""#, scopes: both) == .missingScope)
        #expect(try refusal(#""x":1"#, scopes: both) == .missingScope)
    }

    @Test func `of a login are met by its level and its methods`() throws {
        var stepUp = Configuration.StepUp()
        stepUp.levels = ["gold", "silver"]
        stepUp.methods = ["mfa", "hwk"]
        #expect(try refusal(#""acr":"silver","amr":["pwd","mfa"]"#, stepUp: stepUp) == nil)
        #expect(try refusal(#""acr":"bronze","amr":["pwd","mfa"]"#, stepUp: stepUp) == .loginTooWeak)
        #expect(try refusal(#""acr":"gold","amr":["pwd"]"#, stepUp: stepUp) == .loginTooWeak)
        #expect(try refusal(#""acr":"gold""#, stepUp: stepUp) == .loginTooWeak)
        #expect(try refusal(#""amr":["mfa"]"#, stepUp: stepUp) == .loginTooWeak)
    }

    /// `Mint.now` is 1,700,000,000, and the leeway 0.
    @Test func `of a login are met by one that is recent`() throws {
        var stepUp = Configuration.StepUp()
        stepUp.maximumAge = .seconds(300)
        #expect(try refusal(#""auth_time":1699999700"#, stepUp: stepUp) == nil)
        #expect(try refusal(#""auth_time":1700000000"#, stepUp: stepUp) == nil)
        #expect(try refusal(#""auth_time":1699999699"#, stepUp: stepUp) == .loginTooWeak)
        #expect(try refusal(#""auth_time":1700000001"#, stepUp: stepUp) == .loginTooWeak, "it is yet to come")
        #expect(try refusal(#""auth_time":-9007199254740991"#, stepUp: stepUp) == .loginTooWeak)
        #expect(try refusal(#""x":1"#, stepUp: stepUp) == .loginTooWeak)
    }

    @Test func `are told one by one`() throws {
        var stepUp = Configuration.StepUp()
        stepUp.methods = ["mfa"]
        let tier = [Configuration.RequiredClaim(name: "tier", oneOf: ["gold"])]
        func told(_ payload: String) throws -> Refusal? {
            try refusal(payload, claims: tier, roles: ["admin"], scopes: ["write"], stepUp: stepUp)
        }
        #expect(try told(#""x":1"#) == .missingClaim)
        #expect(try told(#""tier":"gold""#) == .missingRole)
        #expect(try told(#""tier":"gold","roles":"admin""#) == .missingScope)
        #expect(try told(#""tier":"gold","roles":"admin","scope":"write""#) == .loginTooWeak)
        #expect(try told(#""tier":"gold","roles":"admin","scope":"write","amr":["mfa"]"#) == nil)
    }

    @Test func `are kept apart for a hundred routes`() {
        let routes = (0..<100).map { Mint.route(roles: ["role-\($0 % 3)"]) }
        let tokens = Mint.tokens()
        let authenticator = Authenticator(
            keys: KeySet.build(from: tokens).keys,
            policy: TokenPolicy(tokens: tokens, identityHeaders: [], routes: routes), routes: routes)
        let head = Array(Mint.token(#"{"exp":1700003600,"roles":["role-1"]}"#).utf8)
        guard
            case .identified(let token) = authenticator.authenticate(
                .at(0..<head.count), in: head.span, route: 0, at: Mint.now)
        else {
            Issue.record("the token is right")
            return
        }
        for route in 0..<100 {
            #expect(
                (authenticator.authorize(token, route: route, at: Mint.now) == nil) == (route % 3 == 1),
                "route \(route)")
        }
        #expect(authenticator.authorize(token, route: 128, at: Mint.now) == .missingClaim)
        authenticator.update(
            keys: KeySet.build(from: tokens).keys,
            policy: TokenPolicy(tokens: tokens, identityHeaders: [], routes: []), routes: [])
        #expect(authenticator.authorize(token, route: 1, at: Mint.now) == .invalidToken(.invalidToken))
    }
}
