internal import Wire

/// Puts sound values into the `Configuration`. Every path asked for here has a row (a test compares), and every row
/// that is not about another one's file is asked for.
struct Assembly {
    let settings: ResolvedSettings
    let secrets: SecretSettings
    let directory: String

    func configuration() -> Configuration {
        let upstreamNames = settings.names["upstreams"] ?? []
        let stateDirectory = path("state_dir")
        var configuration = Configuration(
            listeners: addresses("listen"),
            workers: settings.integer("workers") ?? processorCount(),
            admin: .init(
                listen: address("admin.listen"),
                socketPath: settings.adminSocketPath(in: directory) ?? missing("admin.socket"),
                token: secrets.secrets["admin.token"]),
            stateDirectory: stateDirectory,
            trustedProxies: networks("trusted_proxies"), announcers: networks("proxy_protocol.from"),
            neverBlock: networks("never_block"),
            limits: .init(
                headBytes: integer("limits.head"), fields: integer("limits.fields"),
                targetBytes: integer("limits.target"), bodyBytes: integer("limits.body"),
                connections: integer("limits.connections"),
                connectionsPerAddress: integer("limits.connections_per_address"),
                minimumRate: integer("limits.min_rate"), memory: integer("limits.memory")),
            timeouts: .init(
                handshake: interval("timeouts.handshake"), head: interval("timeouts.head"),
                body: interval("timeouts.body"), idle: interval("timeouts.idle"),
                connect: interval("timeouts.connect"), response: interval("timeouts.response"),
                drain: interval("timeouts.drain"), progress: interval("timeouts.progress"),
                tunnel: interval("timeouts.tunnel"), upgrade: interval("timeouts.upgrade")),
            forwarding: .init(
                viaName: text("forwarding.via"), forwarded: boolean("forwarding.forwarded"),
                proxyStatus: boolean("forwarding.proxy_status")),
            upstreams: upstreamNames.map(upstream),
            routes: (0..<(settings.counts["routes"] ?? 0)).map { route("routes[\($0)]", upstreamNames) },
            login: .init(
                endpoints: settings.items("login.endpoints").compactMap {
                    if case .endpoint(let endpoint) = $0.value { endpoint } else { nil }
                },
                limit: integer("login.limit"), window: interval("login.window"), block: interval("login.block"),
                count: .init(rawValue: text("login.count")) ?? .fixed,
                action: .init(rawValue: text("login.action")) ?? .block, escalation: escalation("login.escalation"),
                ipv6Prefix: integer("login.ipv6_prefix"),
                wait: interval("login.wait"), whenLedgerAway: .init(rawValue: text("login.when_ledger_away")) ?? .local,
                failureStatuses: settings.items("login.failure_statuses").compactMap {
                    if case .integer(let status) = $0.value { status } else { nil }
                }, rules: loginRules()),
            redis: settings.usesRedis ? redis() : nil,
            tokens: tokens(),
            identityHeaders: (settings.names["identity.headers"] ?? []).map { name in
                guard case .claim(let value)? = settings.value("identity.headers.\(name)") else { return missing(name) }
                return .init(name: name, value: value)
            },
            assertion: assertion(),
            logs: .init(
                access: logTarget("logs.access"), audit: logTarget("logs.audit"),
                level: .init(rawValue: text("logs.level")) ?? .info),
            metrics: .init(prefix: text("metrics.prefix")), tls: tls(), securityHeaders: securityHeaders())
        configuration.rateLimits = rateLimits()
        configuration.accounts = accounts()
        configuration.login.challenge = challenge()
        configuration.threats = threats()
        configuration.forwardAuth.listeners = addresses("forward_auth.listen")
        configuration.forwardAuth.trusted = networks("forward_auth.trusted")
        configuration.feeds = feeds()
        return configuration
    }

