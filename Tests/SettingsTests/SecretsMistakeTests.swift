import Testing

@testable import Settings

@Suite struct `A mistake in a secret` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "a secret that is too short",
            """
            \(minimal)tokens:
              keys:
                - {id: main, secret: hunter2-hunter2}
            """,
            says: """
                gateway.conf:5:26: error: the secret has 15 bytes and needs at least 32
                    - {id: main, secret: <redacted>}
                                         ^~~~~~~~~~
                    make one with: openssl rand -hex 32
                """),
        Mistake(
            "a secret too short for HS512",
            """
            \(minimal)tokens:
              keys:
                - id: main
                  secret: 0123456789abcdef0123456789abcdef
                  algorithms: [HS256, HS512]
            """,
            says: """
                gateway.conf:6:15: error: the secret has 32 bytes; HS512 needs at least 64
                    secret: <redacted>
                            ^~~~~~~~~~
                    make one with: openssl rand -hex 64
                """),
        Mistake(
            "a misspelt key beside a secret",
            """
            \(minimal)tokens:
              keys:
                - {id: main, secret: 0123456789abcdef0123456789abcdef, algoritms: [HS256]}
            """,
            says: """
                gateway.conf:5:60: error: there is no setting "algoritms" in "tokens.keys[0]"
                    - {id: main, secret: <redacted>, algoritms: <redacted>}
                                                     ^~~~~~~~~
                    did you mean "algorithms"?
                """),
        Mistake(
            "a misspelt secret",
            """
            \(minimal)admin: {tokn: hunter2-hunter2-hunter2}
            """,
            says: """
                gateway.conf:3:9: error: there is no setting "tokn" in "admin"
                    admin: {tokn: <redacted>}
                            ^~~~
                    did you mean "token"?
                """),
        Mistake(
            "a secret in the wrong place",
            """
            \(minimal)tokens: {keys: hunter2}
            redis: hunter2
            """,
            says: """
                gateway.conf:3:16: error: "tokens.keys" is a list, but this is a single value
                    tokens: {keys: <redacted>}
                                   ^~~~~~~~~~
                    begin each item with "- "
                gateway.conf:4:8: error: "redis" holds settings of its own, but this is a single value
                    redis: <redacted>
                           ^~~~~~~~~~
                    write "key: value" lines below it, indented
                """),
        Mistake(
            "a secret that YAML takes for an anchor",
            """
            \(minimal)redis:
              password: &hunter2
            """,
            says: """
                gateway.conf:4:13: error: an anchor is not allowed
                    password: <redacted>
                              ^~~~~~~~~~
                    write the value out where it is needed; a value that begins with & needs quotes
                gateway.conf:4:13: error: "redis.password" has no value
                    password: <redacted>
                              ^~~~~~~~~~
                    leave the key out for the default
                """),
        Mistake(
            "a secret in a file that is no YAML",
            """
            \(minimal)redis: {password: hunter2
            admin: 1: 2
            """,
            says: """
                gateway.conf:4:6: error: not YAML: did not find expected ',' or '}' (while parsing a flow mapping on line 3)
                    a bracket is not closed, or a comma is missing
                """),
        Mistake(
            "a secret on the line where YAML breaks",
            """
            \(minimal)redis: {password: hunter2: hunter2}
            """,
            says: """
                gateway.conf:3:26: error: not YAML: did not find expected ',' or '}' (while parsing a flow mapping on line 3)
                    a bracket is not closed, or a comma is missing
                """),
        Mistake(
            "a secret that YAML takes for a comment",
            """
            \(minimal)admin:
              token: #hunter2-hunter2-hunter2
            """,
            says: """
                gateway.conf:4:9: error: "admin.token" has no value
                    token: <redacted>
                          ^
                    leave the key out for the default
                """),
        Mistake(
            "a secret that stands twice",
            """
            \(minimal)admin:
              token: hunter2-hunter2-hunter2
              token: hunter2
            redis: {}
            redis: {password: hunter2}
            """,
            says: """
                gateway.conf:5:3: error: the key "token" stands twice, first on line 4
                    token: <redacted>
                    ^~~~~
                    keep one of them
                gateway.conf:7:1: error: the key "redis" stands twice, first on line 6
                    redis: <redacted>
                    ^~~~~
                    keep one of them
                """),
        Mistake(
            "a secret with a comma in it",
            """
            \(minimal)redis: {password: hunter2,hunter2}
            """,
            says: """
                gateway.conf:3:27: error: there is a key without a value in "redis"
                    redis: {password: <redacted>,<redacted>}
                                                 ^~~~~~~~~~
                    a secret with a comma or a line break in it needs quotes
                """),
        Mistake(
            "a misspelt section of secrets",
            """
            \(minimal)redsi: {pasword: hunter2}
            """,
            says: """
                gateway.conf:3:1: error: there is no setting "redsi"
                    redsi: <redacted>
                    ^~~~~
                    did you mean "redis"?
                """),
        Mistake(
            "both a secret and its file",
            """
            \(minimal)admin:
              token: 0123456789abcdef
              token_file: admin
            """,
            says: """
                gateway.conf:5:15: error: both "token" and "token_file" are set
                    token_file: admin
                                ^~~~~
                    keep one of them
                """),
        Mistake(
            "two sources of one key",
            """
            \(minimal)tokens:
              keys:
                - {id: main, secret_file: a, pem_file: b}
                - {id: none}
            """,
            says: """
                gateway.conf:5:44: error: both "secret_file" and "pem_file" are set
                    - {id: main, secret_file: a, pem_file: b}
                                                           ^
                    a key has one of them: keep one
                gateway.conf:6:7: error: the key has no source
                    - {id: none}
                      ^~~~~~~~~~
                    add one of secret, secret_file, pem_file, jwks_file, jwks_url, oidc_issuer
                """),
        Mistake(
            "a secret file that is not there",
            """
            \(minimal)admin: {token_file: /run/secrets/admin}
            """,
            says: """
                gateway.conf:3:21: error: the file "/run/secrets/admin" cannot be read: No such file or directory
                    admin: {token_file: /run/secrets/admin}
                                        ^~~~~~~~~~~~~~~~~~
                """),
        Mistake(
            "a secret file that everyone can read",
            """
            \(minimal)admin: {token_file: /run/secrets/admin}
            """,
            files: ["/run/secrets/admin": file("0123456789abcdef", mode: 0o644)],
            says: """
                gateway.conf:3:21: error: the secret file "/run/secrets/admin" can be read by every user of this machine
                    admin: {token_file: /run/secrets/admin}
                                        ^~~~~~~~~~~~~~~~~~
                    chmod o-r /run/secrets/admin, or set allow_world_readable_secrets: true
                """),
        Mistake(
            "a secret file that ends with a line break",
            """
            \(minimal)admin: {token_file: admin}
            """,
            files: ["admin": file("0123456789abcdef\n", mode: 0o600)],
            says: """
                gateway.conf:3:21: warning: the file ends with a line break, which is not taken as part of the secret
                    admin: {token_file: admin}
                                        ^~~~~
                    other programs may take it: write the file with printf %s instead of echo
                """),
        Mistake(
            "a private PEM that everyone can read",
            """
            \(minimal)tokens: {keys: [{id: rsa, pem_file: rsa.pem, algorithms: [RS256]}]}
            """,
            files: ["rsa.pem": file("-----BEGIN PRIVATE KEY-----", mode: 0o644)],
            says: """
                gateway.conf:3:37: error: the secret file "rsa.pem" can be read by every user of this machine
                    tokens: {keys: [{id: rsa, pem_file: rsa.pem, algorithms: [RS256]}]}
                                                        ^~~~~~~
                    chmod o-r rsa.pem, or set allow_world_readable_secrets: true
                """),
        Mistake(
            "a public key used as a shared secret",
            """
            \(minimal)tokens: {keys: [{id: rsa, pem_file: rsa.pem, algorithms: [HS256]}]}
            """,
            files: ["rsa.pem": file("-----BEGIN PUBLIC KEY-----", mode: 0o644)],
            says: """
                gateway.conf:3:59: error: HS256 cannot be used with a public key
                    tokens: {keys: [{id: rsa, pem_file: rsa.pem, algorithms: [HS256]}]}
                                                                              ^~~~~
                    use RS256, PS256, ES256 or EdDSA
                """),
        Mistake(
            "a PEM without algorithms and files of the wrong kind",
            """
            \(minimal)tokens:
              keys:
                - {id: rsa, pem_file: rsa.pem}
                - {id: rsa, jwks_file: rsa.pem}
                - {id: other, pem_file: set.json, algorithms: [RS256]}
            """,
            files: ["rsa.pem": file("-----BEGIN PUBLIC KEY-----", mode: 0o644), "set.json": file("{}", mode: 0o644)],
            says: """
                gateway.conf:5:27: error: the key has no algorithms
                    - {id: rsa, pem_file: rsa.pem}
                                          ^~~~~~~
                    add algorithms: [RS256] for an RSA key, [ES256] for P-256, [EdDSA] for Ed25519
                gateway.conf:6:12: error: the key id "rsa" stands twice
                    - {id: rsa, jwks_file: rsa.pem}
                           ^~~
                    give each key a name of its own
                gateway.conf:6:28: error: the file "rsa.pem" is not a JSON Web Key Set: it does not begin with {
                    - {id: rsa, jwks_file: rsa.pem}
                                           ^~~~~~~
                gateway.conf:7:29: error: the file "set.json" is not PEM: it has no line "-----BEGIN …-----"
                    - {id: other, pem_file: set.json, algorithms: [RS256]}
                                            ^~~~~~~~
                """),
    ]
}
