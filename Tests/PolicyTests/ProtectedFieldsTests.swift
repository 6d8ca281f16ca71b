import Settings
import Testing
import Wire

@testable import Policy

private let classifier = FieldClassifier(identityHeaders: [
    Configuration.IdentityHeader(name: "X-User-ID", value: .claim("sub")),
    Configuration.IdentityHeader(name: "X-User-Role", value: .claim("role")),
    Configuration.IdentityHeader(name: "X-Authenticated", value: .authenticated),
])

private func classify(_ name: String, by classifier: FieldClassifier = classifier) -> FieldClass {
    let line = Array("\(name): value\r\n".utf8)
    guard case .complete(let field, _) = FieldLine.parse(line.span, at: 0) else {
        preconditionFailure("\(name) is no field name")
    }
    return classifier.classify(field, in: line.span)
}

@Suite struct `The classifier of fields` {
    @Test(arguments: [
        ("Host", FieldClass.host), ("Content-Length", .contentLength), ("Content-Type", .contentType),
        ("Content-Encoding", .contentEncoding),
        ("Transfer-Encoding", .transferEncoding), ("Connection", .connection), ("Upgrade", .upgrade),
        ("Authorization", .authorization), ("Cookie", .cookie), ("Expect", .expect), ("Via", .via),
        ("traceparent", .traceparent), ("tracestate", .tracestate), ("X-Request-Id", .requestID),
        ("User-Agent", .userAgent), ("Sec-WebSocket-Protocol", .webSocketProtocol), ("Origin", .origin),
        ("Date", .endToEnd), ("Server", .endToEnd),
        ("Access-Control-Request-Method", .accessControlRequestMethod),
        ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Host", .xForwardedHost),
        ("X-Forwarded-Proto", .xForwardedProto),
    ])
    func `knows a name in any letter case`(name: String, expected: FieldClass) {
        #expect(classify(name) == expected)
        #expect(classify(name.lowercased()) == expected)
        #expect(classify(name.uppercased()) == expected)
    }

    @Test(arguments: [
        "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
        "TE",
        "Trailer", "HTTP2-Settings",
    ])
    func `knows what is for one connection only`(name: String) {
        #expect(classify(name) == .hopByHop)
        #expect(classify(name.lowercased()) == .hopByHop)
    }

    @Test(arguments: [
        "Forwarded", "X-Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix", "x-forwarded-anything-at-all",
        "X-Real-IP",
        "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "X-Cluster-Client-IP", "X-Original-URL", "X-Rewrite-URL",
        "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override", "x.http-method",
        "Proxy", "X_Forwarded_Port", "x_real-ip", "X-Original_URL", "X.Forwarded.Port", "X~Real!IP",
    ])
    func `knows what tells where a request came from`(name: String) {
        #expect(classify(name) == .forwarding)
    }

    @Test(arguments: [
        "X-User-ID", "x-user-id", "X_User_Id", "X-User_ID", "X_USER-ID", "X-User-Role", "x_user_role",
        "X-Authenticated",
        "X_AUTHENTICATED", "X-Token-Expired", "x-token-expired", "X-Break-Glass", "X.User.ID", "x.user-id",
        "X~User!Role", "X.Authenticated", "X#User$ID", "X%User&ID", "X'User*ID", "X+User^ID", "X`User|ID",
        "X_Token_Expired", "X.Token.Expired", "X.Break.Glass",
    ])
    func `finds identity headers in every spelling`(name: String) {
        #expect(classify(name) == .identity)
    }

    @Test(arguments: [
        "Content_Length", "Transfer_Encoding", "content_type", "Content_Encoding",
        "X_Forwarded_For", "X-Forwarded_Proto",
        "x_forwarded-host",
        "User_Agent", "Sec_WebSocket_Protocol", "Sec-WebSocket_Protocol", "Keep_Alive",
        "X_Request_Id",
        "HTTP2_Settings", "Content.Length", "Transfer~Encoding", "X.Forwarded.For", "User+Agent",
    ])
    func `sees through other signs in names that matter`(name: String) {
        #expect(classify(name) == .disguised)
        #expect(classify(name).isStripped)
    }

