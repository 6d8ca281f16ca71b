/// Reads the files that settings name and decides which of two sources of a secret holds.
struct SecretSettings {
    /// Secrets by the path of their section and name: `admin.token`, `tokens.keys[0].secret`.
    private(set) var secrets: [String: Secret] = [:]
    /// Contents of key files by the path of their setting.
    private(set) var keyFiles: [String: (path: String, contents: Secret)] = [:]
    private(set) var environmentKeys: [(key: EnvironmentOnly.Key, contents: Secret)] = []
    /// What `redis.url` says.
    private(set) var redisURL: RedisURL?
    private(set) var redisPasswordPath: String?
    private(set) var findings: Findings

    private let settings: ResolvedSettings
    private let files: FileAccess
    let directory: String
    private let acceptsWorldReadable: Bool

    init(_ settings: ResolvedSettings, files: FileAccess, directory: String, findings: Findings) {
        self.settings = settings
        self.files = files
        self.directory = directory
        self.findings = findings
        if case .boolean(true)? = settings.value("allow_world_readable_secrets") {
            acceptsWorldReadable = true
        } else {
            acceptsWorldReadable = false
        }
    }

    mutating func read(_ environment: [String: String]) {
        readSecret("admin.token")
        if settings.usesRedis { readRedis() }
        readSecret("tokens.ring_secret")
        readSecret("accounts.secret")
        readSecret("login.challenge.secret")
        readSecret("login.challenge.siteverify.secret")
        readAuthorities("login.challenge.siteverify.ca_file")
        readSecret("threats.webhook.secret")
        readAuthorities("threats.webhook.ca_file")
        readSecret("tokens.introspection.client_secret")
        readAuthorities("tokens.introspection.ca_file")
        for index in 0..<(settings.counts["feeds"] ?? 0) { readAuthorities("feeds[\(index)].ca_file") }
        for index in 0..<(settings.counts["tokens.keys"] ?? 0) { readKey("tokens.keys[\(index)]") }
        readTLS()
        readAssertionKey()
        for key in EnvironmentOnly.keys { readEnvironmentKey(key, environment) }
    }

    private mutating func readRedis() {
        for name in ["password", "sentinel_password", "url"] { readSecret("redis.\(name)") }
        for name in ["ca_file", "certificate_file"] { readAuthorities("redis.tls.\(name)") }
        if let entry = settings.written("redis.tls.key_file"), case .text(let name)? = entry.items.first?.value {
            _ = open(name, at: entry.place, isSecret: { _ in true })
        }
        if settings.written("redis.password") == nil, let entry = settings.written("redis.password_file"),
            case .text(let name)? = entry.items.first?.value
        {
            redisPasswordPath = resolvePath(name, in: directory)
        }
        guard let secret = secrets["redis.url"],
            let entry = settings.written("redis.url") ?? settings.written("redis.url_file")
        else { return }
        do throws(Complaint) {
            redisURL = try RedisURL(secret)
        } catch {
            findings.error(entry.place, error.message, hint: error.hint)
        }
    }

    /// The setting `path` and its `_file`: the environment goes before the file, and within one of them only one may
    /// stand.
    private mutating func readSecret(_ path: String) {
        let direct = settings.written(path)
        let file = settings.written(path + "_file")
        if let direct, let file {
            switch (direct.place, file.place) {
            case (.environment, .environment), (.file, .file):
                let name = path.split(separator: ".").last ?? ""
                findings.error(
                    file.place, "both \"\(name)\" and \"\(name)_file\" are set", hint: "keep one of them")
                return
            case (.environment, _): return keep(direct, as: path)
            default: return readFile(file, as: path)
            }
        }
        if let direct { return keep(direct, as: path) }
        if let file { readFile(file, as: path) }
    }

    private mutating func keep(_ entry: ResolvedSettings.Entry, as path: String) {
        if case .secret(let secret)? = entry.items.first?.value { secrets[path] = secret }
    }

