internal import Wire

/// Rules between settings. Each looks only at values that are sound by themselves, so that one mistake is one error.
struct CrossChecks {
    let settings: ResolvedSettings
    let secrets: SecretSettings
    var findings: Findings

    init(_ settings: ResolvedSettings, _ secrets: SecretSettings) {
        self.settings = settings
        self.secrets = secrets
        findings = secrets.findings
    }

    mutating func run() {
        checkListeners()
        checkTLS()
        checkAdmin()
        checkForwardAuth()
        checkNetworks()
        checkLimits()
        checkLogin()
        checkChallenge()
        checkRateLimits()
        checkUpstreams()
        checkRoutes()
        checkFactors()
        checkKeys()
        checkIntrospection()
        checkFeeds()
        checkIdentity()
        checkAssertion()
        checkAccounts()
        checkThreats()
        checkRedis()
    }

    private mutating func checkListeners() {
        guard let entry = settings.entries["listen"], !entry.isBroken else { return }
        if entry.items.isEmpty {
            findings.error(entry.place, "\"listen\" names no address", hint: "for example listen: [\"0.0.0.0:8080\"]")
        }
        checkAddresses(entry.items)
    }

    /// What clients connect to. Of two addresses that meet, a start binds one and fails with the other; a reload could
    /// bind both, one beside its sockets that are open, and the mistake would show with the next start.
    private mutating func checkAddresses(_ items: [ResolvedSettings.Item]) {
        var seen: [Configuration.SocketAddressText] = []
        for item in items {
            guard case .address(let address) = item.value, address.port != 0 else { continue }
            if let other = seen.first(where: { meet($0, address) }) {
                tell(of: address, beside: other, at: item.place)
            }
            seen.append(address)
            checkOperators(beside: address, at: item.place)
        }
    }

    private mutating func tell(
        of address: Configuration.SocketAddressText, beside other: Configuration.SocketAddressText, at place: Place
    ) {
        let ip = IPAddress(address.host)
        guard ip != IPAddress(other.host) else {
            return findings.error(place, "the address \(addressText(address)) stands twice", hint: "remove one")
        }
        let all = ip?.isV4 == true ? "0.0.0.0 stands for every IPv4 address" : "[::] stands for every IPv6 address"
        findings.error(
            place, "\(addressText(other)) and \(addressText(address)) overlap", hint: "remove one: \(all) of this host")
    }

    private mutating func checkOperators(beside address: Configuration.SocketAddressText, at place: Place) {
        guard case .address(let admin)? = settings.value("admin.listen"), meet(admin, address) else { return }
        findings.error(
            place, "clients and operators cannot share port \(address.port) of one address",
            hint: "give \"admin.listen\" another port")
    }

    /// Whether only one of them can be bound. A socket is of one family (IPV6_V6ONLY), so `0.0.0.0` has none of `::`.
    private func meet(_ a: Configuration.SocketAddressText, _ b: Configuration.SocketAddressText) -> Bool {
        guard a.port == b.port else { return false }
        guard let first = IPAddress(a.host), let second = IPAddress(b.host) else { return a.host == b.host }
        return first == second || first.isV4 == second.isV4 && (first.isUnspecified || second.isUnspecified)
    }

    /// Whether both would take connections to one address; `0.0.0.0` and `::` take those to all of them.
    func overlaps(
        _ a: Configuration.SocketAddressText, _ b: Configuration.SocketAddressText
    ) -> Bool {
        func isWildcard(_ host: String) -> Bool { IPAddress(host)?.isUnspecified == true }
        return a.port == b.port && (a.host == b.host || isWildcard(a.host) || isWildcard(b.host))
    }

