import Testing

@testable import Wire

private func scan(_ path: String) -> CanonicalPath.Scan { CanonicalPath.scan(Array(path.utf8).span) }

/// The canonical form; nil when the path is refused.
private func canonical(_ path: String) -> String? {
    let bytes = Array(path.utf8)
    switch CanonicalPath.scan(bytes.span) {
    case .canonical: return path
    case .ambiguous: return nil
    case .rewrite(let length):
        var buffer = [UInt8](repeating: 0, count: length)
        var out = buffer.mutableSpan
        let written = CanonicalPath.write(bytes.span, into: &out)
        precondition(written == length, "the scan promised another length")
        return String(decoding: buffer, as: UTF8.self)
    }
}

@Suite struct `The canonical path` {
    @Test(arguments: [
        "/", "/auth/login", "/auth/login/", "/a.b/..c/d..", "/...", "/.well-known/jwks.json", "/~user/a_b-c",
        "/v1/users:login", "/@scope/a,b=c&d", "/!$'()*+", "/caf%C3%A9", "/%E2%82%AC/%F0%9F%98%80", "/a%20b", "/a%2Bb",
        "/50%25", "/50%25-off", "/%25zz", "/a%3Fb%23c", "/%5Bslug%5D", "/%22%3C%3E%60%7B%7C%7D%5E", "/%EF%BF%BD",
    ])
    func `of a clean path is the path`(path: String) {
        #expect(scan(path) == .canonical)
    }

    @Test(arguments: [
        ("", "/"), ("/%6cogin", "/login"), ("/%6Cogin", "/login"), ("/%61%75%74%68/%6c%6f%67%69%6e", "/auth/login"),
        ("/%7Euser", "/~user"), ("/a%2eb", "/a.b"), ("/%2e%2e%2e", "/..."), ("/a%2e%2E", "/a.."),
        ("/%2ehidden", "/.hidden"),
        ("/v1/users%3Alogin", "/v1/users:login"), ("/joe%40example.org", "/joe@example.org"), ("/a%2Cb%3dc", "/a,b=c"),
        ("/caf%c3%a9", "/caf%C3%A9"), ("/a%2bb", "/a%2Bb"), ("/[slug]", "/%5Bslug%5D"), ("/a|b^c", "/a%7Cb%5Ec"),
        ("/%5bslug%5d", "/%5Bslug%5D"), ("/50%25-%6fff", "/50%25-off"),
    ])
    func `is rewritten to the one spelling`(path: String, expected: String) {
        #expect(canonical(path) == expected)
        #expect(scan(expected) == .canonical)
    }

    @Test(arguments: [
        ("auth/login", CanonicalPath.Ambiguity.notAbsolute), ("*", .notAbsolute), ("%2fauth", .notAbsolute),
        ("//auth/login", .emptySegment), ("/auth//login", .emptySegment), ("/auth/login//", .emptySegment),
        ("/./auth", .dotSegment), ("/auth/.", .dotSegment), ("/auth/../admin", .dotSegment), ("/..", .dotSegment),
        ("/../../etc/passwd", .dotSegment), ("/auth/..", .dotSegment), ("/%2e/auth", .dotSegment),
        ("/a/%2e%2e/admin", .dotSegment), ("/a/.%2E/admin", .dotSegment), ("/a/%2E./admin", .dotSegment),
        ("/auth%2flogin", .encodedSeparator), ("/auth%2Flogin", .encodedSeparator),
        ("/auth%5clogin", .encodedSeparator),
        ("/auth%5Clogin", .encodedSeparator), ("/..%2fadmin", .encodedSeparator),
        ("/auth\\login", .backslash), ("/..\\admin", .backslash),
        ("/auth;x/login", .parameter), ("/auth/login;", .parameter), ("/auth/login;v=1", .parameter),
        ("/auth/..;/admin", .parameter), ("/auth%3bx/login", .parameter), ("/auth%3Bx", .parameter),
        ("/a%00", .controlByte), ("/a%0d%0aX:%20y", .controlByte), ("/a%1F", .controlByte), ("/a%7f", .controlByte),
        ("/a\u{0}b", .controlByte), ("/a\tb", .controlByte), ("/a\u{7f}", .controlByte),
    ])
    func `does not exist when a segment could be read in two ways`(path: String, reason: CanonicalPath.Ambiguity) {
        #expect(scan(path) == .ambiguous(reason))
    }