    private func route(_ path: String, _ upstreams: [String]) -> Configuration.Route {
        let names = settings.names["\(path).claims"] ?? []
        let origins = texts("\(path).cors.origins")
        var route = Configuration.Route(
            name: settings.text("\(path).name") ?? text("\(path).path"),
            host: settings.text("\(path).host"),
            path: text("\(path).path"),
            methods: texts("\(path).methods"),
            upstream: upstreams.firstIndex(of: text("\(path).upstream")) ?? missing("\(path).upstream"),
            authentication: .init(rawValue: text("\(path).auth")) ?? .required,
            cookie: settings.text("\(path).cookie"),
            requiredClaims: names.map { .init(name: $0, oneOf: texts("\(path).claims.\($0)")) },
            requiredRoles: texts("\(path).roles"),
            cors: settings.places["\(path).cors"] == nil ? nil : .init(allowedOrigins: origins),
            paths: pathRules("\(path).paths"), upgrades: texts("\(path).upgrades"),
            closesAtExpiry: boolean("\(path).close_at_expiry"),
            responseTimeout: settings.interval("\(path).response_timeout"))
        route.tokenParameter = settings.text("\(path).token_query")
        route.tokenSubprotocol = settings.text("\(path).token_subprotocol")
        route.expiredGrace = settings.interval("\(path).expired_grace")
        route.breakGlass = settings.interval("\(path).break_glass")
        route.rateLimit = routeRateLimit("\(path).rate_limit")
        route.stripsToken = boolean("\(path).strip_token")
        route.requiredScopes = texts("\(path).scopes")
        route.stepUp.levels = texts("\(path).step_up.acr")
        route.stepUp.methods = texts("\(path).step_up.amr")
        route.stepUp.maximumAge = settings.interval("\(path).step_up.max_age")
        if boolean("tokens.admin_needs_mfa"), route.requiredRoles.contains(where: isAdministrator),
            route.stepUp.levels.isEmpty, route.stepUp.methods.isEmpty
        {
            route.stepUp.methods = ["mfa"]
        }
        return route
    }

    private func pathRules(_ path: String) -> PathRules {
        var rules = PathRules()
        rules.encodedSlash = .init(rawValue: text("\(path).encoded_slash")) ?? .refuse
        rules.backslash = .init(rawValue: text("\(path).backslash")) ?? .refuse
        rules.semicolon = .init(rawValue: text("\(path).semicolon")) ?? .refuse
        rules.emptySegments = .init(rawValue: text("\(path).empty_segments")) ?? .refuse
        rules.dotSegments = .init(rawValue: text("\(path).dot_segments")) ?? .refuse
        return rules
    }

    private func tokens() -> Configuration.Tokens {
        let written = (0..<(settings.counts["tokens.keys"] ?? 0)).map { key("tokens.keys[\($0)]") }
        let exported = secrets.environmentKeys.map { key, contents in
            Configuration.Tokens.Key(
                id: key.variable,
                source: key.isPEM ? .pem(path: key.variable, contents: contents) : .secret(contents),
                algorithms: [key.algorithm])
        }
        var tokens = Configuration.Tokens(
            keys: written + exported, issuers: texts("tokens.issuers"), audiences: texts("tokens.audiences"),
            leeway: interval("tokens.leeway"), maximumBytes: integer("tokens.max_bytes"),
            cacheEntries: integer("tokens.cache_entries"), rolesClaim: text("tokens.roles_claim"))
        tokens.scopesClaim = text("tokens.scopes_claim")
        tokens.introspection = introspection()
        tokens.ringSecret = secrets.secrets["tokens.ring_secret"]
        return tokens
    }

    private func key(_ path: String) -> Configuration.Tokens.Key {
        var key = source(path)
        if let issuer = settings.text("\(path).issuer") { key.issuer = issuer }
        return key
    }

