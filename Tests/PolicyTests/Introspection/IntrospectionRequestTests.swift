import Testing
import Wire

@testable import Policy
@testable import Settings

@Suite struct `A question about a token` {
    private func question(_ token: [UInt8], id: String = "gateway", secret: String = "s3cret-s3cret") -> String {
        let url = WebAddress("https://issuer.example.org:8443/oauth/introspect?realm=a")!
        let bytes = IntrospectionRequest.bytes(
            about: token, of: .init(url: url, clientID: id, clientSecret: Secret(secret)))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `is a form with the client's name and secret`() {
        #expect(
            question(Array("abc.DEF-1_2".utf8)) == """
                POST /oauth/introspect?realm=a HTTP/1.1\r
                Host: issuer.example.org:8443\r
                User-Agent: gateway\r
                Accept: application/json\r
                Accept-Encoding: identity\r
                Connection: close\r
                Authorization: Basic Z2F0ZXdheTpzM2NyZXQtczNjcmV0\r
                Content-Type: application/x-www-form-urlencoded\r
                Content-Length: 46\r
                \r
                token=abc.DEF-1_2&token_type_hint=access_token
                """)
    }

    /// RFC 6749 §2.3.1: a colon in the name would end it.
    @Test func `encodes name and secret before they become Basic`() {
        // a%3Ab:p%26q%20r%C3%A4
        #expect(question([97], id: "a:b", secret: "p&q rä").contains("Basic YSUzQWI6cCUyNnElMjByJUMzJUE0\r\n"))
    }

    @Test func `has no room for what a token could smuggle in`() {
        let text = question(Array("a&client_id=b=+/~\r\nX: y\u{0}%41".utf8))
        #expect(
            text.hasSuffix(
                "\r\n\r\ntoken=a%26client_id%3Db%3D%2B%2F%7E%0D%0AX%3A%20y%00%2541&token_type_hint=access_token"))
        for byte in UInt8.min...UInt8.max {
            let form = FormText.encode([byte])
            #expect(form == [byte] || form.count == 3 && form[0] == UInt8(ascii: "%"))
        }
    }
}

@Suite struct `Whether a token is opaque` {
    private func isOpaque(_ text: String) -> Bool { OpaqueToken.isOpaque(Array(text.utf8).span) }

    @Test(arguments: ["a.b.c", "eyJh.eyJz.c2ln", "eyJh.eyJz.", "..", "a-b.c_d.e"]) func `a JWS is not`(text: String) {
        #expect(!isOpaque(text))
    }

    @Test(arguments: ["a", "2YotnFZFEjr1zCsicMWpAA", "a.b", "a.b.c.d.e", "a.b.c=", "a.b+c.d", "a.b~.c", "", "a/b.c.d"])
    func `everything else is`(text: String) { #expect(isOpaque(text)) }
}

@Suite struct `An answer about a token` {
    private func read(_ text: String, atMost limit: Int = 1_000) -> IntrospectionAnswer? {
        IntrospectionReader(maximumBytes: limit).read(Array(text.utf8))
    }

    @Test func `says yes or no with a literal`() {
        let yes = #"{"sub":"alice","active":true}"#
        #expect(read(yes) == .active(Array(yes.utf8)))
        #expect(read(#" { "active" : false } "#) == .inactive)
    }

    @Test(arguments: [
        #"{"active":"true"}"#, #"{"active":1}"#, #"{"active":null}"#, #"{"active":[true]}"#,
        #"{"active":{"active":true}}"#,
        #"{}"#, #"{"Active":true}"#, #"{"inner":{"active":true}}"#, #"{"active":true,"active":true}"#,
        #"{"active":true,"sub":"a","sub":"b"}"#, #"{"active":false,"\u0061ctive":true}"#, #"{"active":true}x"#,
        #"[{"active":true}]"#, #"true"#, "", #"{"active":tru}"#, #"{"active":true,}"#, #"eyJh.eyJh.c2ln"#,
        #"{"active":true,"sub":"\ud800"}"#,
    ]) func `is none otherwise`(text: String) { #expect(read(text) == nil) }

    @Test func `is none when it is too large to be judged`() {
        let text = #"{"active":true,"pad":"\#(String(repeating: "x", count: 100))"}"#
        #expect(read(text, atMost: text.utf8.count) != nil)
        #expect(read(text, atMost: text.utf8.count - 1) == nil)
    }
}
