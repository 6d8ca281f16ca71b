internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Follows the addresses that many people speak through, on the control thread: those that are found here are told to all
/// replicas, and those that any of them has found give the rules for failed logins another limit.
final class SharedAddressDesk {
    private let audit: AuditLog
    private let metrics: ControlMetrics
    private var watch = CollapseGuard()
    /// All that there are, by the names under which they are shared.
    private var texts: [String: SharedText] = [:]
    private(set) var networks: Set<IPNetwork> = []
    /// Those without effect, and the setting that each of them takes.
    private var idle: [IPNetwork: String] = [:]
    /// Names that mean no address, which were told.
    private var useless: Set<String> = []
    private var hasBegun = false
    /// Hears of other networks.
    var changed: () -> Void = {}
    /// Tells all replicas.
    var share: (SharedName, SharedText) -> Void = { _, _ in }
    var log: OperationalLog?

    /// What is found again is told again so often, so that it does not end.
    private static let renewal = Interval.seconds(600)
    /// So many without effect are told by themselves, and of the others the number.
    private static let mostIdleTold = 16

    init(audit: AuditLog, metrics: ControlMetrics) {
        self.audit = audit
        self.metrics = metrics
    }

    /// A worker has found that nearly all requests come from the address.
    func found(_ finding: TrafficShare.Finding, under configuration: Configuration, at now: Instant) {
        guard finding.kind != .silentProxy, let accounts = configuration.accounts else { return }
        let network = LoginRule(configuration).subject(of: finding.address)
        if watch.carriesNearlyAll(network, at: now, accounts: accounts.shared.after) {
            isShared(network, configuration, accounts, at: now)
        }
    }

    func loggedIn(_ account: AccountMark, from client: IPAddress, under configuration: Configuration, at now: Instant) {
        guard let accounts = configuration.accounts, accounts.shared.after > 0,
            client.isPrivate || client.isLoopback || accounts.shared.networks.contains(where: { $0.contains(client) })
        else { return }
        let network = LoginRule(configuration).subject(of: client)
        if watch.loggedIn(account, through: network, at: now, accounts: accounts.shared.after) {
            isShared(network, configuration, accounts, at: now)
        }
    }

    private func isShared(
        _ network: IPNetwork, _ configuration: Configuration, _ accounts: Configuration.Accounts, at now: Instant
    ) {
        let length = LoginRule.sharedLength(configuration)
        guard let name = SharedName(.sharedAddress, network.description) else { return }
        if let known = texts[name.id], known.deadline + SharedAddressDesk.renewal > now + length { return }
        let wall = WallTime.now()
        let value: JSONValue = [
            "by": "gateway", "reason": .string("\(accounts.shared.after) accounts"),
            "until": .string((wall + length).text), "at": .string(wall.text),
        ]
        share(name, SharedText(value.text, until: now + length))
    }

    /// What is shared means something else under another configuration, or nothing.
    func adopt(_ configuration: Configuration) { if hasBegun { take(texts, under: configuration) } }

    /// All that there are now, by name.
    func take(_ shared: [String: SharedText], under configuration: Configuration) {
        let isFirst = !hasBegun
        hasBegun = true
        let rule = LoginRule(configuration)
        var actors: [IPNetwork: String] = [:]
        let toldUseless = useless
        useless = []
        for (name, text) in shared {
            guard let network = rule.sharedNetwork(named: name) else {
                useless.insert(name)
                if !toldUseless.contains(name) { tellUseless(name) }
                continue
            }
            // What an operator has typed says nothing of who it was.
            actors[network] = text.text.hasPrefix("{") && text.text.contains("\"by\":\"gateway\"") ? "gateway" : "redis"
        }
        texts = shared
        let missing = SharedAddressDesk.settingMissing(in: configuration)
        let next = missing == nil ? Set(actors.keys) : []
        var withoutEffect = missing == nil ? [:] : actors
        // They were in force until now, and have lost it by a reload.
        for network in networks where withoutEffect[network] != nil { withoutEffect[network] = "gateway" }
        defer { tellIdle(withoutEffect, missing ?? "", isFirst: isFirst) }
        guard next != networks else { return }
        let (begun, ended) = (next.subtracting(networks), networks.subtracting(next))
        networks = next
        metrics.sharedAddresses = next.count
        changed()
        for network in begun.sorted(by: { $0.description < $1.description }) {
            log?.log(
                .warning, "block.shared_address",
                "Many people speak through one address; it may have more failures, and each account is counted in its hands",
                [("network", .text(network.description))])
            // What is there at the start was recorded when it began.
            if isFirst { continue }
            record(
                "address_shared", "many people speak through \(network): its limit of failures is higher",
                of: network.description, actor: actors[network] ?? "redis")
        }
        for network in ended.map(\.description).sorted() {
            record("address_unshared", "\(network) has the limit of failures that all have", of: network)
            log?.log(
                .warning, "block.shared_address_ended", "The address has the limit of failures again that all have",
                [("network", .text(network))])
        }
    }

    /// Where accounts are not counted nothing would be behind such an address.
    private static func settingMissing(in configuration: Configuration) -> String? {
        guard let accounts = configuration.accounts else { return "accounts.member" }
        return accounts.shared.after > 0 ? nil : "accounts.shared.after"
    }

    /// - Parameters:
    ///   - now: all those that do nothing, and who says them.
    ///   - isFirst: those that are there at the start were recorded when they came.
    private func tellIdle(_ now: [IPNetwork: String], _ setting: String, isFirst: Bool) {
        let new = now.filter { idle[$0.key] != setting }.sorted { $0.key.description < $1.key.description }
        idle = now.mapValues { _ in setting }
        for (network, actor) in new.prefix(SharedAddressDesk.mostIdleTold) {
            log?.log(
                .warning, "block.shared_address_idle",
                "An address is marked as one that many people speak through, without effect: it takes the setting",
                [("network", .text(network.description)), ("setting", .text(setting))])
            if isFirst { continue }
            record(
                "address_not_shared", "\(network) is marked as shared without effect: it takes \(setting)",
                of: network.description, actor: actor)
        }
        let others = new.count - SharedAddressDesk.mostIdleTold
        guard others > 0 else { return }
        log?.log(
            .warning, "block.shared_address_idle", "So many more addresses are marked without effect",
            [("others", .number(others)), ("setting", .text(setting))])
        if !isFirst {
            record(
                "address_not_shared",
                "\(others) more addresses are marked as shared without effect: it takes \(setting)")
        }
    }

    private func tellUseless(_ name: String) {
        log?.log(
            .warning, "block.unparsable_shared",
            "A key names no address that failures are counted by, so it gives none a higher limit",
            [("key", .text(SharedName.Kind.sharedAddress.rawValue + name))])
    }

    private func record(_ action: String, _ detail: String, of network: String? = nil, actor: String = "gateway") {
        audit.record(AuditOperation(action, detail, by: actor, of: network))
    }
}
