import Testing
import Wire

@testable import Policy
@testable import Settings

/// What a request with these fields gets on a route; the fields are joined into one head.
private func outcome(
    authorization: [String] = [], cookies: [String] = [], cookie: String? = nil,
    _ authentication: Configuration.Authentication = .required, at now: WallTime = Mint.now
) -> String {
    let tokens = Mint.tokens(maximumBytes: 1_000)
    let routes = [Mint.route(authentication, cookie: cookie)]
    let authenticator = Authenticator(
        keys: KeySet.build(from: tokens).keys,
        policy: TokenPolicy(tokens: tokens, identityHeaders: Mint.headers, routes: routes), routes: routes)
    var credentials = Credentials(TokenPlaces(routes[0]))
    var head: [UInt8] = []
    var places: [Range<Int>] = []
    for value in authorization + cookies {
        let start = head.count
        head += Array(value.utf8)
        places.append(start..<head.count)
        head += Array("\r\n".utf8)
    }
    for (index, place) in places.enumerated() {
        if index < authorization.count {
            credentials.takeAuthorization(place, of: head.span)
        } else {
            credentials.takeCookie(place, of: head.span)
        }
    }
    switch authenticator.authenticate(credentials.place, in: head.span, route: 0, at: now) {
    case .anonymous: return "anonymous"
    case .identified(let token): return String(decoding: token.subject, as: UTF8.self)
    case .refused(let refusal, _):
        return
            "\(refusal.status) \(refusal.code.rawValue) \(refusal.reason?.rawValue ?? "") \(refusal.bearerError ?? "")"
    }
}

