private import Wire

extension SettingRows {
    static let routing: [SettingRow] = [
        SettingRow(
            "routes[].name", .word(.label), .absent("the path"), example: "orders",
            "Name in logs and metrics."),
        SettingRow(
            "routes[].host", .hostPattern, .absent("any host"), example: "api.example.org",
            "Host that the request must name; `*.example.org` stands for its subdomains."),
        SettingRow(
            "routes[].path", .routePath, .required, example: "/orders",
            "Path, by whole segments: `/api` matches `/api` and `/api/x`, not `/apix`."),
        SettingRow(
            "routes[].methods", .list(.method), .items([]), example: "[GET, POST]", "Methods; none named: all."),
        SettingRow(
            "routes[].upstream", .word(.name), .required, example: "example",
            "Name of the backend that serves the route."),
        SettingRow(
            "routes[].auth", .choice(Configuration.Authentication.allCases.map(\.rawValue)), .value("required"),
            example: "optional",
            "`none` looks at no token, `optional` refuses a bad one, `required` refuses a missing one too."),
        SettingRow(
            "routes[].cookie", .word(.token), .absent("no cookie"), example: "access_token",
            "Cookie that carries the token when there is no Authorization field."),
        SettingRow(
            "routes[].token_query", .word(.parameter), .absent("no parameter"), example: "access_token",
            "Parameter of the query that may carry the token of a GET or HEAD; it is never forwarded. docs/authorization.md."
        ),
        SettingRow(
            "routes[].token_subprotocol", .word(.token), .absent("no subprotocol"), example: "bearer",
            "WebSocket subprotocol that announces the token: what is offered right behind it is the token, and neither is "
                + "forwarded. docs/websocket.md."),
        SettingRow(
            "routes[].strip_token", .boolean, .value("false"), example: "true",
            "Whether the token is left out of what is forwarded: the Bearer field, and of the Cookie field the one cookie."
        ),
        SettingRow(
            "routes[].expired_grace",
            .boundedDuration(
                .seconds(1)...(.seconds(300)),
                why: "a stolen token would be good for as long; who must be let in later needs tokens that last longer"),
            .absent("none"), example: "1m",
            "How long an expired token is still good for GET, HEAD and OPTIONS, beyond `tokens.leeway`; the backend is told by "
                + "`X-Token-Expired: true`."),
        SettingRow(
            "routes[].break_glass",
            .boundedDuration(
                .seconds(1)...(.seconds(3_600)),
                why: "who must be let in for longer needs keys that work; it can be ordered again when it is over"),
            .absent("never"), example: "15m",
            "Longest time for which `gateway break-glass` may open the route to some networks without a good token. "
                + "docs/break-glass.md."),
        SettingRow(
            "routes[].claims.*", .listOrSingle(.text), .required, example: "[gold, silver]",
            "Values of the claim, one of which the token must have; `@present` is any value."),
        SettingRow(
            "routes[].roles", .list(.text), .items([]), example: "[auditor, admin]",
            "Roles, one of which the token must have; none named: no rule."),
        SettingRow(
            "routes[].scopes", .list(.text), .items([]), example: "[orders.read, orders.write]",
            "Scopes, all of which the token must have; none named: no rule."),
        SettingRow(
            "routes[].step_up.acr", .listOrSingle(.text), .items([]), example: "[gold, silver]",
            "Levels of authentication (`acr`), one of which the login behind the token must have reached."),
        SettingRow(
            "routes[].step_up.amr", .listOrSingle(.text), .items([]), example: "[mfa, hwk]",
            "Methods (`amr`, RFC 8176), one of which the login must have used."),
        SettingRow(
            "routes[].step_up.max_age", .duration(.seconds(1)...(.seconds(366 * 86_400))), .absent("any age"),
            example: "5m", "How long ago the login (`auth_time`) may be."),
        SettingRow(
            "routes[].cors.origins", .list(.origin), .required, example: "[\"https://app.example.org\"]",
            "Origins whose scripts may read the gateway's own refusals."),
    ]

