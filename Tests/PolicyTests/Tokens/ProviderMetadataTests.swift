import Settings
import Testing

@testable import Policy

@Suite struct `What a provider says of itself` {
    private let issuer = WebAddress("https://issuer.example.org/realms/a")!

    private func found(_ text: String, allowsHTTP: Bool = false) -> Result<String, ProviderProblem> {
        ProviderMetadata.keys(in: Array(text.utf8), of: issuer, allowsHTTP: allowsHTTP).map(\.description)
    }

    private func metadata(_ place: String) -> String {
        #"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":\#(place),"x":[1]}"#
    }

    @Test(arguments: [
        ("https://issuer.example.org", "https://issuer.example.org/.well-known/openid-configuration"),
        ("https://issuer.example.org/", "https://issuer.example.org/.well-known/openid-configuration"),
        ("https://issuer.example.org/realms/a", "https://issuer.example.org/realms/a/.well-known/openid-configuration"),
    ])
    func `stands behind its name`(issuer: String, place: String) throws {
        #expect(ProviderMetadata.address(of: try #require(WebAddress(issuer)))?.description == place)
    }

    @Test func `names its keys`() {
        #expect(found(metadata(#""https://cdn.example.org/keys?v=1""#)) == .success("https://cdn.example.org/keys?v=1"))
        #expect(found(metadata(#""https:\/\/cdn.example.org\/keys""#)) == .success("https://cdn.example.org/keys"))
        let near = ProviderMetadata.keys(
            in: Array(#"{"issuer":"http://127.0.0.1:8080/a","jwks_uri":"http://127.0.0.1:8080/keys"}"#.utf8),
            of: WebAddress("http://127.0.0.1:8080/a")!, allowsHTTP: false)
        #expect(near.map(\.description) == .success("http://127.0.0.1:8080/keys"))
        #expect(found(metadata(#""http://idp/keys""#), allowsHTTP: true) == .success("http://idp/keys"))
    }

    @Test(arguments: [
        ("[]", "not a strict JSON object"), ("{", "not a strict JSON object"),
        (#"{"issuer":"https://issuer.example.org/realms/a"}"#, "no jwks_uri"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":7}"#, "no jwks_uri"),
        (#"{"issuer":"https://issuer.example.org/realms/a/","jwks_uri":"https://a/"}"#, "another issuer"),
        (#"{"jwks_uri":"https://a/"}"#, "another issuer"),
        (#"{"issuer":"https://issuer.example.org/realms/a","issuer":"x","jwks_uri":"https://a/"}"#, "not a strict"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"http://10.0.0.1/"}"#, "not an https URL"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"http://127.0.0.1:9901/"}"#, "not an https URL"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"http://localhost.evil.test/"}"#, "not an https"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"file:///etc/passwd"}"#, "no URL"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"https://u:p@a/"}"#, "no URL"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"https://a/\r\nX: y"}"#, "no URL"),
        (#"{"issuer":"https://issuer.example.org/realms/a","jwks_uri":"https://a b/"}"#, "no URL"),
    ])
    func `is refused where it could lead elsewhere`(text: String, reason: String) {
        guard case .failure(let problem) = found(text) else {
            Issue.record("it was taken")
            return
        }
        #expect(problem.description.contains(reason))
    }
}