    private mutating func readFile(_ entry: ResolvedSettings.Entry, as path: String) {
        guard case .text(let name)? = entry.items.first?.value, case .secret(let minimum)? = settings.kind(path),
            let file = open(name, at: entry.place, isSecret: { _ in true })
        else { return }
        if let secret = check(file.bytes, minimum: minimum, from: "the file", at: entry.place) {
            secrets[path] = secret
        }
    }

    /// The bytes of a secret file without the line break that editors and `echo` put at its end.
    private mutating func check(
        _ bytes: [UInt8], minimum: Int, from origin: String, at place: Place
    ) -> Secret? {
        var bytes = bytes[...]
        if bytes.last == UInt8(ascii: "\n") {
            bytes.removeLast()
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            findings.warning(
                place, "\(origin) ends with a line break, which is not taken as part of the secret",
                hint: "other programs may take it: write the file with printf %s instead of echo")
        }
        guard !bytes.isEmpty else {
            findings.error(place, "\(origin) holds no secret: it is empty")
            return nil
        }
        if let last = bytes.last, let first = bytes.first, [first, last].contains(where: { $0 <= 0x20 }) {
            findings.warning(
                place, "the secret begins or ends with white space, which is taken as part of it",
                hint: "remove it if it is not meant")
        }
        guard bytes.count >= minimum else {
            findings.error(
                place, "the secret has \(bytes.count) bytes and needs at least \(minimum)",
                hint: "make one with: openssl rand -hex 32")
            return nil
        }
        return Secret(Array(bytes))
    }

    private mutating func open(
        _ name: String, at place: Place, isSecret: ([UInt8]) -> Bool
    ) -> FileAccess.File? {
        switch files.read(resolvePath(name, in: directory)) {
        case .failure(let failure):
            findings.error(place, "the file \"\(name)\" cannot be read: \(failure.reason)")
            return nil
        case .success(let file):
            if file.mode & 0o004 != 0, isSecret(file.bytes), !acceptsWorldReadable {
                findings.error(
                    place, "the secret file \"\(name)\" can be read by every user of this machine",
                    hint: "chmod o-r \(name), or set allow_world_readable_secrets: true")
                return nil
            }
            return file
        }
    }

    /// Only that the files are there and that no one else can read the keys: what is in them is looked at by whoever
    /// builds the certificates, again and again.
    private mutating func readTLS() {
        let sections = ["tls"] + (0..<(settings.counts["tls.certificates"] ?? 0)).map { "tls.certificates[\($0)]" }
        let paths = sections.flatMap { section in
            ["certificate_file", "key_file", "ocsp_file"].map { "\(section).\($0)" }
        }
        for path in paths + ["tls.client_ca_file"] {
            guard let entry = settings.written(path), case .text(let name)? = entry.items.first?.value else { continue }
            _ = open(name, at: entry.place, isSecret: { _ in path.hasSuffix("key_file") })
        }
    }

    /// The same of the key that assertions are signed with.
    private mutating func readAssertionKey() {
        guard let name = settings.text("assertion.key_file"), settings.written("assertion.key_file") != nil else {
            return
        }
        let place = settings.place(of: "assertion.key_file")
        guard let file = open(name, at: place, isSecret: { _ in true }) else { return }
        _ = checkPEM(file.bytes, "the file \"\(name)\"", at: place)
    }

    /// That the file can be read; what is in it is looked at by whoever asks the server.
    private mutating func readAuthorities(_ path: String) {
        guard let entry = settings.written(path), case .text(let name)? = entry.items.first?.value else { return }
        _ = open(name, at: entry.place, isSecret: { _ in false })
    }

