import Testing

@testable import Policy
@testable import Settings

private let token = House.token()

/// What the upstream gets of a request with these fields, on a route that takes the token from the cookie `access` too
/// and lets nothing of it pass; nil: it does not get that far.
private func forwarded(
    _ fields: String..., method: String = "GET", on authentication: Configuration.Authentication = .required,
    strips: Bool = true
) -> [String]? {
    var route = House.route("/", authentication, cookie: "access")
    route.stripsToken = strips
    let head = (["\(method) / HTTP/1.1", "Host: a"] + fields + ["", ""]).joined(separator: "\r\n")
    let gate = Gate(House.configuration(routes: [route]))
    guard let text = gate.forwarded(head) else { return nil }
    // What is behind them is ours.
    return Array(text.split(separator: "\r\n").map(String.init).dropFirst(2).prefix { !$0.hasPrefix("X-Forwarded") })
}

@Suite struct `A token that is left out of what is forwarded` {
    @Test func `takes its field along`() {
        #expect(forwarded("A: 1", "Authorization: Bearer \(token)", "B: 2") == ["A: 1", "B: 2"])
        #expect(forwarded("authorization: bEARER   \(token)") == [])
    }

    @Test func `goes on where the route does not say so`() {
        let fields = ["Authorization: Bearer \(token)", "Cookie: a=1;access=\(token)"]
        #expect(forwarded(fields[0], fields[1], strips: false) == fields)
    }

    @Test(arguments: [
        ("access=TOKEN", []), ("access=\"TOKEN\"", []), (" ; access=TOKEN ;;", []),
        ("access=TOKEN; a=1", ["Cookie: a=1"]), ("a=1; access=TOKEN", ["Cookie: a=1"]),
        ("a=1;access=TOKEN;b=2", ["Cookie: a=1; b=2"]), ("a=1; access=TOKEN; b=2; ", ["Cookie: a=1; b=2"]),
        ("a=1; access=TOKEN; Access=x; accessx=y", ["Cookie: a=1; Access=x; accessx=y"]),
        ("a=access=1; access; access=TOKEN", ["Cookie: a=access=1; access"]),
        ("access=TOKEN; access =other; b=2", ["Cookie: b=2"]),
    ])
    func `takes the one cookie along, and the field when it holds no others`(_ cookies: String, _ left: [String]) {
        #expect(forwarded("Cookie: " + cookies.replacing("TOKEN", with: token)) == left)
    }

    @Test func `takes nothing else`() {
        #expect(
            forwarded("Cookie: a=1;b=2 ;", "Cookie: access=\(token)", "Cookie: c=3") == [
                "Cookie: a=1;b=2 ;", "Cookie: c=3",
            ])
        #expect(forwarded("Authorization: Basic YTpi", on: .optional) == ["Authorization: Basic YTpi"])
        #expect(forwarded("Cookie: a=1", on: .optional) == ["Cookie: a=1"])
    }

    /// The backend must not find in one place what was not looked at, because another place went before it.
    @Test func `takes along what stood in the other place and was not looked at`() {
        #expect(forwarded("Authorization: Bearer \(token)", "Cookie: access=forged; a=1") == ["Cookie: a=1"])
        let basic = forwarded("Authorization: Basic YTpi", "Cookie: access=forged; a=1", on: .optional)
        #expect(basic == ["Authorization: Basic YTpi", "Cookie: a=1"])
    }

    /// They are not judged, so whatever they bring would pass unseen.
    @Test func `does not get past in a preflight`() {
        let fields = ["Origin: https://a.test", "Access-Control-Request-Method: GET"]
        let left = forwarded(
            fields[0], fields[1], "Authorization: Bearer x", "Authorization: Bearer", "Cookie: access=x",
            method: "OPTIONS")
        #expect(left == fields)
    }

    @Test func `is not kept by Connection`() {
        #expect(forwarded("Connection: authorization, cookie", "Authorization: Bearer \(token)") == [])
    }
}
