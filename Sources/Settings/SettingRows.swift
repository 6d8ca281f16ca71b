private import Wire

/// Every setting there is, in the order of the reference. Limits follow the rows of requests and logins here; upstreams
/// are in SettingRowsUpstreams.swift, routes and keys in SettingRowsRouting.swift.
enum SettingRows {
    static let all: [SettingRow] =
        listening + abuse + rateLimits + announcing + asking + tls + upstreams + connecting + routing + lasting
        + routeRateLimits + paths + protection + loginRules + challenge + accounts + threats + feeds
        + redis + ring + providers + introspection + assertion + observing

    static let sections: [SectionRow] = [
        SectionRow("admin", .section, "The listener and the socket for operators and Prometheus."),
        SectionRow(
            "proxy_protocol", .section,
            "Whose word about a connection's client is believed before a byte of it is read (HAProxy's PROXY protocol)."
        ),
        SectionRow(
            "forward_auth", .section,
            "Deciding beside another proxy, which asks about each request; docs/forward-auth.md."),
        SectionRow("limits", .section, "What a client may ask for; what is larger is refused."),
        SectionRow(
            "rate_limits", .section, "How many requests there may be in a time; docs/rate-limits.md."),
        SectionRow("rate_limits.per_address", .section, "For each client address."),
        SectionRow("rate_limits.per_identity", .section, "For each user, by the verified token."),
        SectionRow("timeouts", .section, "How long the gateway waits."),
        SectionRow("tls", .section, "HTTPS for clients; without a certificate there is none."),
        SectionRow(
            "tls.certificates", .list, "Certificates for further names, chosen by the name the client asks for."),
        SectionRow("tls.certificates[]", .section, "One certificate."),
        SectionRow("security_headers", .section, "Fields that harden browsers, where the backend did not write them."),
        SectionRow("forwarding", .section, "What the gateway says about itself to backends and clients."),
        SectionRow("upstreams", .map(.name), "The backends, by names that routes refer to."),
        SectionRow("upstreams.*", .section, "One backend: its servers, and how one is chosen; docs/upstreams.md."),
        SectionRow(
            "upstreams.*.tls", .section,
            "TLS to the servers. Its files are read again with each reload; sessions are resumed."),
        SectionRow(
            "upstreams.*.ejection", .section,
            "A server whose requests fail one after another is left alone for a while."
        ),
        SectionRow(
            "upstreams.*.circuit_breaker", .section,
            "A backend that only fails is spared, and its clients are told at once."),
        SectionRow(
            "upstreams.*.health_check", .section, "Asking servers how they are, beside the requests of clients."),
        SectionRow("routes", .list, "Which requests go where, and what they must carry; the most specific match wins."),
        SectionRow("routes[]", .section, "One route."),
        SectionRow("routes[].claims", .map(nil), "Claims the token must have, each with the values that are accepted."),
        SectionRow(
            "routes[].step_up", .section,
            "What the login behind the token must have been like; who falls short is told so (RFC 9470)."),
        SectionRow("routes[].rate_limit", .section, "How many requests to the route there may be in a time."),
        SectionRow(
            "routes[].paths", .section,
            "What becomes of spellings of a path that programs read in two ways; docs/paths.md says when which is safe."
        ),
        SectionRow("routes[].cors", .section, "Cross-origin rules for the gateway's own answers."),
        SectionRow("login", .section, "The rule against guessing of passwords (SEC-010)."),
        SectionRow("feeds", .list, "Lists of addresses that are blocked, from files or URLs; docs/feeds.md."),
        SectionRow("feeds[]", .section, "One list: exactly one of `file` and `url`."),
        SectionRow(
            "accounts", .section, "The same for accounts, beside the rule for addresses; docs/accounts.md."),
        SectionRow("accounts.shared", .section, "Addresses that many people speak through."),
        SectionRow(
            "threats", .section, "Patterns of attacks in the failed logins of all; docs/threats.md."),
        SectionRow("threats.webhook", .section, "Who is told of them, beside logs and metrics."),
        SectionRow(
            "login.escalation", .section, "Blocks that follow each other may last longer and longer."),
        SectionRow(
            "login.rules", .list,
            "Further rules, for other requests or with other limits; docs/login-rules.md."),
        SectionRow("login.rules[]", .section, "One rule."),
        SectionRow("login.rules[].failure", .section, "By what the backend says that it failed."),
        SectionRow("login.rules[].failure.json", .section, "What its answer says in its JSON."),
        SectionRow("login.rules[].escalation", .section, "As `login.escalation`."),
        SectionRow(
            "login.challenge", .section, "What a login must bring where some have failed; docs/challenge.md."),
        SectionRow("login.challenge.siteverify", .section, "Who verifies the tokens of a CAPTCHA."),
        SectionRow(
            "redis", .section,
            "Where blocks and counters live, shared by all replicas; without it they live in `state_dir`."),
        SectionRow("redis.tls", .section, "How Redis and its sentinels are spoken to over TLS."),
        SectionRow("tokens", .section, "How JSON Web Tokens are checked."),
        SectionRow("tokens.keys", .list, "The keys that may have signed a token."),
        SectionRow(
            "tokens.keys[]", .section,
            "One key, or the keys of one issuer: exactly one of `secret`, `secret_file`, `pem_file`, `jwks_file`, "
                + "`jwks_url`, `oidc_issuer`. docs/keys.md."),
        SectionRow(
            "tokens.introspection", .section,
            "Asking the issuer about tokens that are no JWTs (RFC 7662); docs/introspection.md."),
        SectionRow("identity", .section, "What backends learn about the caller."),
        SectionRow(
            "identity.headers", .map(.token),
            fallback: [("X-User-ID", "sub"), ("X-User-Role", "role"), ("X-Authenticated", "@authenticated")],
            "Headers for backends and the claims that fill them; whatever a client sends under these names is removed."),
        SectionRow(
            "assertion", .section,
            "What the gateway signs for backends, so that they need not believe a header; docs/assertions.md."),
        SectionRow("logs", .section, "Where log lines go."),
        SectionRow("metrics", .section, "What Prometheus reads."),
    ]

