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
            if let scheme = target.scheme { parts.append("\(scheme)") }
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
        ("GET", "http://example.org/a?b", "absolute host=example.org http path=/a query=b"),
        ("GET", "HTTPS://Example.org:8443/", "absolute host=Example.org port=8443 https path=/"),
        ("GET", "http://example.org", "absolute host=example.org http path="),
        ("GET", "http://example.org?a", "absolute host=example.org http path= query=a"),
        ("OPTIONS", "http://example.org:81", "asterisk host=example.org port=81 http path="),
        ("OPTIONS", "http://example.org/", "absolute host=example.org http path=/"),
        ("GET", "http://[2001:db8::1]:80/a", "absolute host=[2001:db8::1] port=80 http path=/a"),
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
}

@Suite struct `An authority` {
    @Test(arguments: [
        ("example.org", "example.org"), ("EXAMPLE.org:8080", "EXAMPLE.org 8080"), ("a_b-c.d~e", "a_b-c.d~e"),
        ("localhost", "localhost"), ("localhost:", "localhost"), ("127.0.0.1:80", "127.0.0.1 80"),
        ("h:65535", "h 65535"),
        ("example.org.", "example.org"), ("example.org.:80", "example.org 80"), ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:DB8::1] 443"), ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"), ("h:00080", "h 80"),
        ("0.0.0.0=5000", "0.0.0.0=5000"), ("1.example", "1.example"), ("10.0.0.1a", "10.0.0.1a"), ("0xg", "0xg"),
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

    /// A name ends in a letter (RFC 1123 §2.1), and an address has four decimal numbers (RFC 3986 §3.2.2, §7.4).
    @Test(arguments: [
        "127.1", "2130706433", "0x7f.1", "0x7f000001", "0X7F.0.0.1", "017700000001", "127.01.0.1", "127.0.0.256",
        "1.2.3",
        "1.2.3.4.5", "127.0.0.1.", "example.1", "example.0x1", "0x", "1", "010.0.0.1:80",
    ])
    func `is no number but an IPv4 address in its one spelling`(text: String) {
        #expect(authority(text) == nil)
    }

    @Test func `is not endless`() {
        #expect(authority(String(repeating: "a", count: 255)) != nil)
        #expect(authority(String(repeating: "a", count: 262)) == nil)
    }
}