    private mutating func checkTLS() {
        let certificate = settings.written("tls.certificate_file")
        let key = settings.written("tls.key_file")
        if let certificate, key == nil {
            findings.error(certificate.place, "the certificate has no key", hint: "set \"tls.key_file\"")
        }
        if let key, certificate == nil {
            findings.error(key.place, "the key has no certificate", hint: "set \"tls.certificate_file\"")
        }
        let hasTLS = settings.hasCertificate
        let ofListeners = ["listen", "client_ca_file", "client_auth", "ocsp_file", "redirect_port", "min_version"]
        for name in ofListeners.map({ "tls.\($0)" }) {
            guard !hasTLS, key == nil, let entry = settings.written(name) else { continue }
            findings.error(
                entry.place, "there is no certificate to serve TLS with", hint: "set \"tls.certificate_file\"")
        }
        if hasTLS, certificate == nil, let staple = settings.written("tls.ocsp_file") {
            findings.error(
                staple.place, "the response belongs to no certificate",
                hint: "set \"tls.certificate_file\", or name it within \"tls.certificates\"")
        }
        if hasTLS, let port = settings.written("tls.redirect_port"), settings.written("tls.redirect") == nil {
            findings.error(
                port.place, "nobody is redirected to the port",
                hint: "set \"tls.redirect\", to false if it is meant so")
        }
        if case .boolean(true)? = settings.value("tls.redirect"), settings.written("tls.redirect_port") == nil,
            case .address(let first)? = settings.items("tls.listen").first?.value, first.port == 0
        {
            findings.error(
                settings.place(of: "tls.redirect"), "nobody knows the port that clients are to be redirected to",
                hint: "set \"tls.redirect_port\"; the first of \"tls.listen\" is the system's choice")
        }
        if !hasTLS, key == nil, case .boolean(true)? = settings.value("tls.redirect") {
            findings.error(
                settings.place(of: "tls.redirect"), "there is no TLS listener to redirect to",
                hint: "set \"tls.certificate_file\"")
        }
        if let mode = settings.text("tls.client_auth"), mode != "none", settings.written("tls.client_ca_file") == nil {
            findings.error(
                settings.place(of: "tls.client_auth"), "there is no authority to check clients' certificates with",
                hint: "set \"tls.client_ca_file\"")
        }
        checkAddresses(settings.items("tls.listen"))
        for item in settings.items("tls.listen") {
            guard case .address(let address) = item.value, address.port != 0 else { continue }
            checkPort(of: address, at: item.place)
        }
        if hasTLS, settings.items("tls.listen").isEmpty {
            checkPort(of: Configuration.TLS.defaultListener, at: settings.place(of: "listen"))
            checkOperators(beside: Configuration.TLS.defaultListener, at: settings.place(of: "admin.listen"))
        }
    }

    private mutating func checkPort(of address: Configuration.SocketAddressText, at place: Place) {
        for other in settings.items("listen") {
            guard case .address(let plain) = other.value, overlaps(plain, address) else { continue }
            findings.error(
                place, "the port \(address.port) is served without TLS already",
                hint: "give \"tls.listen\" another port")
        }
    }

    private mutating func checkAdmin() {
        checkAdminSocket()
        guard case .address(let address)? = settings.value("admin.listen") else { return }
        let isLocal = address.host == "localhost" || IPAddress(address.host)?.isLoopback == true
        let hasToken = settings.written("admin.token") != nil || settings.written("admin.token_file") != nil
        if !isLocal, !hasToken {
            findings.error(
                settings.place(of: "admin.listen"),
                "the admin listener can be reached from other machines and has no token",
                hint: "set \"admin.token_file\", or listen on 127.0.0.1")
        }
    }

    /// unix(7): `sun_path` has 108 bytes, the last of them 0.
    private mutating func checkAdminSocket() {
        guard let state = settings.text("state_dir") else { return }
        let socket = resolvePath(settings.text("admin.socket") ?? state + "/admin.sock", in: secrets.directory)
        guard socket.utf8.count > 107 else { return }
        findings.error(
            settings.place(of: settings.text("admin.socket") == nil ? "state_dir" : "admin.socket"),
            "the path of the admin socket, \"\(socket)\", is longer than 107 bytes",
            hint: "the system allows no more: set \"admin.socket\" to a shorter one")
    }

    private mutating func checkNetworks() {
        for item in settings.items("trusted_proxies") {
            guard case .network(let network) = item.value, isEveryone(network) else { continue }
            findings.warning(
                item.place, "everyone is trusted as a proxy, so every client chooses its own address",
                hint: "name the networks of your proxies")
        }
        for item in settings.items("proxy_protocol.from") {
            guard case .network(let network) = item.value, isEveryone(network) else { continue }
            findings.warning(
                item.place, "everyone may announce clients, so every client chooses its own address",
                hint: "name the addresses of your load balancers")
        }
        for item in settings.items("never_block") {
            guard case .network(let network) = item.value, isEveryone(network) else { continue }
            findings.warning(item.place, "nobody is ever blocked", hint: "name the addresses that are meant")
        }
    }