    private func source(_ path: String) -> Configuration.Tokens.Key {
        let algorithms = texts("\(path).algorithms")
        let id = text("\(path).id")
        if let pem = secrets.keyFiles["\(path).pem_file"] {
            return .init(id: id, source: .pem(path: pem.path, contents: pem.contents), algorithms: algorithms)
        }
        if let jwks = secrets.keyFiles["\(path).jwks_file"] {
            return .init(id: id, source: .jwks(path: jwks.path, contents: jwks.contents), algorithms: [])
        }
        if case .web(let issuer)? = settings.value("\(path).oidc_issuer") {
            return .init(
                id: id, source: .provider(provider(.discovery(issuer: issuer), path)), algorithms: [],
                issuer: issuer.description)
        }
        if case .web(let url)? = settings.value("\(path).jwks_url") {
            return .init(id: id, source: .provider(provider(.jwks(url), path)), algorithms: [])
        }
        guard let secret = secrets.secrets["\(path).secret"] else { return missing("\(path).secret") }
        return .init(id: id, source: .secret(secret), algorithms: algorithms.isEmpty ? ["HS256"] : algorithms)
    }
}

/// The role of `tokens.admin_needs_mfa`, however it is written.
func isAdministrator(_ role: String) -> Bool { role.lowercased() == "admin" }

extension Assembly {
    private func provider(
        _ location: Configuration.Tokens.Provider.Location, _ path: String
    ) -> Configuration.Tokens.Provider {
        var provider = Configuration.Tokens.Provider(location, section: path)
        provider.authoritiesPath = settings.text("\(path).ca_file").map { resolvePath($0, in: directory) }
        provider.allowsHTTP = boolean("\(path).allow_http")
        provider.refresh = interval("\(path).refresh")
        provider.timeout = interval("\(path).timeout")
        provider.maximumAge = interval("\(path).max_stale")
        return provider
    }
}

extension ResolvedSettings {
    /// Nil where the setting that names it has a mistake.
    func adminSocketPath(in directory: String) -> String? {
        // A broken entry has no value, and what follows from another setting is not where the socket is.
        guard entries["admin.socket"].map({ !$0.isBroken }) ?? true else { return nil }
        if let socket = text("admin.socket") { return resolvePath(socket, in: directory) }
        return text("state_dir").map { resolvePath($0, in: directory) + "/admin.sock" }
    }
}

extension Assembly {
    /// Unreachable: a configuration is assembled only after every row was found sound.
    func missing<Value>(_ path: String) -> Value { preconditionFailure("no value for \(path)") }

    func integer(_ path: String) -> Int { settings.integer(path) ?? missing(path) }
    func text(_ path: String) -> String { settings.text(path) ?? missing(path) }
    private func path(_ name: String) -> String { resolvePath(text(name), in: directory) }

    func interval(_ path: String) -> Interval { settings.interval(path) ?? missing(path) }

    func boolean(_ path: String) -> Bool {
        guard case .boolean(let flag)? = settings.value(path) else { return missing(path) }
        return flag
    }

    private func texts(_ path: String) -> [String] {
        settings.items(path).compactMap { if case .text(let text) = $0.value { text } else { nil } }
    }

    private func networks(_ path: String) -> [IPNetwork] {
        settings.items(path).compactMap { if case .network(let network) = $0.value { network } else { nil } }
    }

    func addresses(_ path: String) -> [Configuration.SocketAddressText] {
        settings.items(path).compactMap { if case .address(let address) = $0.value { address } else { nil } }
    }

    func servers(_ path: String) -> [Configuration.ServerLocation] {
        settings.items(path).compactMap { if case .server(let location) = $0.value { location } else { nil } }
    }

    private func address(_ path: String) -> Configuration.SocketAddressText? { addresses(path).first }

    private func logTarget(_ path: String) -> Configuration.Logs.Target {
        guard case .log(let target)? = settings.value(path) else { return missing(path) }
        if case .file(let file) = target { return .file(path: resolvePath(file, in: directory)) }
        return target
    }
}
