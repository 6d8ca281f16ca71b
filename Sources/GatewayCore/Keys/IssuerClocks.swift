internal import Policy
internal import Settings
internal import Telemetry
internal import Wire

/// How far ahead of ours the clocks of those seem who sign tokens, by the source of their keys; on the control thread.
final class IssuerClocks {
    private let log: OperationalLog
    private let metrics: KeyMetrics
    private var leads: [String: ClockLead] = [:]

    init(_ log: OperationalLog, _ metrics: KeyMetrics) {
        self.log = log
        self.metrics = metrics
    }

    /// A configuration is in force that has these sources; of others nothing is remembered.
    func adopt(_ sources: [String]) {
        leads = Dictionary(sources.map { ($0, leads[$0] ?? ClockLead()) }) { first, _ in first }
        show(at: .now())
    }

    /// - Parameters:
    ///   - news: in milliseconds, by source.
    ///   - leeway: beyond it tokens are refused. The warning comes at half of it.
    func note(_ news: [String: Int64], leeway: Interval, at now: Instant) {
        for (source, milliseconds) in news.sorted(by: { $0.key < $1.key }) {
            guard var lead = leads[source] else { continue }
            lead.note(milliseconds, at: now)
            if lead.isNews(beyond: .milliseconds(Int(leeway.milliseconds / 2)), at: now) {
                log.log(
                    .warning, "tokens.clock_ahead",
                    "The clock of an issuer is ahead of ours, or ours is behind; beyond the leeway its tokens are refused",
                    [
                        ("key", .text(source)), ("ahead_ms", .number(Int(lead.value(at: now).milliseconds))),
                        ("leeway_ms", .number(Int(leeway.milliseconds))),
                    ])
            }
            leads[source] = lead
        }
        show(at: now)
    }

    /// Brings the metrics up to date: estimates fade.
    func show(at now: Instant) {
        for source in leads.keys { metrics.clockLeads[source] = Int(lead(of: source, at: now).milliseconds) }
        for source in metrics.clockLeads.keys where leads[source] == nil { metrics.clockLeads[source] = nil }
    }

    func lead(of source: String, at now: Instant) -> Interval { leads[source]?.value(at: now) ?? .zero }
}