    private mutating func checkLimits() {
        if let memory = settings.integer("limits.memory"), memory > 0, memory < 16 << 20 {
            findings.error(
                settings.place(of: "limits.memory"), "the buffers of a few requests fill \(memory) bytes",
                hint: "set at least 16MiB, or 0 for half of what there is")
        }
        guard let all = settings.integer("limits.connections"),
            let each = settings.integer("limits.connections_per_address"), each >= all
        else { return }
        findings.warning(
            settings.place(of: "limits.connections_per_address"),
            "one address may have all \(all) connections, so nothing is limited",
            hint: "set less than \"limits.connections\", or 0")
    }

    func isEveryone(_ network: IPNetwork) -> Bool {
        network.bits == 0 || (network.bits == 96 && network.base.isV4)
    }

    private mutating func checkUpstreams() {
        let names = settings.names["upstreams"] ?? []
        if names.isEmpty, !settings.malformed.contains("upstreams") {
            findings.error(
                settings.place(of: "upstreams"), "no upstream is configured",
                hint: "for example upstreams: {api: {servers: [\"127.0.0.1:9000\"]}}")
        }
        for name in names {
            checkBalance(ofUpstream: name)
            checkTLS(ofUpstream: name)
        }
        for name in names {
            guard let entry = settings.entries["upstreams.\(name).servers"], !entry.isBroken, entry.items.isEmpty
            else { continue }
            findings.error(
                entry.place, "the upstream \"\(name)\" has no servers",
                hint: "for example servers: [\"127.0.0.1:9000\"]")
        }
        let used = (0..<(settings.counts["routes"] ?? 0)).compactMap { settings.text("routes[\($0)].upstream") }
        // Beside a route that names none of them, the unused one is only the other half of that mistake.
        guard !used.isEmpty, used.allSatisfy(names.contains) else { return }
        for name in names where !used.contains(name) {
            findings.warning(settings.place(of: "upstreams.\(name)"), "no route uses the upstream \"\(name)\"")
        }
    }

    private mutating func checkRoutes() {
        let count = settings.counts["routes"] ?? 0
        if count == 0, !settings.malformed.contains("routes") {
            findings.error(
                settings.place(of: "routes"), "no route is configured, so every request would be answered with 404",
                hint: "for example routes: [{path: /, upstream: api}]")
        }
        var keys: [RouteKey: Int] = [:]
        var unguarded: [String] = []
        for index in 0..<count {
            let path = "routes[\(index)]"
            checkUpstreamReference(path)
            checkTokenPlaces(path)
            checkBreakGlass(path)
            checkRateLimit("\(path).rate_limit")
            checkRules(path)
            if let key = RouteKey(settings, path) {
                if let first = keys[key] {
                    findings.error(
                        settings.place(of: "\(path).path"),
                        "the route can never be reached: routes[\(first)] has the same host, path and methods",
                        hint: "remove one of them")
                }
                keys[key] = keys[key] ?? index
            }
            if settings.text("\(path).auth") == "required" {
                unguarded.append(settings.text("\(path).name") ?? settings.text("\(path).path") ?? path)
            }
        }
        if !unguarded.isEmpty, (settings.counts["tokens.keys"] ?? 0) == 0, secrets.environmentKeys.isEmpty,
            settings.written("tokens.introspection.url") == nil,
            !findings.hasErrors(aboutVariables: EnvironmentOnly.variables)
        {
            let names = unguarded.map { "\"\($0)\"" }.joined(separator: ", ")
            findings.warning(
                .wholeFile,
                "every request to \(unguarded.count == 1 ? "route" : "routes") \(names) will be refused with 401: "
                    + "there is no token key",
                hint: "set \"tokens.keys\", or JWT_SECRET in the environment (openssl rand -hex 32 makes one)")
        }
    }

    /// A rule that meets no route would be mistaken for a protection.
    private mutating func checkFactors() {
        guard case .boolean(true)? = settings.value("tokens.admin_needs_mfa") else { return }
        let count = settings.counts["routes"] ?? 0
        guard
            !(0..<count).contains(where: {
                settings.items("routes[\($0)].roles").contains { isAdministrator($0.written) }
            })
        else { return }
        findings.error(
            settings.place(of: "tokens.admin_needs_mfa"),
            "no route asks for the role \"admin\", so this would do nothing",
            hint: "add roles: [admin] to the routes of administrators, or step_up: {amr: [mfa]}")
    }