    private mutating func readKey(_ path: String) {
        let sources = SettingRows.keySources.filter { settings.written("\(path).\($0)") != nil }
        guard let source = sources.first, sources.count == 1 else {
            if sources.isEmpty {
                findings.error(
                    settings.place(of: path), "the key has no source",
                    hint: "add one of \(SettingRows.keySources.joined(separator: ", "))")
            } else {
                findings.error(
                    settings.place(of: "\(path).\(sources[1])"),
                    "both \"\(sources[0])\" and \"\(sources[1])\" are set", hint: "a key has one of them: keep one")
            }
            return
        }
        let setting = "\(path).\(source)"
        switch source {
        case "pem_file", "jwks_file":
            guard let name = settings.text(setting) else { return }
            let place = settings.place(of: setting)
            let isPEM = source == "pem_file"
            guard let file = open(name, at: place, isSecret: holdsPrivateKey) else { return }
            if isPEM { guard checkPEM(file.bytes, "the file \"\(name)\"", at: place) else { return } }
            if !isPEM, file.bytes.first(where: { $0 > 0x20 }) != UInt8(ascii: "{") {
                findings.error(place, "the file \"\(name)\" is not a JSON Web Key Set: it does not begin with {")
                return
            }
            keyFiles[setting] = (resolvePath(name, in: directory), Secret(file.bytes))
        case "jwks_url", "oidc_issuer":
            readAuthorities("\(path).ca_file")
        default:
            readSecret("\(path).secret")
        }
    }

    private mutating func checkPEM(_ bytes: [UInt8], _ origin: String, at place: Place) -> Bool {
        if contains(bytes, "-----BEGIN ") { return true }
        // Some runbooks put keys into variables so: it is what "-----BEGIN " becomes.
        if bytes.starts(with: Array("LS0tLS1CRUdJTi".utf8)) {
            findings.error(
                place, "\(origin) is base64 of a PEM, and not the PEM itself", hint: "decode it with base64 -d")
            return false
        }
        findings.error(place, "\(origin) is not PEM: it has no line \"-----BEGIN …-----\"")
        return false
    }

    private mutating func readEnvironmentKey(_ key: EnvironmentOnly.Key, _ environment: [String: String]) {
        func set(_ name: String) -> String? { environment[name] == "" ? nil : environment[name] }
        var place = Place.environment(key.variable)
        var bytes: [UInt8]
        switch (set(key.variable), set(key.variable + "_FILE")) {
        case (nil, nil):
            return
        case (.some, .some):
            findings.error(place, "it is set, and so is \(key.variable)_FILE", hint: "unset one of them")
            return
        case (let text?, nil):
            // Files of variables have one line each, so a PEM comes with its line breaks written as \n.
            bytes = Array((key.isPEM ? text.replacing("\\n", with: "\n") : text).utf8)
        case (nil, let name?):
            place = .environment(key.variable + "_FILE")
            guard let file = open(name, at: place, isSecret: { !key.isPEM || holdsPrivateKey($0) }) else { return }
            bytes = file.bytes
        }
        if key.isPEM {
            guard checkPEM(bytes, "the value", at: place) else { return }
            environmentKeys.append((key, Secret(bytes)))
        } else if let secret = check(bytes, minimum: 32, from: "the value", at: place) {
            environmentKeys.append((key, secret))
        }
    }
}

/// A private PEM, or a JWKS with private or symmetric keys (RFC 7518 §6: their members are `d` and `k`).
private func holdsPrivateKey(_ bytes: [UInt8]) -> Bool {
    ["PRIVATE KEY", "\"d\"", "\"k\""].contains { contains(bytes, $0) }
}

private func contains(_ bytes: [UInt8], _ text: String) -> Bool { bytes.firstRange(of: Array(text.utf8)) != nil }

/// Relative paths are relative to the directory of gateway.conf, so that they mean the same wherever it is started.
func resolvePath(_ path: String, in directory: String) -> String {
    path.hasPrefix("/") || directory == "." ? path : directory == "/" ? "/\(path)" : "\(directory)/\(path)"
}

extension ResolvedSettings {
    /// TLS can be served: a certificate is named.
    var hasCertificate: Bool { written("tls.certificate_file") != nil || (counts["tls.certificates"] ?? 0) > 0 }

    /// The entry, when it was written by someone, rightly or wrongly.
    func written(_ path: String) -> Entry? {
        guard let entry = entries[path], entry.isBroken || !entry.items.isEmpty, entry.place != .fallback
        else { return nil }
        return entry
    }

    func kind(_ path: String) -> SettingKind? { entries[path]?.row.kind }

    /// Its rows are filled only when Redis is configured.
    var usesRedis: Bool { entries["redis.startup_wait"] != nil }
}
