import Testing
import Wire

@testable import Settings

/// About whom to ask about opaque tokens.
@Suite struct `A mistake about introspection` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by the three settings that are needed`() throws {
        let text =
            minimal + "tokens: {introspection: {url: 'https://idp/introspect', client_id: gw, client_secret: s3cretpw}}"
        let result = load(text)
        #expect(result.diagnostics.isEmpty)
        let introspection = try #require(result.configuration?.tokens.introspection)
        #expect(
            introspection
                == .init(url: WebAddress("https://idp/introspect")!, clientID: "gw", clientSecret: Secret("s3cretpw")))
        #expect(introspection.timeout == .seconds(1) && introspection.goodFor == .seconds(30))
        #expect(introspection.badFor == .seconds(5) && introspection.maximumPending == 256)
    }

    @Test func `is not made by saying nothing`() {
        #expect(load(minimal).configuration.map { $0.tokens.introspection == nil } == true)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "A setting without the URL", minimal + "tokens: {introspection: {cache: 10s}}",
            says: """
                gateway.conf:3:33: error: nobody is asked about opaque tokens, so "cache" would do nothing
                    tokens: {introspection: {cache: 10s}}
                                                    ^~~
                    set "tokens.introspection.url", or remove it
                """),
        Mistake(
            "A URL alone", minimal + "tokens: {introspection: {url: 'https://idp/'}}",
            says: """
                gateway.conf:3:31: error: the endpoint answers nobody without a name (RFC 7662 §2.1)
                    tokens: {introspection: {url: 'https://idp/'}}
                                                  ^~~~~~~~~~~~~~
                    for example tokens.introspection.client_id: gateway
                gateway.conf:3:31: error: the endpoint answers nobody without a secret (RFC 7662 §2.1)
                    tokens: {introspection: {url: 'https://idp/'}}
                                                  ^~~~~~~~~~~~~~
                    set "tokens.introspection.client_secret_file"
                """),
        Mistake(
            "Tokens for everybody to read",
            minimal + "tokens: {introspection: {url: 'http://idp/', client_id: a, client_secret: s3cretpw}}",
            says: """
                gateway.conf:3:31: error: whoever sits between here and idp could read tokens and answer for it
                    tokens: {introspection: {url: 'http://idp/', client_id: a, client_secret: <redacted>}}
                                                  ^~~~~~~~~~~~~
                    write https://, or set "allow_http" to true
                """),
    ]
}