    @Test(arguments: [
        "Accept", "X-User-IDs", "X-User", "X-User-I", "XUser-ID", "XUUser-ID", "X0User-ID", "Hos", "Hosts", "X-Forward",
        "Content-Lengths",
        "Content-Encodings", "Set-Cookie", "my_field", "my.field", "X-HTTP-Methods", "X-Method", "X_Trace", "a",
        "X-Userid", "-ser-Agent",
    ])
    func `lets everything else through`(name: String) {
        #expect(classify(name) == .endToEnd)
        #expect(!classify(name).isStripped)
    }

    @Test func `keeps its own meaning of a name that the mapping claims`() {
        let odd = FieldClassifier(
            identityHeaders: ["Authorization", "Host", "User-Agent", "X-Real-IP", String(repeating: "x", count: 80)].map
            {
                Configuration.IdentityHeader(name: $0, value: .claim("sub"))
            })
        #expect(classify("Authorization", by: odd) == .authorization)
        #expect(classify("Host", by: odd) == .host)
        #expect(classify("User_Agent", by: odd) == .identity)
        #expect(classify("X-Real-IP", by: odd) == .identity)
        #expect(classify(String(repeating: "X", count: 80), by: odd) == .identity)
        #expect(classify(String(repeating: "x", count: 81), by: odd) == .endToEnd)
    }

    @Test func `strips exactly these classes`() {
        #expect(
            FieldClass.allCases.filter(\.isStripped) == [
                .transferEncoding, .connection, .hopByHop, .upgrade, .identity, .forwarding, .xForwardedFor,
                .xForwardedHost, .xForwardedProto, .disguised,
            ])
    }

    @Test func `lets Connection remove only what nobody depends on`() {
        #expect(
            FieldClass.allCases.filter(\.isRemovedByConnection) == [
                .endToEnd, .maxForwards, .tracestate, .userAgent, .origin, .accessControlRequestMethod,
                .webSocketProtocol,
            ])
    }
}

@Suite struct `The Connection field` {
    private func options(_ values: String...) -> ConnectionOptions? {
        var options = ConnectionOptions()
        for value in values where !options.take(Array(value.utf8).span) { return nil }
        return options
    }

    @Test func `asks for closing or keeping, or names fields`() throws {
        let close = try #require(options("Close"))
        #expect(close.closes && !close.keepsAlive && !close.namesFields)
        let both = try #require(options(" keep-alive ,, UPGRADE\t"))
        #expect(!both.closes && both.keepsAlive && !both.namesFields)
        let several = try #require(options("", "close", "X-Hop"))
        #expect(several.closes && several.namesFields)
        #expect(try #require(options("closed")).closes == false)
    }

    @Test func `is refused when it is not a list of tokens`() {
        for value in ["a b", "\"close\"", "close; x", "a\u{0}", "é", "a:b"] { #expect(options(value) == nil) }
    }

    @Test func `is refused when it lists too much`() {
        let limit = ConnectionOptions.maximumCount
        let list = Array(repeating: "x", count: limit).joined(separator: ",")
        #expect(options(list) != nil)
        #expect(options(list + ",x") == nil)
        #expect(options(list, "x") == nil)
    }

    /// RFC 9110 §5.6.1.2: each element and each byte is looked at again for every field of the head.
    @Test func `is refused when it holds too much of nothing`() {
        #expect(options(String(repeating: ",", count: 31)) != nil)
        #expect(options(String(repeating: ",", count: 32)) == nil)
        #expect(options("x" + String(repeating: " ", count: 1_023)) != nil)
        #expect(options("x" + String(repeating: " ", count: 1_024)) == nil)
        let half = String(repeating: "x", count: 512)
        #expect(options(half, half) != nil)
        #expect(options(half, half, "x") == nil)
    }

    @Test(arguments: [
        ("X-Hop", "x-hop", true), ("close, X-Hop", "X-HOP", true), ("X-Hop ,close", "X-Hop", true),
        ("X-Hop2", "X-Hop", false),
        ("X-Ho", "X-Hop", false), ("", "X-Hop", false), (",", "", true), ("a,b,c", "c", true), ("a,b,c", "d", false),
    ])
    func `names the fields that go no further`(value: String, field: String, expected: Bool) {
        let named = ConnectionOptions.names(Array(value.utf8).span, field: Array(field.utf8).span)
        #expect(named == expected)
    }
}