private let good = Mint.token(Mint.claims())
private let bob = Mint.token(#"{"sub":"bob","exp":1700003600}"#)
private let malformed = "401 AUTH_001 invalid_token invalid_request"
private let missing = "401 AUTH_001 missing_token "

@Suite struct `Authentication` {
    @Test(arguments: ["Bearer ", "bearer ", "BEARER ", "bEaReR    "])
    func `takes a bearer token in any case of the scheme`(_ scheme: String) {
        #expect(outcome(authorization: [scheme + good]) == "alice")
        #expect(outcome(authorization: [scheme + good], .optional) == "alice")
    }

    @Test func `depends on what the route asks for`() {
        #expect(outcome() == missing)
        #expect(outcome(.optional) == "anonymous")
        #expect(outcome(.none) == "anonymous")
        #expect(outcome(authorization: ["Bearer \(good)"], .none) == "anonymous")
        #expect(outcome(authorization: ["Bearer x"], .none) == "anonymous")
        #expect(outcome(authorization: ["Bearer a.b.c"], .optional) == "401 AUTH_001 invalid_token invalid_token")
    }

    @Test func `names the fault of a token by its code`() {
        let expired = WallTime(seconds: 1_700_003_600)
        #expect(outcome(authorization: ["Bearer \(good)"], at: expired) == "401 AUTH_002 token_expired invalid_token")
        let foreign = Mint.token(Mint.claims(), secret: "x")
        #expect(outcome(authorization: ["Bearer \(foreign)"]) == "401 AUTH_001 invalid_signature invalid_token")
        let long = "Bearer " + String(repeating: "a", count: 1_001)
        #expect(outcome(authorization: [long]) == "401 AUTH_001 token_too_large invalid_token")
    }

    @Test(arguments: [
        "Bearer", "Bearer ", "bearer  ", "Bearer\t\(good)", "Bearer,\(good)", "Bearer \(good) x",
        "Bearer \(good), Bearer x",
        "Bearer \"\(good)\"", "Bearer =", "Bearer a=b", "Bearer \(good);", "Bearer é",
    ])
    func `refuses what is not Bearer and a token`(_ value: String) {
        #expect(outcome(authorization: [value]) == malformed)
        #expect(outcome(authorization: [value], .optional) == malformed)
    }

    @Test(arguments: ["Basic YTpi", "Bearerx \(good)", "Digest a=b", "", "Bear", "DPoP \(good)"])
    func `sees no token in another scheme`(_ value: String) {
        #expect(outcome(authorization: [value]) == missing)
        #expect(outcome(authorization: [value], .optional) == "anonymous")
    }

    @Test func `refuses more than one Authorization field`() {
        #expect(outcome(authorization: ["Bearer \(good)", "Bearer \(good)"]) == malformed)
        #expect(outcome(authorization: ["Bearer \(good)", "Basic YTpi"]) == malformed)
        #expect(outcome(authorization: ["Basic YTpi", "Bearer \(good)"], .optional) == malformed)
    }
}

@Suite struct `A token in a cookie` {
    private func cookie(_ values: String...) -> String { outcome(cookies: values, cookie: "access_token") }

    @Test func `is found by its exact name`() {
        #expect(cookie("access_token=\(good)") == "alice")
        #expect(cookie("a=b; access_token=\(good); c=d") == "alice")
        #expect(cookie("a=b;access_token=\(good)") == "alice")
        #expect(cookie("a=b", "access_token=\(good)") == "alice")
        #expect(cookie("access_token=\"\(good)\"") == "alice")
        #expect(cookie("Access_Token=\(good)") == missing)
        #expect(cookie("xaccess_token=\(good)") == missing)
        #expect(cookie("access_tokenx=\(good)") == missing)
        #expect(cookie("access_token") == missing)
        #expect(cookie("access_token =\(good)") == missing)
        #expect(cookie("a=access_token=\(good)") == missing)
        #expect(cookie("") == missing)
        #expect(cookie(";;=; ") == missing)
    }

    @Test func `that is empty is no token`() {
        #expect(cookie("access_token=") == missing)
        #expect(cookie("access_token=\"\"") == missing)
        #expect(outcome(cookies: ["access_token="], cookie: "access_token", .optional) == "anonymous")
    }

    @Test func `that is there twice is refused`() {
        #expect(cookie("access_token=\(good); access_token=\(bob)") == malformed)
        #expect(cookie("access_token=\(good)", "access_token=\(good)") == malformed)
        #expect(cookie("access_token=\(good); access_token=") == malformed)
        #expect(cookie("access_token=; access_token=\(good)") == malformed)
    }

    @Test func `counts only without an Authorization field, and only where the route has one`() {
        let both = outcome(authorization: ["Bearer \(bob)"], cookies: ["access_token=\(good)"], cookie: "access_token")
        #expect(both == "bob")
        let basic = outcome(authorization: ["Basic YTpi"], cookies: ["access_token=\(good)"], cookie: "access_token")
        #expect(basic == missing)
        #expect(outcome(cookies: ["access_token=\(good)"]) == missing)
        #expect(outcome(cookies: ["=\(good)"]) == missing)
    }
}

@Suite struct `A challenge` {
    @Test func `names no error when nothing was presented`() {
        #expect(Challenge.value(for: .missingToken) == #"Bearer realm="gateway""#)
    }

    @Test func `names the error of RFC 6750 and the title`() {
        #expect(
            Challenge.value(for: .tokenExpired)
                == #"Bearer realm="gateway", error="invalid_token", error_description="The token has expired""#)
        #expect(
            Challenge.value(for: .malformedCredentials, realm: "a\"b\\é\n")
                == #"Bearer realm="ab", error="invalid_request", error_description="The credentials are malformed""#)
        #expect(
            Challenge.value(for: .missingRole)
                == #"Bearer realm="gateway", error="insufficient_scope", "#
                + #"error_description="The token lacks a role that the route requires""#)
    }

    /// RFC 6750 §3, RFC 9470 §3.
    @Test func `names what the route demands`() {
        var route = Mint.route()
        route.requiredScopes = ["read", "wr\"ite"]
        route.stepUp.levels = ["gold", "silver"]
        route.stepUp.maximumAge = .seconds(300)
        let demands = Challenge.Demands(route)
        #expect(
            Challenge.value(for: .missingScope, demands: demands)
                == #"Bearer realm="gateway", error="insufficient_scope", "#
                + #"error_description="The token lacks a scope that the route requires", scope="read write""#)
        #expect(
            Challenge.value(for: .loginTooWeak, demands: demands)
                == #"Bearer realm="gateway", error="insufficient_user_authentication", "#
                + #"error_description="The route requires a stronger or more recent login", "#
                + #"acr_values="gold silver", max_age=300"#)
        #expect(Challenge.value(for: .missingRole, demands: demands) == Challenge.value(for: .missingRole))
    }

    @Test func `does not tell the client more than that a token is invalid`() {
        #expect(
            Challenge.value(for: .invalidToken(.unknownKid)) == Challenge.value(for: .invalidToken(.wrongAudience)))
    }

    @Test func `belongs to no other refusal`() {
        #expect(Challenge.value(for: .addressBlocked) == nil)
        #expect(Challenge.value(for: .noRoute) == nil)
        #expect(Challenge.value(for: .upstreamUnreachable) == nil)
    }
}