    private mutating func checkUpstreamReference(_ path: String) {
        guard let name = settings.text("\(path).upstream") else { return }
        let names = settings.names["upstreams"] ?? []
        guard !names.isEmpty, !names.contains(name) else { return }
        findings.error(
            settings.place(of: "\(path).upstream"), "there is no upstream \"\(name)\"",
            hint: closest(to: name, among: names).map { "did you mean \"\($0)\"?" }
                ?? "known: \(names.joined(separator: ", "))")
    }

    /// Rules about the token on a route that does not look at it would promise a protection that is not there.
    private mutating func checkRules(_ path: String) {
        for name in settings.names["\(path).claims"] ?? [] {
            guard let entry = settings.entries["\(path).claims.\(name)"], entry.items.isEmpty, !entry.isBroken
            else { continue }
            findings.error(entry.place, "the claim \"\(name)\" has no accepted values", hint: "name one or more")
        }
        if let cors = settings.entries["\(path).cors.origins"], cors.items.isEmpty, !cors.isBroken {
            findings.error(cors.place, "\"cors\" names no origins", hint: "leave \"cors\" out to allow none")
        }
        guard settings.text("\(path).auth") == "none" else { return }
        let hint = "set auth: required, or remove the rule"
        if let entry = settings.written("\(path).roles"), !entry.items.isEmpty {
            findings.error(entry.place, "roles are asked for, but the route looks at no token", hint: hint)
        }
        for (name, words) in [
            ("scopes", "scopes are"), ("step_up.acr", "a level of authentication is"),
            ("step_up.amr", "a method of authentication is"), ("step_up.max_age", "a recent login is"),
        ] {
            guard let entry = settings.written("\(path).\(name)"), !entry.items.isEmpty else { continue }
            findings.error(entry.place, "\(words) asked for, but the route looks at no token", hint: hint)
        }
        if settings.names["\(path).claims"] != nil {
            findings.error(
                settings.place(of: "\(path).claims"), "claims are asked for, but the route looks at no token",
                hint: hint)
        }
        checkTokenPlaces(unread: path)
        checkRateLimit(unidentified: path)
        if settings.written("\(path).cookie") != nil {
            findings.warning(
                settings.place(of: "\(path).cookie"), "the cookie is never read: the route looks at no token",
                hint: "set auth: optional or auth: required")
        }
    }

    private mutating func checkIdentity() {
        var seen: Set<String> = []
        for name in settings.names["identity.headers"] ?? [] {
            let path = "identity.headers.\(name)"
            let place = settings.places[path] ?? settings.place(of: path)
            let folded = Self.variable(of: name)
            if !seen.insert(folded).inserted {
                findings.error(place, "backends cannot tell the header \"\(name)\" from another one in the list")
            }
            if Self.reserved.contains(folded) {
                findings.error(
                    place, "the header \"\(name)\" belongs to HTTP or to the gateway itself", hint: "choose an X- name")
            }
        }
    }

    /// What CGI and its kin call a field: they see one where we see two.
    static func variable(of field: String) -> String {
        String(field.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }

    /// As `variable(of:)` has them.
    static let reserved: Set<String> = [
        "ACCESS_CONTROL_REQUEST_METHOD", "AUTHORIZATION", "CONNECTION", "CONTENT_LENGTH", "CONTENT_TYPE", "COOKIE",
        "EXPECT", "FORWARDED", "HOST", "HTTP2_SETTINGS", "KEEP_ALIVE", "MAX_FORWARDS", "ORIGIN", "PROXY_AUTHORIZATION",
        "PROXY_CONNECTION", "TE", "TRACEPARENT", "TRACESTATE", "TRAILER", "TRANSFER_ENCODING", "UPGRADE", "VIA",
        "X_BREAK_GLASS", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REQUEST_ID", "X_TOKEN_EXPIRED",
    ]
}

/// What makes two routes the same.
private struct RouteKey: Hashable {
    var host: String?
    var path: String
    var methods: Set<String>

    /// Nil when a part is missing or wrong, which has been reported.
    init?(_ settings: ResolvedSettings, _ route: String) {
        guard let path = settings.text("\(route).path"), settings.entries["\(route).host"]?.isBroken != true,
            settings.entries["\(route).methods"]?.isBroken != true
        else { return nil }
        host = settings.text("\(route).host")
        self.path = path
        methods = Set(settings.items("\(route).methods").map(\.written))
    }
}
