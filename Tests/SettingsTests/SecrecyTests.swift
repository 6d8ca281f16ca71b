import Testing

@testable import Settings

@Suite struct `A secret` {
    /// Repeated, so that any half of it is recognised.
    private static let secret = String(repeating: "hunter2", count: 7)
    private static let text = """
        upstreams: {api: {servers: ["127.0.0.1:9000"]}}
        routes: [{path: /, upstream: api, auth: none}]
        admin: {token: \(secret), listen: "127.0.0.1:9901"}
        redis:
          password: "\(secret)"
          database: 1
        tokens:
          keys:
            - id: main
              secret: \(secret)
            - {secret: \(secret)-2, id: other}
        """

    @Test(arguments: Array(":{}[],\"'&*!#|>%@-? \n\t="))
    func `is never shown, wherever a character slips into the file`(_ character: Character) {
        var characters = Array(Self.text)
        let start = Array(Self.text.utf8).firstRange(of: Array("admin".utf8))?.lowerBound ?? 0
        for position in start..<characters.count {
            characters.insert(character, at: position)
            check(String(characters))
            characters.remove(at: position)
        }
    }

    @Test func `is never shown, wherever a character is missing`() {
        let characters = Array(Self.text)
        for position in characters.indices {
            var shorter = characters
            shorter.remove(at: position)
            check(String(shorter))
        }
    }

    @Test func `is redacted in the effective configuration`() {
        let result = load(Self.text, ["JWT_SECRET": "\(Self.secret)-another"])
        #expect(result.diagnostics == [])
        #expect(!result.effective.contains("hunter"))
        #expect(result.effective.contains("admin.token: <redacted>"))
        #expect(result.effective.contains("tokens.keys[1].secret: <redacted>"))
        #expect(!"\(String(describing: result.configuration))".contains("hunter"))
    }

    @Test func `is not shown in a URL that lets its bearer in`() {
        let text = """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}]
            feeds: [{name: drop, url: "https://feeds.example.org?key=hunter2"}, {name: own, url: "https://feeds.example.net/"}]
            threats: {webhook: {url: "https://hooks.example.org/services/hunter2"}}
            """
        let result = load(text)
        #expect(result.diagnostics.map(\.description) == [])
        #expect(result.effective.contains("threats.webhook.url: https://hooks.example.org/<redacted>"))
        #expect(result.effective.contains("feeds[0].url: https://feeds.example.org/<redacted>"))
        #expect(result.effective.contains("feeds[1].url: https://feeds.example.net/ "))
        #expect(!result.effective.contains("hunter"))
        check(text.replacing("webhook: {url", with: "webhook: {timeot: 3s, url"))
        for (part, mistake) in [
            ("name: drop, url", "name: drop, name: drop, url"), ("drop, url:", "drop, ulr:"),
            ("drop, url:", "drop, url: 'https://feeds.example.org/', url:"), ("https://feeds", "feeds"),
            ("https://feeds.example.org?", "https://feeds.example.org\\\\"), ("\"https://feeds", "*https://feeds"),
            ("feeds: [{", "feeds: {"), ("https://hooks", "HTTPS://hooks"), ("https://hooks", "https:/hooks"),
            ("webhook: {url", "webhook: {url: 'https://a.example/', url"), ("{webhook: {url", "{\"webhook: {url"),
        ] {
            #expect(text.contains(part))
            check(text.replacing(part, with: mistake))
        }
        check(
            text.replacing("{webhook: {url", with: "\n    webhook:\n      url").replacing(
                "hunter2\"}}", with: "hunter2\"\n}"))
        for url in [
            "hooks.example.org/services/hunter2", "https://hooks.example.org\\hunter2", "https://a:b:c/hunter2",
        ] {
            let shown = load(text, ["GATEWAY_THREATS__WEBHOOK__URL": url]).diagnostics
            #expect(shown.count == 1 && !shown[0].description.contains("hunter"))
        }
    }

    private func check(_ text: String) {
        let shown = load(text).diagnostics.map(\.description).joined(separator: "\n")
        #expect(!shown.contains("hunter"), "\(text)")
    }
}
