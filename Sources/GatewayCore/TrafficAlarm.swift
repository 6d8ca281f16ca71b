internal import Policy
internal import Settings
internal import Wire

/// What workers have found of one address that carries nearly all requests, as the control thread keeps it. Each worker
/// looks at its own requests, once a minute.
struct TrafficAlarm {
    typealias Finding = TrafficShare.Finding

    /// A window without the finding may be one with too few requests.
    private static let memory = Interval.seconds(180)
    /// What to do about it does not change with every minute.
    private static let silence = Interval.seconds(3_600)

    private var last: (finding: Finding, since: WallTime, until: Instant)?
    private var told: (finding: Finding, until: Instant)?

    /// True: it is to be told.
    mutating func take(_ finding: Finding, at now: Instant, wall: WallTime) -> Bool {
        let isSame = last.map { $0.finding == finding && $0.until > now } ?? false
        last = (finding, isSame ? last?.since ?? wall : wall, now + TrafficAlarm.memory)
        if let told, told.until > now { return false }
        told = (finding, now + TrafficAlarm.silence)
        return true
    }

    /// What still holds: a reload may have mended it.
    func finding(at now: Instant, under configuration: Configuration) -> Finding? {
        guard let last, last.until > now else { return nil }
        let isTrusted = configuration.trustedProxies.contains { $0.contains(last.finding.address) }
        return isTrusted == (last.finding.kind == .silentProxy) ? last.finding : nil
    }

    func report(at now: Instant, under configuration: Configuration) -> JSONValue? {
        guard let finding = finding(at: now, under: configuration), let last else { return nil }
        return [
            "name": "one_address", "kind": .string(finding.kind.rawValue),
            "address": .string(finding.address.description), "since": .string(last.since.text),
            "message": .string(finding.message),
            "setting": JSONValue(finding.setting(under: configuration)),
        ]
    }
}

extension TrafficShare.Finding {
    var message: String {
        switch kind {
        case .unnamedProxy:
            "Nearly all requests come from one address that is not public. If that is a proxy or a bridge, all of its "
                + "clients are counted and blocked as one: name it in trusted_proxies"
        case .silentProxy:
            "Nearly all requests come from a trusted proxy that does not name its clients, so none of them can be blocked: "
                + "have it send X-Forwarded-For"
        case .listed: "Nearly all requests come from one address of accounts.shared.networks"
        }
    }

    /// The line of gateway.conf that mends it; nil: it is mended elsewhere.
    func setting(under configuration: Configuration) -> String? {
        guard kind == .unnamedProxy else { return nil }
        let all = configuration.trustedProxies + [IPNetwork(address)]
        // Quoted where YAML might read it otherwise.
        let words = all.map(\.description).map { $0.contains(":") ? "\"\($0)\"" : $0 }
        return "trusted_proxies: [\(words.joined(separator: ", "))]"
    }
}
