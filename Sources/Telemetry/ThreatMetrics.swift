/// What became of a message to the webhook.
package enum WebhookResult: String, CaseIterable, Sendable {
    /// It was accepted.
    case sent
    /// It was not, however often it was tried.
    case failed
    /// It found no room among those that wait.
    case dropped
}

/// What the control thread counts of threats. It stays on that thread.
package final class ThreatMetrics {
    /// What there may be, as their label spells them.
    package var patterns: [String] = []
    /// Those that began since the start of the process, and those that go on.
    package var begun: [String: Int] = [:]
    package var active: [String: Int] = [:]
    /// Signs of threats that found no place.
    package var unlisted: [String: Int] = [:]
    /// Records of accounts and networks that had to go while they counted.
    package var accountEvictions = 0
    package var networkEvictions = 0
    /// Messages that wait for the webhook, the one on its way included.
    package var queued = 0
    package private(set) var messages: [WebhookResult: Int] = [:]

    package init() {}

    package func count(_ result: WebhookResult) { messages[result, default: 0] += 1 }

    func write(to text: inout PrometheusText) {
        text.family("threats_total", .counter, "Threats that began, by pattern.")
        for pattern in patterns { text.sample("threats_total", "pattern=\"\(pattern)\"", begun[pattern] ?? 0) }
        text.family("threats_active", .gauge, "Threats that go on, by pattern.")
        for pattern in patterns { text.sample("threats_active", "pattern=\"\(pattern)\"", active[pattern] ?? 0) }
        text.family("threat_signs_unlisted_total", .counter, "Signs of threats beyond those that are listed.")
        for pattern in patterns {
            text.sample("threat_signs_unlisted_total", "pattern=\"\(pattern)\"", unlisted[pattern] ?? 0)
        }
        text.family(
            "threat_evictions_total", .counter,
            "Records of failed logins that were given to others while they counted.")
        text.sample("threat_evictions_total", "table=\"accounts\"", accountEvictions)
        text.sample("threat_evictions_total", "table=\"networks\"", networkEvictions)
        text.family("webhook_messages_total", .counter, "Messages about threats, by what became of them.")
        for result in WebhookResult.allCases {
            text.sample("webhook_messages_total", "result=\"\(result.rawValue)\"", messages[result] ?? 0)
        }
        text.family("webhook_queue", .gauge, "Messages that wait for the webhook.")
        text.sample("webhook_queue", "", queued)
    }
}
