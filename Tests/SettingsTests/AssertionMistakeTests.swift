import Testing
import Wire

@testable import Settings

/// About what is signed for backends.
@Suite struct `A mistake about assertions` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by the three settings that are needed`() throws {
        let result = load(minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all}")
        #expect(result.diagnostics.isEmpty)
        let assertion = try #require(result.configuration?.assertion)
        #expect(assertion == .init(header: "X-Assertion", issuer: "edge", audience: "all"))
        #expect(assertion.lifetime == .seconds(60) && assertion.jwksPath == nil)
    }

    @Test func `is not made by saying nothing`() {
        #expect(load(minimal).configuration.map { $0.assertion == nil } == true)
    }

    /// What was signed last is published for so long as the setting could have allowed it to live.
    @Test func `cannot be a life longer than keys are published for`() {
        let longest = Configuration.Assertion.longestLifetime
        let row = SettingRows.assertion.first { $0.path == "assertion.lifetime" }
        guard case .duration(let range)? = row?.kind else {
            Issue.record("the lifetime is a duration")
            return
        }
        #expect(range.upperBound == longest)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "A setting without the header", minimal + "assertion: {lifetime: 30s}",
            says: """
                gateway.conf:3:23: error: no assertion is signed, so "lifetime" would do nothing
                    assertion: {lifetime: 30s}
                                          ^~~
                    set "assertion.header", for example to X-Identity-Assertion
                """),
        Mistake(
            "A header alone", minimal + "assertion: {header: X-Assertion}",
            says: """
                gateway.conf:3:21: error: the assertions have no issuer
                    assertion: {header: X-Assertion}
                                        ^~~~~~~~~~~
                    for example assertion.issuer: https://gateway.example.org
                gateway.conf:3:21: error: the assertions have no audience
                    assertion: {header: X-Assertion}
                                        ^~~~~~~~~~~
                    for example assertion.audience: backends
                """),
        Mistake(
            "An audience of an upstream without the header",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"], assertion_audience: a}}
            routes: [{path: /, upstream: api, auth: none}]
            """,
            says: """
                gateway.conf:1:68: error: no assertion is signed, so "assertion_audience" would do nothing
                    upstreams: {api: {servers: ["127.0.0.1:9000"], assertion_audience: a}}
                                                                                       ^
                    set "assertion.header", for example to X-Identity-Assertion
                """),
        Mistake(
            "The name of an identity header",
            minimal + """
                identity: {headers: {X-Who: sub}}
                assertion: {header: x_who, issuer: edge, audience: all}
                """,
            says: """
                gateway.conf:4:21: error: backends cannot tell the header "x_who" from "X-Who" of "identity.headers"
                    assertion: {header: x_who, issuer: edge, audience: all}
                                        ^~~~~
                    choose another name
                """),
        Mistake(
            "A name of HTTP", minimal + "assertion: {header: Authorization, issuer: edge, audience: all}",
            says: """
                gateway.conf:3:21: error: the header "Authorization" belongs to HTTP or to the gateway itself
                    assertion: {header: Authorization, issuer: edge, audience: all}
                                        ^~~~~~~~~~~~~
                    choose an X- name
                """),
        Mistake(
            "The path of the health check",
            minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all, jwks_path: /health}",
            says: """
                gateway.conf:3:74: error: the path "/health" is the gateway's own already
                    assertion: {header: X-Assertion, issuer: edge, audience: all, jwks_path: /health}
                                                                                             ^~~~~~~
                    choose another path, or leave it out: the admin listener has the keys as well
                """),
        Mistake(
            "The path of a route",
            """
            upstreams: {api: {servers: ["127.0.0.1:9000"]}}
            routes: [{path: /, upstream: api, auth: none}, {path: /jwks, upstream: api, auth: none}]
            assertion: {header: X-Assertion, issuer: edge, audience: all, jwks_path: /jwks}
            """,
            says: """
                gateway.conf:3:74: error: it would hide what routes[1] serves at "/jwks"
                    assertion: {header: X-Assertion, issuer: edge, audience: all, jwks_path: /jwks}
                                                                                             ^~~~~
                    choose another path, or leave it out: the admin listener has the keys as well
                """),
        Mistake(
            "A key that everybody can read",
            minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: ok.pem}",
            files: ["ok.pem": file("-----BEGIN PRIVATE KEY-----", mode: 0o644)],
            says: """
                gateway.conf:3:73: error: the secret file "ok.pem" can be read by every user of this machine
                    assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: ok.pem}
                                                                                            ^~~~~~
                    chmod o-r ok.pem, or set allow_world_readable_secrets: true
                """),
        Mistake(
            "A key file without a key",
            minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: no.pem}",
            files: ["no.pem": file("nonsense", mode: 0o600)],
            says: """
                gateway.conf:3:73: error: the file "no.pem" is not PEM: it has no line "-----BEGIN …-----"
                    assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: no.pem}
                                                                                            ^~~~~~
                """),
        Mistake(
            "A key file that is not there",
            minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: not-there.pem}",
            says: """
                gateway.conf:3:73: error: the file "not-there.pem" cannot be read: No such file or directory
                    assertion: {header: X-Assertion, issuer: edge, audience: all, key_file: not-there.pem}
                                                                                            ^~~~~~~~~~~~~
                """),
        Mistake(
            "Another algorithm, and a life that is too long",
            minimal + "assertion: {header: X-Assertion, issuer: edge, audience: all, algorithm: HS256, lifetime: 1h}",
            says: """
                gateway.conf:3:74: error: "HS256" is not one of ES256, EdDSA
                    assertion: {header: X-Assertion, issuer: edge, audience: all, algorithm: HS256, lifetime: 1h}
                                                                                             ^~~~~
                    did you mean "ES256"?
                gateway.conf:3:91: error: 1h is out of range
                    assertion: {header: X-Assertion, issuer: edge, audience: all, algorithm: HS256, lifetime: 1h}
                                                                                                              ^~
                    from 5s to 10m
                """),
    ]
}
