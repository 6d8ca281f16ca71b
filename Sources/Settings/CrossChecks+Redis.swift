internal import Wire

extension CrossChecks {
    mutating func checkRedis() {
        guard settings.usesRedis else { return }
        checkRedisURL()
        checkSentinels()
        checkCluster()
        let certificate = settings.written("redis.tls.certificate_file")
        let key = settings.written("redis.tls.key_file")
        if let certificate, key == nil {
            findings.error(certificate.place, "the certificate has no key", hint: "set \"redis.tls.key_file\"")
        }
        if let key, certificate == nil {
            findings.error(key.place, "the key has no certificate", hint: "set \"redis.tls.certificate_file\"")
        }
        let isSecure =
            if case .boolean(true)? = settings.value("redis.tls.enabled") { true } else {
                secrets.redisURL?.isSecure == true
            }
        for name in ["ca_file", "server_name", "certificate_file", "verify"] where !isSecure {
            if let entry = settings.written("redis.tls.\(name)") {
                findings.error(
                    entry.place, "\"redis.tls.\(name)\" is set, but Redis is spoken to in plain text",
                    hint: "set redis.tls.enabled: true, or remove it")
            }
        }
        if isSecure, case .boolean(false)? = settings.value("redis.tls.verify") {
            let place = settings.place(of: "redis.tls.verify")
            findings.warning(
                place, "Redis need not prove who it is: whoever sits in between can lift blocks",
                hint: "name its authority in \"redis.tls.ca_file\"")
            if let file = settings.written("redis.tls.ca_file") {
                findings.error(
                    file.place, "an authority is named, and nobody is checked",
                    hint: "remove \"redis.tls.verify\" or \"redis.tls.ca_file\"")
            }
        }
    }

    private mutating func checkRedisURL() {
        guard let url = secrets.redisURL,
            let entry = settings.written("redis.url") ?? settings.written("redis.url_file")
        else { return }
        func contradict(_ name: String, _ isNamed: Bool) {
            guard isNamed, let other = settings.written("redis.\(name)"), !goesBefore(entry, other) else { return }
            findings.error(
                other.place, "\"redis.\(name)\" is set, and the URL of Redis says it, too", hint: "keep one of them")
        }
        contradict("address", true)
        contradict("username", url.username != nil)
        contradict("password", url.password != nil)
        contradict("password_file", url.password != nil)
        contradict("database", url.database != nil)
        if case .unix = url.location, case .boolean(true)? = settings.value("redis.tls.enabled") {
            findings.error(
                entry.place, "a Unix socket is not spoken to over TLS", hint: "remove \"redis.tls.enabled\"")
        }
    }

    /// The environment goes before the file.
    private func goesBefore(_ entry: ResolvedSettings.Entry, _ other: ResolvedSettings.Entry) -> Bool {
        switch (entry.place, other.place) {
        case (.environment, .file): true
        default: false
        }
    }

    private mutating func checkCluster() {
        guard let entry = settings.written("redis.cluster") else { return }
        for item in entry.items {
            if case .server(.unix) = item.value {
                findings.error(item.place, "a node of a cluster is not at a Unix socket", hint: "write host:6379")
            }
        }
        for name in ["address", "url", "url_file", "sentinels"] {
            guard let other = settings.written("redis.\(name)"), !goesBefore(entry, other) else { continue }
            findings.error(
                other.place, "\"redis.\(name)\" names the server, and \"redis.cluster\" finds its masters",
                hint: "keep one of them")
        }
        if let database = settings.written("redis.database"),
            case .integer(let number)? = settings.value("redis.database"),
            number != 0
        {
            findings.error(
                database.place, "a Redis Cluster has no database \(number), only 0",
                hint: "remove \"redis.database\"; \"redis.key_prefix\" keeps gateways apart")
        }
    }

    private mutating func checkSentinels() {
        let entry = settings.written("redis.sentinels")
        let master = settings.written("redis.sentinel_master")
        guard let entry else {
            for name in ["sentinel_master", "sentinel_username", "sentinel_password", "sentinel_password_file"] {
                guard let lonely = settings.written("redis.\(name)") else { continue }
                findings.error(
                    lonely.place, "\"redis.\(name)\" is set, but there are no sentinels",
                    hint: "set \"redis.sentinels\", or remove it")
            }
            return
        }
        if master == nil {
            findings.error(
                entry.place, "the sentinels are not told which master is meant",
                hint: "set \"redis.sentinel_master\" to the name in their configuration, often mymaster")
        }
        for item in entry.items {
            if case .server(.unix) = item.value {
                findings.error(item.place, "a sentinel is not at a Unix socket", hint: "write host:26379")
            }
        }
        for name in ["address", "url", "url_file"] {
            guard let other = settings.written("redis.\(name)"), !goesBefore(entry, other) else { continue }
            findings.error(
                other.place, "\"redis.\(name)\" names the server, and \"redis.sentinels\" find it",
                hint: "keep one of them")
        }
    }
}
