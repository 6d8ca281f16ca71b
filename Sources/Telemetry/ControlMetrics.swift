package import Wire

/// Who set a block.
package enum BlockSetCause: String, CaseIterable, Sendable {
    /// The limit of failed logins.
    case loginFailures = "failed_logins"
    /// The command line or the admin API.
    case `operator`
    /// Seen in Redis: set by hand or by another replica.
    case external
    /// From the snapshot, or after the authority lost its data.
    case restored
}

/// What ended a block.
package enum BlockLiftCause: String, CaseIterable, Sendable {
    case expired
    case `operator`
    /// Seen in Redis.
    case external
}

/// Who revoked tokens.
package enum RevocationSetCause: String, CaseIterable, Sendable {
    /// The command line or the admin API.
    case `operator`
    /// Seen in Redis: set by hand or by another replica.
    case external
    /// After the authority lost its data.
    case restored
}

/// Where blocks and counters live at the moment.
package enum LedgerCondition: String, CaseIterable, Sendable {
    case embedded
    case starting
    case connected
    case degraded
}

/// What only the control thread counts. It stays on that thread.
package final class ControlMetrics {
    package var blocksInForce = 0
    /// Client connections that there is room for.
    package var connectionLimit = 0
    /// What connections hold in buffers, and what they may, in bytes.
    package var buffered = 0
    package var bufferLimit = 0
    /// Logins that wait for a place among those under way.
    package var guessesWaiting = 0
    /// Failures that wait to be told to the authority.
    package var replayQueue = 0
    package var ledger: LedgerCondition
    /// Of each certificate in force its name and its end, in seconds since 1970.
    package var certificates: [(name: String, notAfter: Int64)] = []
    private var certificateLoads = (ok: 0, failed: 0)
    private var blocksSet: [BlockSetCause: Int] = [:]
    private var blocksLifted: [BlockLiftCause: Int] = [:]
    /// By the name of the rule: failures; blocks that it set, and those that it only would have set.
    private var ruleFailures = ["login": 0]
    private var ruleBlocks: [String: (set: Int, observed: Int)] = ["login": (0, 0)]
    package var revocationsInForce = 0
    package var lockdowns = 0
    package var allowances = 0
    package var sharedAddresses = 0
    /// 1: nearly all requests come from one address that may speak for many.
    package var oneAddress = 0
    /// Routes that are open by break-glass.
    package var brokenGlass = 0
    /// Limits that an operator has set for a while, and buckets that had to go for others before they were full.
    package var rateOverrides = 0
    package var rateEvictions = 0
    /// Requests of which other replicas were told, and those that found no place for it or no store.
    package var rateTold = 0
    package var rateUntold = 0
    /// Accounts that are locked, as far as is known here.
    package var accountLocks = 0
    private var accountLockouts = 0
    private var revocationsSet: [RevocationSetCause: Int] = [:]
    private var revocationsLifted = 0
    private var reloads = (ok: 0, failed: 0)
    private var ledgerErrors = 0
    private var latency = Array(repeating: 0, count: ControlMetrics.latencyBounds.count + 1)
    private var latencySum = 0

    private static let latencyBounds: [(nanoseconds: Int, text: String)] = [
        (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"), (1_000_000, "0.001"),
        (2_500_000, "0.0025"), (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"),
        (50_000_000, "0.05"), (100_000_000, "0.1"), (250_000_000, "0.25"),
    ]

    package let upstreams = UpstreamMetrics()
    package let keys = KeyMetrics()
    package let feeds = FeedMetrics()
    package let introspection = IntrospectionMetrics()
    package let challenges = ChallengeMetrics()
    package let redis = RedisMetrics()
    package let threats = ThreatMetrics()

    package init(ledger: LedgerCondition) { self.ledger = ledger }

    package func blockSet(_ cause: BlockSetCause) { blocksSet[cause, default: 0] += 1 }
    /// A login rule reached its limit here.
    /// - Parameter rule: one of the configuration, which are few.
    package func limitReached(by rule: String, observed: Bool) {
        if observed {
            ruleBlocks[rule, default: (0, 0)].observed += 1
        } else {
            ruleBlocks[rule, default: (0, 0)].set += 1
        }
    }
    package func failureCounted(by rule: String) { ruleFailures[rule, default: 0] += 1 }
    package func blockLifted(_ cause: BlockLiftCause) { blocksLifted[cause, default: 0] += 1 }

    /// A rule locked an account here.
    package func accountLocked() { accountLockouts += 1 }

    package func revocationSet(_ cause: RevocationSetCause) { revocationsSet[cause, default: 0] += 1 }
    package func revocationLifted() { revocationsLifted += 1 }

    package func reloaded(successfully: Bool) {
        if successfully { reloads.ok += 1 } else { reloads.failed += 1 }
    }

    package func certificatesLoaded(successfully: Bool) {
        if successfully { certificateLoads.ok += 1 } else { certificateLoads.failed += 1 }
    }

    /// The authority answered after this time.
    package func ledgerAnswered(after time: Interval) {
        let nanoseconds = Int(max(0, time.nanoseconds))
        latencySum += nanoseconds
        let bounds = ControlMetrics.latencyBounds
        latency[bounds.firstIndex { nanoseconds <= $0.nanoseconds } ?? bounds.count] += 1
    }

    /// The authority did not answer, or with an error.
    package func ledgerFailed() { ledgerErrors += 1 }

    func write(to text: inout PrometheusText) {
        text.family("blocks", .gauge, "Blocks in force.")
        text.sample("blocks", "", blocksInForce)
        text.family("blocks_set_total", .counter, "Blocks that were set, by cause.")
        for cause in BlockSetCause.allCases {
            text.sample("blocks_set_total", "cause=\"\(cause.rawValue)\"", blocksSet[cause] ?? 0)
        }
        text.family("login_rule_failures_total", .counter, "Failures that were counted, by rule.")
        for (rule, failures) in ruleFailures.sorted(by: { $0.key < $1.key }) {
            text.sample("login_rule_failures_total", "rule=\"\(rule)\"", failures)
        }
        text.family("login_rule_blocks_total", .counter, "Blocks by login rules, set or only observed.")
        for (rule, blocks) in ruleBlocks.sorted(by: { $0.key < $1.key }) {
            text.sample("login_rule_blocks_total", "rule=\"\(rule)\",action=\"block\"", blocks.set)
            text.sample("login_rule_blocks_total", "rule=\"\(rule)\",action=\"observe\"", blocks.observed)
        }
        text.family("blocks_lifted_total", .counter, "Blocks that ended, by cause.")
        for cause in BlockLiftCause.allCases {
            text.sample("blocks_lifted_total", "cause=\"\(cause.rawValue)\"", blocksLifted[cause] ?? 0)
        }
        text.family("account_locks", .gauge, "Accounts that are locked.")
        text.sample("account_locks", "", accountLocks)
        text.family("account_lockouts_total", .counter, "Accounts that the rule locked here.")
        text.sample("account_lockouts_total", "", accountLockouts)
        text.family("revocations", .gauge, "Revocations of tokens, those for later included.")
        text.sample("revocations", "", revocationsInForce)
        text.family("revocations_set_total", .counter, "Revocations that were set, by cause.")
        for cause in RevocationSetCause.allCases {
            text.sample("revocations_set_total", "cause=\"\(cause.rawValue)\"", revocationsSet[cause] ?? 0)
        }
        text.family("revocations_lifted_total", .counter, "Revocations that ended or were taken back.")
        text.sample("revocations_lifted_total", "", revocationsLifted)
        text.family("lockdowns", .gauge, "Routes that are closed for a while.")
        text.sample("lockdowns", "", lockdowns)
        text.family("allowances", .gauge, "Addresses and networks that no block holds back for a while.")
        text.sample("allowances", "", allowances)
        text.family(
            "shared_addresses", .gauge, "Addresses that many people speak through, with a higher limit of failures.")
        text.sample("shared_addresses", "", sharedAddresses)
        text.family(
            "traffic_from_one_address", .gauge,
            "1 while nearly all requests come from one address that may speak for many clients.")
        text.sample("traffic_from_one_address", "", oneAddress)
        text.family("break_glass", .gauge, "Routes that some networks may use without a good token at the moment.")
        text.sample("break_glass", "", brokenGlass)
        text.family("rate_limit_overrides", .gauge, "Rate limits that an operator has set for a while.")
        text.sample("rate_limit_overrides", "", rateOverrides)
        text.family(
            "rate_limit_evictions_total", .counter,
            "Buckets of rate limits that were given to others before they were full again.")
        text.sample("rate_limit_evictions_total", "", rateEvictions)
        text.family("rate_limit_told_total", .counter, "Requests that took from shared buckets, told to the store.")
        text.sample("rate_limit_told_total", "", rateTold)
        text.family("rate_limit_untold_total", .counter, "Those of which the store has not heard.")
        text.sample("rate_limit_untold_total", "", rateUntold)
        text.family("ledger_state", .gauge, "1 for the state that the ledger is in.")
        for state in LedgerCondition.allCases {
            text.sample("ledger_state", "state=\"\(state.rawValue)\"", state == ledger ? 1 : 0)
        }
        text.family("ledger_request_duration_seconds", .histogram, "Time until the ledger's authority answered.")
        text.histogram(
            "ledger_request_duration_seconds", "", bounds: ControlMetrics.latencyBounds.map(\.text), counts: latency,
            sum: latencySum)
        text.family("ledger_errors_total", .counter, "Requests that the ledger's authority did not answer well.")
        text.sample("ledger_errors_total", "", ledgerErrors)
        text.family("logins_waiting", .gauge, "Logins that wait for a place among those under way.")
        text.sample("logins_waiting", "", guessesWaiting)
        text.family("ledger_replay_queue", .gauge, "Failures that wait to be told to the ledger's authority.")
        text.sample("ledger_replay_queue", "", replayQueue)
        text.family("client_connections_limit", .gauge, "Connections of clients that there is room for.")
        text.sample("client_connections_limit", "", connectionLimit)
        text.family("buffered_bytes", .gauge, "What connections hold in buffers.")
        text.sample("buffered_bytes", "", buffered)
        text.family("buffered_bytes_limit", .gauge, "What connections may hold in buffers.")
        text.sample("buffered_bytes_limit", "", bufferLimit)
        text.family("config_reloads_total", .counter, "Reloads of the configuration, by result.")
        text.sample("config_reloads_total", "result=\"ok\"", reloads.ok)
        text.sample("config_reloads_total", "result=\"failed\"", reloads.failed)
        text.family("tls_certificate_loads_total", .counter, "Times that certificates were read, by result.")
        text.sample("tls_certificate_loads_total", "result=\"ok\"", certificateLoads.ok)
        text.sample("tls_certificate_loads_total", "result=\"failed\"", certificateLoads.failed)
        text.family(
            "tls_certificate_expiry_timestamp_seconds", .gauge, "When a certificate in force expires, in Unix time.")
        for (index, certificate) in certificates.enumerated() {
            text.sample(
                "tls_certificate_expiry_timestamp_seconds",
                "index=\"\(index)\",name=\"\(escapedLabel(certificate.name))\"", Int(certificate.notAfter))
        }
        upstreams.write(to: &text)
        keys.write(to: &text)
        feeds.write(to: &text)
        introspection.write(to: &text)
        challenges.write(to: &text)
        redis.write(to: &text)
        threats.write(to: &text)
    }
}
