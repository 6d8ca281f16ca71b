import Testing

@testable import Settings

@Suite struct `Two keys of one secret` {
    private func findings(_ keys: String, _ environment: [String: String] = [:]) -> [String] {
        let text = """
            listen: ["127.0.0.1:0"]
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: required}]
            tokens:
              keys:
            \(keys)
            """
        let result = load(text, environment)
        return result.diagnostics.map(\.description)
    }

    private let secret = String(repeating: "s", count: 32)

    @Test func `are a mistake, as after the recipe that copies the new one over the old`() {
        let found = findings("    - {id: current, secret: \(secret)}\n    - {id: fallback, secret: \(secret)}")
        #expect(found.count == 1)
        #expect(
            found.first?.hasPrefix("gateway.conf:7:12: error: the secret of \"fallback\" is that of \"current\"")
                == true)
        #expect(found.first?.contains("the old secret under one name, the new one under another") == true)
        #expect(found.first?.contains(secret) == false)
    }

    @Test func `are one, too, where the environment has the other`() {
        let found = findings("    - {id: fallback, secret: \(secret)}", ["JWT_SECRET": secret])
        #expect(found.first?.contains("the secret of \"fallback\" is that of \"JWT_SECRET\"") == true)
    }

    @Test func `may stand for two issuers`() {
        let found = findings(
            "    - {id: a, secret: \(secret), issuer: one}\n    - {id: b, secret: \(secret), issuer: two}")
        #expect(found == [])
    }

    @Test func `are not two different ones`() {
        #expect(findings("    - {id: a, secret: \(secret)}\n    - {id: b, secret: \(secret)t}") == [])
    }
}