    @Test(arguments: [
        ("/a%252fb", CanonicalPath.Ambiguity.doubleEncoding), ("/%252e%252e/", .doubleEncoding),
        ("/a%256cogin", .doubleEncoding), ("/50%25ab", .doubleEncoding), ("/a%25%32%66b", .doubleEncoding),
        ("/a%252%66b", .doubleEncoding), ("/a%25%32fb", .doubleEncoding), ("/a%25252f", .doubleEncoding),
        ("/a%", .badEncoding), ("/a%2", .badEncoding), ("/a%zz", .badEncoding), ("/a%u002f", .badEncoding),
        ("/a%%20", .badEncoding), ("/a%2 f", .badEncoding),
        ("/%c0%af", .badUTF8), ("/%c0%ae%c0%ae/", .badUTF8), ("/%e0%80%af", .badUTF8), ("/%f0%80%80%af", .badUTF8),
        ("/caf%E9", .badUTF8), ("/%c3", .badUTF8), ("/%c3/a", .badUTF8), ("/%c3a9", .badUTF8), ("/%80", .badUTF8),
        ("/%ed%a0%80", .badUTF8), ("/%f4%90%80%80", .badUTF8), ("/%f8%88%80%80%80", .badUTF8), ("/%ff", .badUTF8),
        ("/%c2%85", .badUTF8), ("/%e2%82", .badUTF8), ("/%c3%28", .badUTF8),
        ("/café", .illegalByte), ("/a b", .illegalByte), ("/a#b", .illegalByte), ("/a\"b", .illegalByte),
        ("/a<b>", .illegalByte), ("/a`b", .illegalByte), ("/{id}", .illegalByte), ("/a?b", .illegalByte),
    ])
    func `does not exist when an encoding could be read in two ways`(path: String, reason: CanonicalPath.Ambiguity) {
        #expect(scan(path) == .ambiguous(reason))
    }

    @Test func `of every single encoded byte is what the table says`() {
        let digits = Array("0123456789ABCDEF")
        for value in UInt8.min...UInt8.max {
            let encoded = "/a%\(digits[Int(value >> 4)])\(digits[Int(value & 15)])"
            switch value {
            case 0..<32, 127: #expect(scan(encoded) == .ambiguous(.controlByte))
            case 128...: #expect(scan(encoded) == .ambiguous(.badUTF8))
            case UInt8(ascii: "/"), UInt8(ascii: "\\"): #expect(scan(encoded) == .ambiguous(.encodedSeparator))
            case UInt8(ascii: ";"): #expect(scan(encoded) == .ambiguous(.parameter))
            case _ where "\" #%<>?[]^`{|}+".utf8.contains(value): #expect(scan(encoded) == .canonical)
            default: #expect(canonical(encoded) == "/a" + String(UnicodeScalar(value)))
            }
        }
    }

    @Test func `of a canonical form is that form`() {
        var state: UInt64 = 1
        let parts = [
            "/", ".", "%", "2", "5", "e", "f", "a", "%2e", "%25", "%32", "%66", "%41", "%c3", "%a9", "[", ":", "%3a",
        ]
        var rewritten = 0
        for _ in 0..<50_000 {
            var path = "/"
            for _ in 0..<6 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                path += parts[Int(state >> 33) % parts.count]
            }
            guard let form = canonical(path) else { continue }
            if form != path { rewritten += 1 }
            #expect(scan(form) == .canonical, "\(path) gave \(form)")
            #expect(CanonicalPath.canonical(path) == form)
        }
        #expect(rewritten > 1_000)
    }

    @Test func `leaves queries alone but for bytes that cannot be forwarded`() {
        func isForwardable(_ query: String) -> Bool { CanonicalPath.isForwardable(query: Array(query.utf8).span) }
        #expect(isForwardable(""))
        #expect(isForwardable("a=%zz&b=../..//;x&c[]={}|\\^`\"<>%2f%00"))
        for query in ["a b", "a#b", "a\tb", "a\u{0}", "a\u{7f}", "é", "a\r\nb"] { #expect(!isForwardable(query)) }
    }
}