    static let protection: [SettingRow] = [
        SettingRow(
            "login.endpoints", .list(.endpoint),
            .items(["POST /auth/login", "POST /api/v1/auth/login", "POST /auth/token", "POST /api/token/"]),
            example: "[\"POST /session\"]", "Requests that are logins: method and exact path."),
        SettingRow(
            "login.limit", .integer(1...1_000_000), .value("5"), example: "10",
            "Failed logins that an address may have; the one that reaches the limit sets the block."),
        SettingRow(
            "login.ipv6_prefix", .integer(32...128), .value("64"), example: "56",
            "Leading bits of an IPv6 address by which failed logins are counted and blocked; 128 is each address by "
                + "itself."),
        SettingRow(
            "login.window", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("1d"), example: "1h",
            variables: [.init(name: "GATEWAY_FAILED_LOGIN_WINDOW_SECONDS", part: .seconds)],
            "How long failures are remembered, from the first one on."),
        SettingRow(
            "login.count", .choice(Configuration.Login.Count.allCases.map(\.rawValue)), .value("fixed"),
            example: "sliding",
            "Which failures count: those of a window that begins with the first one, or at every moment those of the "
                + "last `login.window`."),
        SettingRow(
            "login.action", .choice(Configuration.Login.Action.allCases.map(\.rawValue)), .value("block"),
            example: "observe",
            "What is done at the limit; `observe` counts, says whom it would block (`would_block` in the audit record), "
                + "and holds nobody back."),
        SettingRow(
            "login.block", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("300s"), example: "1d",
            variables: [.init(name: "GATEWAY_BLOCK_DURATION_SECONDS", part: .seconds)],
            "How long a block lasts."),
        SettingRow(
            "login.escalation.factor", .integer(1...100), .value("1"), example: "4",
            "A block within 24 hours of the end of the last one is so many times as long as that."),
        SettingRow(
            "login.escalation.max", .duration(.seconds(1)...(.seconds(366 * 86_400))), .value("1d"), example: "7d",
            "No block gets longer by `login.escalation.factor` than this."),
        SettingRow(
            "login.wait", .duration(.milliseconds(100)...(.seconds(300))), .value("10s"), example: "5s",
            "How long a login waits while as many of its address are under way as may still fail."),
        SettingRow(
            "login.when_ledger_away", .choice(Configuration.Login.WhenLedgerAway.allCases.map(\.rawValue)),
            .value("local"), example: "refuse",
            "What becomes of logins while Redis does not answer: each replica goes by its own count, or 503."),
        SettingRow(
            "login.failure_statuses", .list(.integer(300...599)), .items(["401"]), example: "[401, 422]",
            "Statuses by which the backend says that a login failed."),
        SettingRow(
            "redis.address", .redisAddress, .value("127.0.0.1:6379"), .restart, example: "redis.internal:6380",
            variables: [.init(name: "REDIS_HOST", part: .host), .init(name: "REDIS_PORT", part: .port)],
            "Address of Redis."),
        SettingRow(
            "redis.username", .text, .absent("the default user"), .restart, example: "gateway",
            "User of Redis's access control list."),
        SettingRow(
            "redis.password", .secret(minimum: 1), .absent("no password"), .restart, example: "not-a-real-password",
            variables: [.init(name: "REDIS_PASSWORD", part: .whole)], "Password for Redis."),
        SettingRow(
            "redis.password_file", .file, .absent("no file"), .restart, example: "/run/secrets/redis",
            variables: [.init(name: "REDIS_PASSWORD_FILE", part: .whole)], "File that holds the password for Redis."),
        SettingRow(
            "redis.database", .integer(0...65_535), .value("0"), .restart, example: "3",
            variables: [.init(name: "REDIS_DB", part: .whole)], "Number of the Redis database."),
        SettingRow(
            "redis.deadline", .duration(.milliseconds(5)...(.seconds(10))), .value("250ms"), .restart, example: "100ms",
            "How long a login waits for Redis before the local ledger decides."),
        SettingRow(
            "redis.startup_wait", .duration(.zero...(.seconds(300))), .value("5s"), .restart, example: "10s",
            "How long the start waits for the first complete copy of the blocks."),
        SettingRow(
            "tokens.keys[].id", .word(.label), .required, example: "primary",
            "Name of the key in logs; for a secret and a PEM also the `kid` that selects it."),
        SettingRow(
            "tokens.keys[].secret", .secret(minimum: 32), .absent("no secret"),
            example: "not-a-real-secret-of-32-bytes-or-more",
            "Shared secret for HS256 (32 bytes at least), HS384 (48) or HS512 (64)."),
        SettingRow(
            "tokens.keys[].secret_file", .file, .absent("no file"), example: "/run/secrets/jwt",
            "File that holds the shared secret; one line break at its end is left out."),
        SettingRow(
            "tokens.keys[].pem_file", .file, .absent("no file"), example: "/etc/gateway/issuer.pem",
            "File with a public key or certificate in PEM; of a private key only the public half is used."),
        SettingRow(
            "tokens.keys[].jwks_file", .file, .absent("no file"), example: "/etc/gateway/jwks.json",
            "File with a JSON Web Key Set (RFC 7517)."),
        SettingRow(
            "tokens.keys[].algorithms", .list(.choice(hashAlgorithms + keyAlgorithms)),
            .absent("HS256 for a secret, the keys' own for a JWKS; needed for a PEM"), example: "[HS384, HS512]",
            "Algorithms that this key may be used with (RFC 8725 §3.1)."),
        SettingRow(
            "tokens.issuers", .list(.text), .items([]), example: "[\"https://issuer.example.org\"]",
            "Accepted issuers (`iss`); none named: not checked."),
        SettingRow(
            "tokens.audiences", .list(.text), .items([]), example: "[orders]",
            "Audiences (`aud`), one of which the token must be for; none named: not checked."),
        SettingRow(
            "tokens.leeway", .duration(.zero...(.seconds(60))), .value("30s"), example: "5s",
            "Difference between clocks that is forgiven."),
        SettingRow(
            "tokens.max_bytes", .size(256...1 << 18), .value("16KiB"), example: "4KiB",
            "Length of a token; longer ones are refused unread."),
        SettingRow(
            "tokens.cache_entries", .integer(0...1_000_000), .value("4096"), example: "100",
            "Verified tokens that each worker remembers; 0 checks every signature again."),
        SettingRow(
            "tokens.roles_claim", .text, .value("roles"), example: "groups",
            "Claim that holds the caller's roles: text with spaces between, or a list."),
        SettingRow(
            "tokens.scopes_claim", .text, .value("scope"), example: "scp",
            "Claim that holds the token's scopes: text with spaces between, or a list."),
        SettingRow(
            "tokens.admin_needs_mfa", .boolean, .value("false"), example: "true",
            variables: [.init(name: "MFA_REQUIRED_FOR_ADMIN", part: .whole)],
            "Whether routes for the role `admin` ask for a login with several factors (`amr` has `mfa`), where they name no "
                + "`acr` or `amr` of their own."),
        SettingRow(
            "identity.headers.*", .claimSource, .required, example: "email",
            "Claim that fills the header; `@authenticated` is `true` for a verified token."),
    ]

    /// The settings of which a key has exactly one.
    static let keySources = ["secret", "secret_file", "pem_file", "jwks_file", "jwks_url", "oidc_issuer"]

    static let hashAlgorithms = ["HS256", "HS384", "HS512"]
    static let keyAlgorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    ]
}