    private static let listening: [SettingRow] = [
        SettingRow(
            "listen", .list(.listener), .items(["0.0.0.0:8080"]),
            example: "[\"0.0.0.0:8000\", \"[::1]:8001\"]",
            variables: [.init(name: "GATEWAY_HOST", part: .host), .init(name: "GATEWAY_PORT", part: .port)],
            "Addresses that clients connect to; port 0 lets the system choose."),
        SettingRow(
            "workers", .integerOrAuto(1...64), .value("auto"), .restart, example: "3",
            "Threads that serve requests; `auto` is one per processor this process may use."),
        SettingRow(
            "state_dir", .file, .value("state"), .restart, example: "/var/lib/gateway",
            "Directory for what must survive a restart, of mode 700, made when it is missing."),
        SettingRow(
            "allow_world_readable_secrets", .boolean, .value("false"), example: "true",
            "Whether secret files that every user of the machine can read are accepted."),
        SettingRow(
            "trusted_proxies", .list(.network), .items([]), example: "[10.0.0.0/8]",
            "Proxies whose X-Forwarded-For is believed; nobody else's is."),
        SettingRow(
            "never_block", .list(.network), .items([]), example: "[192.0.2.7, \"2001:db8::/32\"]",
            "Addresses that are never blocked, by a rule, by a feed or by hand, besides the trusted proxies and "
                + "this host's own addresses other than loopback."),
        SettingRow(
            "admin.listen", .listenerOrOff, .value("127.0.0.1:9901"), .restart, example: "[::1]:9902",
            "Address of the listener for operators and Prometheus, or `off`."),
        SettingRow(
            "admin.socket", .file, .absent("`<state_dir>/admin.sock`"), .restart, example: "/run/gateway/admin.sock",
            "Path of the Unix socket, of mode 600, that the command line talks to; at most 107 bytes."),
        SettingRow(
            "admin.token", .secret(minimum: 16), .absent("no token: what needs one works on the socket only"),
            example: "not-a-real-admin-token",
            "Bearer token for everything on the admin listener but health and metrics."),
        SettingRow(
            "admin.token_file", .file, .absent("no file"), example: "/run/secrets/admin",
            "File that holds the admin token."),
        SettingRow(
            "limits.head", .size(1_024...128 << 10), .value("32KiB"), example: "16KiB",
            "Size of a request's or response's start line and header fields together."),
        SettingRow("limits.fields", .integer(8...1_000), .value("100"), example: "50", "Number of header fields."),
        SettingRow(
            "limits.target", .size(256...1 << 16), .value("8KiB"), example: "4KiB",
            "Length of the request target: path and query."),
        SettingRow(
            "limits.body", .size(0...1 << 40), .value("0"), example: "10MiB", "Size of a request body; 0 is no limit."),
        SettingRow(
            "limits.connections", .integer(1...1_000_000), .value("10000"), example: "2000",
            "Client connections at a time, of the whole process."),
        SettingRow(
            "timeouts.handshake", .duration(.milliseconds(100)...(.seconds(600))), .value("10s"), example: "5s",
            "From accepting a TLS connection to the end of its handshake."),
        SettingRow(
            "timeouts.head", .duration(.milliseconds(100)...(.seconds(600))), .value("10s"), example: "5s",
            "From the first byte of a request to the end of its head."),
        SettingRow(
            "timeouts.body", .duration(.milliseconds(100)...(.seconds(3_600))), .value("30s"), example: "15s",
            "Without progress while a body is sent, in either direction."),
        SettingRow(
            "timeouts.idle", .duration(.milliseconds(100)...(.seconds(3_600))), .value("60s"), example: "2m",
            "For the next request on a connection that is kept open; the first one is due within `timeouts.head`."),
        SettingRow(
            "timeouts.connect", .duration(.milliseconds(10)...(.seconds(60))), .value("2s"), example: "500ms",
            "For a backend to accept a connection."),
        SettingRow(
            "timeouts.response", .duration(.milliseconds(100)...(.seconds(3_600))), .value("60s"), example: "30s",
            "From the end of a request to the head of its response."),
        SettingRow(
            "timeouts.drain", .duration(.zero...(.seconds(3_600))), .value("20s"), example: "1m",
            "For requests under way when the gateway is asked to stop."),
        SettingRow(
            "timeouts.tunnel", .duration(.milliseconds(100)...(.seconds(7 * 86_400))), .value("1h"), example: "10m",
            "Without a byte in either direction on an open WebSocket, other tunnel, or event stream."),
        SettingRow(
            "timeouts.upgrade", .duration(.seconds(1)...(.seconds(300))), .value("20s"), example: "1m",
            "For a new program to serve when it takes over from this one."),
        SettingRow(
            "forwarding.via", .word(.token), .value("gateway"), example: "edge",
            "Name in the Via field; a pseudonym serves (RFC 9110 §7.6.3)."),
        SettingRow(
            "forwarding.forwarded", .boolean, .value("true"), example: "false",
            "Whether to send Forwarded (RFC 7239) beside the X-Forwarded fields."),
        SettingRow(
            "forwarding.proxy_status", .boolean, .value("true"), example: "false",
            "Whether the gateway's own answers say why in Proxy-Status (RFC 9209), named as in `forwarding.via`."),
    ]

    private static let observing: [SettingRow] = [
        SettingRow(
            "logs.access", .logTarget, .value("stdout"), example: "/var/log/gateway/access.log",
            "One JSON line for every request: `off`, `stdout` or a file."),
        SettingRow(
            "logs.audit", .logTarget, .value("stdout"), example: "/var/log/gateway/audit.log",
            "One JSON line for every decision about security: `off`, `stdout` or a file."),
        SettingRow(
            "logs.level", .choice(Configuration.Logs.Level.allCases.map(\.rawValue)), .value("info"), example: "debug",
            "The least severity of the gateway's own messages."),
        SettingRow(
            "metrics.prefix", .word(.metricPrefix), .value("gateway"), .restart, example: "edge",
            "Put before the name of every metric, with an underscore."),
    ]
}
