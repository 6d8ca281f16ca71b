internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// Follows the addresses that many people speak through, on the control thread: those that are found here are told to all
/// replicas, and those that any of them has found give the rules for failed logins another limit.
final class SharedAddressDesk {
    private let audit: AuditLog
    private var watch = CollapseGuard()
    /// In force, by the names under which they are shared.
    private var texts: [String: SharedText] = [:]
    private(set) var networks: Set<IPNetwork> = []
    /// What is here at the start was recorded when it began.
    private var hasBegun = false
    /// Hears of other networks.
    var changed: () -> Void = {}
    /// Tells all replicas.
    var share: (SharedName, SharedText) -> Void = { _, _ in }
    var log: OperationalLog?

    /// What is found again is told again so often, so that it does not end.
    private static let renewal = Interval.seconds(600)
    /// No address is shared for less.
    private static let leastLength = Interval.seconds(3_600)

    init(audit: AuditLog) { self.audit = audit }

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
        // As long as what is counted under it: it must not be weighed by the lower limit soon after.
        let length = max(SharedAddressDesk.leastLength, configuration.login.window)
        guard let name = SharedName(.sharedAddress, network.description) else { return }
        if let known = texts[name.id], known.deadline + SharedAddressDesk.renewal > now + length { return }
        let wall = WallTime.now()
        let value: JSONValue = [
            "by": "gateway", "reason": .string("\(accounts.shared.after) accounts"),
            "until": .string((wall + length).text), "at": .string(wall.text),
        ]
        share(name, SharedText(value.text, until: now + length))
    }

    /// All that there are now, by name.
    func take(_ shared: [String: SharedText]) {
        let isFirst = !hasBegun
        hasBegun = true
        texts = shared
        let next = Set(shared.keys.compactMap { IPNetwork($0) })
        guard next != networks else { return }
        let (begun, ended) = (next.subtracting(networks), networks.subtracting(next))
        networks = next
        changed()
        guard !isFirst else { return }
        for network in begun.map(\.description).sorted() {
            record("address_shared", "many people speak through \(network): its limit of failures is higher")
            log?.log(
                .warning, "block.shared_address",
                "Many people speak through one address; it may have more failures, and each account is counted in its hands",
                [("network", .text(network))])
        }
        for network in ended.map(\.description).sorted() {
            record("address_unshared", "\(network) has the limit of failures that all have")
            log?.log(
                .warning, "block.shared_address_ended", "The address has the limit of failures again that all have",
                [("network", .text(network))])
        }
    }

    private func record(_ action: String, _ detail: String) {
        audit.record(AuditEvent(.operation(action: action, detail: detail, actor: "gateway")))
    }
}
