import Testing

@testable import Wire

/// What the parser makes of `METHOD target`, as text.
private func parse(_ method: String, _ target: String) -> String {
    let bytes = Array("\(method) \(target)".utf8)
    let methodRange = 0..<method.utf8.count
    let targetRange = method.utf8.count + 1..<bytes.count
    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
    switch RequestTarget.parse(bytes.span, target: targetRange, method: methodRange) {
    case .connect: return "connect"
    case .malformed(let fault): return "malformed: \(fault)"
    case .target(let target):
        var parts = ["\(target.form)"]
        if let authority = target.authority {
            parts.append("host=\(text(authority.host))")
            if let port = authority.port { parts.append("port=\(port)") }
            parts.append("default=\(target.defaultPort)")
        }
        parts.append("path=\(text(target.path))")
        if let query = target.query { parts.append("query=\(text(query))") }
        return parts.joined(separator: " ")
    }
}

private func authority(_ text: String) -> String? {
    let bytes = Array("x\(text)x".utf8)
    guard let authority = Authority(bytes.span, 1..<bytes.count - 1) else { return nil }
    let host = String(decoding: bytes[authority.host], as: UTF8.self)
    return authority.port.map { "\(host) \($0)" } ?? host
}

@Suite struct `A request target` {
    @Test(arguments: [
        ("GET", "/", "origin path=/"), ("GET", "/a/b?c=d", "origin path=/a/b query=c=d"),
        ("GET", "/a?", "origin path=/a query="), ("GET", "/a??b?c", "origin path=/a query=?b?c"),
        ("GET", "//evil.example/a", "origin path=//evil.example/a"), ("OPTIONS", "*", "asterisk path="),
        ("GET", "http://example.org/a?b", "absolute host=example.org default=80 path=/a query=b"),
        ("GET", "HTTPS://Example.org:8443/", "absolute host=Example.org port=8443 default=443 path=/"),
        ("GET", "http://example.org", "absolute host=example.org default=80 path="),
        ("GET", "http://example.org?a", "absolute host=example.org default=80 path= query=a"),
        ("OPTIONS", "http://example.org:81", "asterisk host=example.org port=81 default=80 path="),
        ("OPTIONS", "http://example.org/", "absolute host=example.org default=80 path=/"),
        ("GET", "http://[2001:db8::1]:80/a", "absolute host=[2001:db8::1] port=80 default=80 path=/a"),
        ("CONNECT", "example.org:443", "connect"), ("CONNECT", "/", "connect"),
    ])
    func `has one of four forms`(method: String, target: String, expected: String) {
        #expect(parse(method, target) == expected)
    }

    @Test(arguments: [
        ("GET", "*", "asteriskWithoutOptions"), ("OPTIONS", "**", "notATarget"),
        ("options", "*", "asteriskWithoutOptions"),
        ("GET", "a/b", "notATarget"), ("GET", "example.org:80", "notATarget"), ("GET", "?a", "notATarget"),
        ("GET", "ftp://example.org/", "notATarget"), ("GET", "file:///etc/passwd", "notATarget"),
        ("GET", "http:/a", "notATarget"), ("GET", "http://", "notATarget"), ("GET", "http:///a", "badAuthority"),
        ("GET", "https://", "notATarget"), ("GET", "\\a", "notATarget"),
        ("GET", "http://user@example.org/", "badAuthority"), ("GET", "http://a:b@example.org/", "badAuthority"),
        ("GET", "http://example.org#x", "badAuthority"), ("GET", "http://exam%70le.org/", "badAuthority"),
        ("GET", "http://example.org\\@evil.example/", "badAuthority"),
        ("GET", "/a?b#c", "badQuery"), ("GET", "/a?\u{7f}", "badQuery"), ("GET", "/a?é", "badQuery"),
    ])
    func `is refused when it has none`(method: String, target: String, fault: String) {
        #expect(parse(method, target) == "malformed: \(fault)")
    }

    @Test(arguments: [
        ("http://Example.org/", "example.ORG", true), ("http://example.org/", "example.org:80", true),
        ("http://example.org:80/", "example.org", true), ("https://example.org/", "example.org:443", true),
        ("http://example.org./", "example.org", true), ("http://example.org/", "example.net", false),
        ("http://example.org/", "example.org:8080", false), ("https://example.org/", "example.org:80", false),
        ("http://example.org/", "sub.example.org", false), ("/a", "anything.example", true),
    ])
    func `must agree with the Host field`(target: String, host: String, agrees: Bool) {
        let bytes = Array("GET \(target) \(host)".utf8)
        let targetEnd = 4 + target.utf8.count
        guard
            case .target(let parsed) = RequestTarget.parse(bytes.span, target: 4..<targetEnd, method: 0..<3),
            let field = Authority(bytes.span, targetEnd + 1..<bytes.count)
        else {
            Issue.record("not parsed")
            return
        }
        #expect(parsed.agrees(withHost: field, in: bytes.span) == agrees)
    }
}

@Suite struct `An authority` {
    @Test(arguments: [
        ("example.org", "example.org"), ("EXAMPLE.org:8080", "EXAMPLE.org 8080"), ("a_b-c.d~e", "a_b-c.d~e"),
        ("localhost", "localhost"), ("localhost:", "localhost"), ("127.0.0.1:80", "127.0.0.1 80"),
        ("h:65535", "h 65535"),
        ("example.org.", "example.org"), ("example.org.:80", "example.org 80"), ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:DB8::1] 443"), ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"), ("h:00080", "h 80"),
    ])
    func `is a host and perhaps a port`(text: String, expected: String) {
        #expect(authority(text) == expected)
    }

    @Test(arguments: [
        "", ":", ":80", ".", "..", ".org", "a..b", "a..", "user@host", "a,b", "a b", "a/b", "a?b", "a#b", "a%2eb",
        "a\\b",
        "h:0", "h:65536", "h:123456", "h:8a", "h:-1", "h:80:80", "h: 80", "[::1", "::1", "[::1]x", "[::1]:x", "[]",
        "[1.2.3.4]",
        "[fe80::1%25eth0]", "[v1.x]", "[::1]]", "a[b", "é", "a;b", "a'b", "a\u{0}b",
    ])
    func `is nothing else`(text: String) {
        #expect(authority(text) == nil)
    }

    @Test func `is not endless`() {
        #expect(authority(String(repeating: "a", count: 255)) != nil)
        #expect(authority(String(repeating: "a", count: 262)) == nil)
    }
}
