import Testing

@testable import Wire

/// What is forwarded of `path`, with its readings behind; `-` when it is refused.
private func admitted(_ path: String, _ change: (inout PathRules) -> Void) -> String {
    var rules = PathRules()
    change(&rules)
    guard let (forwarded, readings) = UnusualPath(Array(path.utf8).span)?.admitted(by: rules) else { return "-" }
    #expect(readings.first == forwarded)
    return readings.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
}

private func all(_ handling: PathRules.Handling) -> (inout PathRules) -> Void {
    {
        $0.encodedSlash = handling
        $0.backslash = handling
        $0.semicolon = handling
        $0.emptySegments = handling
        $0.dotSegments = handling
    }
}

@Suite struct `Rules for unusual paths` {
    @Test(arguments: ["/a%2Fb", "/a\\b", "/a%5Cb", "/a;b", "/a%3bb", "//a", "/a//b", "/a/./b", "/a/../b", "/.."])
    func `refuse everything by default`(path: String) {
        #expect(admitted(path) { _ in } == "-")
    }

    @Test(arguments: [
        ("/a%2fb", "/a/b"), ("/a\\b", "/a/b"), ("/a%5cb", "/a/b"), ("/a;x=1/b;y", "/a/b"), ("/a%3bx/b", "/a/b"),
        ("//a", "/a"), ("/a///b//", "/a/b/"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/a/b/..", "/a/"), ("/a//../b", "/b"), ("/a%2f..%5cb", "/b"), ("/a/..;x/b", "/b"), ("/%2e/a", "/a"),
        ("/%61//%7e", "/a/~"), ("/;", "/"), ("/a/;x", "/a/"),
    ])
    func `bring it into the plain form`(path: String, plain: String) {
        #expect(admitted(path, all(.normalise)) == plain)
    }

    @Test(arguments: [
        ("/a%2fb", "/a%2Fb /a/b"), ("/a\\b", "/a%5Cb /a/b"), ("/a;x/b", "/a;x/b /a/b"), ("/a%3bx", "/a%3Bx /a"),
        ("/a//b", "/a//b /a/b"), ("/a/./b", "/a/./b /a/b"), ("/a/x/../b", "/a/x/../b /a/b"),
        ("/k%2e%2e", "/k.."), ("/caf%c3%a9;v", "/caf%C3%A9;v /caf%C3%A9"),
    ])
    func `keep it with all its readings`(path: String, readings: String) {
        #expect(admitted(path, all(.keep)) == readings)
    }

    /// Some resolve dots before they decode slashes, others behind.
    @Test func `know that steps may be taken in any order`() {
        let readings = admitted("/a/b%2Fc/../d%2Fe", all(.keep)).split(separator: " ")
        #expect(Set(readings) == ["/a/b%2Fc/../d%2Fe", "/a/b/c/../d/e", "/a/d%2Fe", "/a/d/e", "/a/b/d/e"])
    }

    @Test(arguments: ["/..", "/../a", "/a/../..", "/a/..%2f../b", "/..;/a", "/.%2e", "/a/b/..\\..\\..", "/%2e%2e%2fa"])
    func `never let a path climb above the root`(path: String) {
        #expect(admitted(path, all(.normalise)) == "-")
        #expect(admitted(path, all(.keep)) == "-")
    }

    @Test(arguments: [
        "/a%00", "/a%0d%0a", "/a%7f", "/a%", "/a%zz", "/a%252fb", "/a%25%32%66", "/%c0%af", "/%e9", "/a\u{1}", "/é",
        "/a b",
        "/a#b", "a/b", "", "/<a>",
    ])
    func `allow nothing that means nothing`(path: String) {
        #expect(admitted(path, all(.normalise)) == "-")
        #expect(admitted(path, all(.keep)) == "-")
    }

    /// A backend may take `//a/b` for the path `/b` of the host `a` (RFC 3986 §4.2).
    @Test func `keep no two slashes at the beginning`() {
        #expect(admitted("//a/b", all(.keep)) == "-")
        #expect(admitted("/a//b") { $0.emptySegments = .keep } == "/a//b /a/b")
    }

    @Test(arguments: ["/a%2F%2Fb", "/a%2F/b", "/a/%2Fb"])
    func `refuse what only one reading has`(path: String) {
        #expect(admitted(path) { $0.encodedSlash = .keep } == "-")
        #expect(
            admitted("/a%2F..%2Fb") {
                $0.encodedSlash = .keep
                $0.emptySegments = .keep
            } == "-")
    }

    @Test func `are each for one spelling`() {
        #expect(admitted("/a%2Fb;c") { $0.encodedSlash = .keep } == "-")
        #expect(admitted("/a%2Fb//c") { $0.encodedSlash = .keep } == "-")
        #expect(admitted("/a//./b") { $0.emptySegments = .normalise } == "-")
        #expect(
            admitted("/a%2Fb//c") {
                $0.encodedSlash = .keep
                $0.emptySegments = .normalise
            } == "/a%2Fb/c /a/b/c")
    }

    @Test func `bound the readings of one path`() {
        let path = String(repeating: "/a%2Fb;c/./d%5Ce/../f%5C..;g/h%3B%2F..%2Fi//j", count: 40)
        #expect(admitted(path, all(.keep)) == "-")
        #expect(admitted(String(path.prefix(20)), all(.keep)) != "-")
    }
}
