import Testing

@testable import Settings

/// What is wrong with keys that are fetched.
@Suite struct `Mistakes about providers of keys` {
    static let table: [Mistake] = [
        Mistake(
            "a URL of another kind",
            """
            \(minimal)tokens:
              keys:
                - {id: idp, jwks_url: "ftp://issuer.example.org/keys"}
            """,
            says: """
                gateway.conf:5:27: error: "ftp://issuer.example.org/keys" is not an http or https URL
                    - {id: idp, jwks_url: "ftp://issuer.example.org/keys"}
                                          ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
                    write it as https://host.example.org/path
                """),
        Mistake(
            "a password in a URL",
            """
            \(minimal)tokens:
              keys:
                - {id: idp, jwks_url: "https://user:hunter2@issuer.example.org/keys"}
            """,
            says: """
                gateway.conf:5:27: error: user names and passwords in a URL are not accepted
                    - {id: idp, jwks_url: <redacted>}
                                          ^~~~~~~~~~
                    write it as https://host.example.org/path
                """),
        Mistake(
            "keys without TLS from another machine",
            """
            \(minimal)tokens:
              keys:
                - {id: idp, jwks_url: "http://issuer.example.org/keys"}
                - {id: near, jwks_url: "http://127.0.0.1:8080/keys"}
                - {id: far, jwks_url: "http://issuer.example.org/keys", allow_http: true}
            """,
            says: """
                gateway.conf:5:27: error: whoever sits between here and issuer.example.org could answer with keys of his own
                    - {id: idp, jwks_url: "http://issuer.example.org/keys"}
                                          ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
                    write https://, or set "allow_http" to true
                """),
        Mistake(
            "an issuer with a query, and two issuers",
            """
            \(minimal)tokens:
              keys:
                - {id: a, oidc_issuer: "https://issuer.example.org/?tenant=1"}
                - {id: b, oidc_issuer: "https://issuer.example.org", issuer: other}
            """,
            says: """
                gateway.conf:5:28: error: an issuer has no query
                    - {id: a, oidc_issuer: "https://issuer.example.org/?tenant=1"}
                                           ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
                    remove ? and what follows
                gateway.conf:6:66: error: the issuer of these keys is "oidc_issuer" already
                    - {id: b, oidc_issuer: "https://issuer.example.org", issuer: other}
                                                                                 ^~~~~
                    remove "issuer"
                """),
        Mistake(
            "settings of a provider for a key of one's own",
            """
            \(minimal)tokens:
              keys:
                - {id: file, jwks_file: keys.json, refresh: 1h}
            """,
            files: ["keys.json": file("{\"keys\":[]}", mode: 0o644)],
            says: """
                gateway.conf:5:49: error: nothing is fetched for this key, so "refresh" would do nothing
                    - {id: file, jwks_file: keys.json, refresh: 1h}
                                                                ^~
                    set "jwks_url" or "oidc_issuer", or remove it
                """),
        Mistake(
            "keys that are too old before they are fetched again",
            """
            \(minimal)tokens:
              keys:
                - {id: idp, jwks_url: "https://issuer.example.org/keys", refresh: 2h, max_stale: 1h}
            """,
            says: """
                gateway.conf:5:86: error: keys would be too old before they are fetched again
                    - {id: idp, jwks_url: "https://issuer.example.org/keys", refresh: 2h, max_stale: 1h}
                                                                                                     ^~
                    set it to more than "refresh"
                """),
        Mistake(
            "demands of a token on a route that looks at none",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes:
              - {path: /, upstream: api, auth: none, scopes: [read]}
              - {path: /a, upstream: api, auth: none, step_up: {max_age: 5m}}
            """,
            says: """
                gateway.conf:3:50: error: scopes are asked for, but the route looks at no token
                    - {path: /, upstream: api, auth: none, scopes: [read]}
                                                                   ^~~~~~
                    set auth: required, or remove the rule
                gateway.conf:4:62: error: a recent login is asked for, but the route looks at no token
                    - {path: /a, upstream: api, auth: none, step_up: {max_age: 5m}}
                                                                               ^~
                    set auth: required, or remove the rule
                """),
        Mistake(
            "several factors for administrators where there are none", minimal,
            variables: ["MFA_REQUIRED_FOR_ADMIN": "true"],
            says: """
                MFA_REQUIRED_FOR_ADMIN: error: no route asks for the role "admin", so this would do nothing
                    add roles: [admin] to the routes of administrators, or step_up: {amr: [mfa]}
                """),
    ]

    @Test(arguments: table)
    func `are told with their place`(mistake: Mistake) { #expect(mistake.report() == mistake.says) }

    @Test(
        arguments: [
            ("https://issuer.example.org", "issuer.example.org", 443, "/", "issuer.example.org"),
            (
                "https://Issuer.Example.ORG:8443/a/b?c=d", "issuer.example.org", 8_443, "/a/b?c=d",
                "issuer.example.org:8443"
            ),
            ("http://127.0.0.1:80?x", "127.0.0.1", 80, "/?x", "127.0.0.1"),
            ("https://[2001:db8::1]/k", "2001:db8::1", 443, "/k", "[2001:db8::1]"),
            ("https://[2001:db8::1]:444", "2001:db8::1", 444, "/", "[2001:db8::1]:444"),
        ] as [(String, String, UInt16, String, String)])
    func `a URL is taken apart`(text: String, host: String, port: UInt16, target: String, authority: String) throws {
        let address = try #require(WebAddress(text))
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.target == target)
        #expect(address.authority == authority)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "issuer.example.org", "https://", "https:///a", "https://a:0/", "https://a:65536/", "https://a/#b",
        "https://a/ b",
        "https://a/\u{e9}", "https://u@a/", "https://[::1", "HTTPS://a/", "https://a b/", "https://1.2.3/",
        "https://a\\b/",
    ])
    func `what is no URL is refused`(text: String) { #expect(WebAddress(text) == nil) }
}
