import Testing

@testable import Wire

@Suite struct `Letters that are ASCII ones in another case` {
    private func reading(_ path: String) -> String? {
        PlainLetters.reading(of: Array(path.utf8).span).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: [
        ("/adm%C4%B1n", "/admin"), ("/ADM%C4%B0N/x", "/ADMiN/x"), ("/acce%C5%BF%C5%BF", "/access"),
        ("/%E2%84%AA", "/k"), ("/%E2%84%AA%C4%B1%C5%BF%C3%A9", "/kis%C3%A9"),
    ])
    func `are read as them`(path: String, expected: String) {
        #expect(reading(path) == expected)
    }

    @Test(arguments: [
        "", "/", "/admin", "/caf%C3%A9", "/%C4%B2", "/%C4", "/%C4%B", "/%E2%84%AB", "/a%20b", "/%25C4%25B1", "%",
        "/C4%B1",
    ])
    func `are not seen where there are none`(path: String) {
        #expect(reading(path) == nil)
    }

    @Test func `are looked for only in paths that are said to have letters beyond ASCII`() {
        for (path, expected) in [("/admin", false), ("/a%20b%61", false), ("/adm%C4%B1n", true), ("/caf%c3%a9", true)] {
            var hasLetters = false
            _ = CanonicalPath.scan(Array(path.utf8).span, beyondASCII: &hasLetters)
            #expect(hasLetters == expected, "\(path)")
        }
    }
}
