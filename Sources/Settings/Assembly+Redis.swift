internal import Wire

extension Configuration {
    package struct RedisSentinels: Sendable {
        package var addresses: [SocketAddressText]
        /// The name under which they watch the master.
        package var master: String
        package var username: String?
        package var password: Secret?
        /// The name that their certificates are for; nil: the host of each.
        package var serverName: String?
    }
}

extension Assembly {
    func redis() -> Configuration.Redis {
        guard case .server(let location)? = settings.value("redis.address") else { return missing("redis.address") }
        var redis = Configuration.Redis(
            location: location, username: settings.text("redis.username"), password: secrets.secrets["redis.password"],
            database: integer("redis.database"), deadline: interval("redis.deadline"),
            startupWait: interval("redis.startup_wait"))
        redis.keyPrefix = settings.text("redis.key_prefix") ?? ""
        redis.scanInterval = interval("redis.scan_interval")
        redis.tls = upstreamTLS("redis.tls", isOn: boolean("redis.tls.enabled") || secrets.redisURL?.isSecure == true)
        redis.passwordPath = secrets.redisPasswordPath
        if let url = secrets.redisURL {
            redis.location = url.location
            redis.username = url.username ?? redis.username
            redis.password = url.password ?? redis.password
            if url.password != nil { redis.passwordPath = nil }
            redis.database = url.database ?? redis.database
        }
        func servers(_ name: String) -> [Configuration.SocketAddressText] {
            (settings.entries[name]?.items ?? []).compactMap { item in
                if case .server(.tcp(let address)) = item.value { address } else { nil }
            }
        }
        redis.cluster = servers("redis.cluster")
        // In place of a URL that may name another one.
        if !redis.cluster.isEmpty { redis.database = 0 }
        let addresses = servers("redis.sentinels")
        if redis.cluster.isEmpty, !addresses.isEmpty {
            redis.sentinels = .init(
                addresses: addresses, master: settings.text("redis.sentinel_master") ?? "",
                username: settings.text("redis.sentinel_username"),
                password: secrets.secrets["redis.sentinel_password"], serverName: redis.tls?.serverName)
        }
        return redis
    }
}
