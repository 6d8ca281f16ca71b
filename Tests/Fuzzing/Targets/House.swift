import Policy
import Settings
import Wire

/// The gateway whose stages are fuzzed: every kind of route, login, key and path rule.
enum House {
    static let now = Instant(nanoseconds: 1_000_000_000)
    /// The tokens of the corpus are valid then.
    static let wall = WallTime(seconds: 1_700_000_000)
    static let date = Array("Tue, 14 Nov 2023 22:13:20 GMT".utf8)
    static let secret = "0123456789abcdef0123456789abcdef"

    static let text = """
        trusted_proxies: [10.0.0.0/8, "2001:db8:1::/48"]
        upstreams:
          api: {servers: ["127.0.0.1:9000"]}
          staff: {servers: ["127.0.0.1:9001"]}
        routes:
          - {path: /, upstream: api, auth: none}
          - {path: /private, upstream: api, auth: required, cookie: access, cors: {origins: ["https://a.example"]}}
          - {path: /optional, upstream: api, auth: optional, upgrades: [websocket, mqtt]}
          - {path: /admin, upstream: staff, auth: required, roles: [admin]}
          - {path: /gold, upstream: api, auth: required, claims: {tier: gold}}
          - {path: /read, upstream: api, auth: none, methods: [GET, POST]}
          - {path: /only, upstream: staff, auth: none, host: only.example.org}
          - path: /objects
            upstream: api
            auth: none
            paths: {encoded_slash: keep, backslash: keep, semicolon: keep, empty_segments: keep, dot_segments: keep}
          - {path: /objects/private, upstream: api, auth: required, paths: {encoded_slash: keep}}
          - path: /web
            upstream: api
            auth: none
            paths:
              encoded_slash: normalise
              backslash: normalise
              semicolon: normalise
              empty_segments: normalise
              dot_segments: normalise
          - path: /auth
            upstream: api
            auth: none
            paths: {encoded_slash: keep, semicolon: normalise, empty_segments: keep, dot_segments: normalise}
        login:
          endpoints: [POST /auth/login]
          rules: [{name: api, endpoints: [POST /api/login], failure: {json: {member: error.code, values: [bad, "7"]}}}]
        tokens:
          keys:
            - {id: main, secret: "\(secret)", algorithms: [HS256]}
            - {id: r1, pem_file: /rsa.pem, algorithms: [RS256, PS256]}
            - {id: idp, jwks_file: /jwks.json}
        identity:
          headers: {X-User-ID: sub, X-User-Role: role, X-Authenticated: "@authenticated"}
        security_headers: {enabled: true, content_security_policy: "default-src 'self'"}
        logs: {access: "off", audit: "off"}
        """

    static let rules = rules("tls: {hsts_max_age: 1d}")
    /// Whoever comes without TLS is sent to it.
    static let strictRules = rules(
        "tls: {hsts_max_age: 1d, certificate_file: /chain.pem, key_file: /key.pem, redirect: true}")

    static func rules(_ more: String) -> GatekeeperRules {
        // Certificates are only named here; nothing of TLS is fuzzed.
        let files = ["/rsa.pem": rsa, "/jwks.json": jwks, "/chain.pem": "chain", "/key.pem": "key"]
        let source = ConfigurationSource(
            path: "gateway.conf", contents: Array("\(text)\n\(more)".utf8),
            files: FileAccess(read: { path in
                files[path].map { .success(.init(bytes: Array($0.utf8))) } ?? .failure(.init("No such file"))
            }))
        let loaded = Configuration.load(source)
        guard let configuration = loaded.configuration else { fatalError("\(loaded.diagnostics)") }
        let (keys, problems) = KeySet.build(from: configuration.tokens)
        precondition(problems.isEmpty, "\(problems)")
        return GatekeeperRules(configuration, keys: keys)
    }

    /// 198.51.100.7 is blocked.
    static func gatekeeper(_ rules: GatekeeperRules = rules) -> Gatekeeper {
        let gatekeeper = Gatekeeper(rules)
        let entry = BlockEntry(network: IPNetwork("198.51.100.7/32")!, deadline: now + .seconds(60))
        gatekeeper.blocks.replaceAll([entry], at: now)
        return gatekeeper
    }
}
