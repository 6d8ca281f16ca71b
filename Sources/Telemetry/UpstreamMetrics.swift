/// Whether a server of an upstream is given requests.
package enum ServerCondition: String, CaseIterable, Sendable {
    case up, ejected, down
}

/// Whether an upstream's circuit lets requests through.
package enum CircuitCondition: String, CaseIterable, Sendable {
    case closed
    case halfOpen = "half_open"
    case open
}

/// What the control thread counts of upstreams. It stays on that thread.
package final class UpstreamMetrics {
    package struct Upstream {
        let name: String
        let circuit: CircuitCondition
        let servers: [(address: String, condition: ServerCondition)]

        package init(
            name: String, circuit: CircuitCondition, servers: [(address: String, condition: ServerCondition)]
        ) {
            self.name = name
            self.circuit = circuit
            self.servers = servers
        }
    }

    /// Of the configuration in force.
    package var states: [Upstream] = []
    /// By upstream; what a reload takes away is kept, so that no counter ever goes back.
    private var ejections: [String: Int] = [:]
    private var openings: [String: Int] = [:]
    private var checks: [String: (ok: Int, failed: Int)] = [:]

    package init() {}

    package func countEjection(_ upstream: String) { ejections[upstream, default: 0] += 1 }
    package func countOpening(_ upstream: String) { openings[upstream, default: 0] += 1 }

    package func countCheck(_ upstream: String, succeeded: Bool) {
        if succeeded {
            checks[upstream, default: (0, 0)].ok += 1
        } else {
            checks[upstream, default: (0, 0)].failed += 1
        }
    }

    func write(to text: inout PrometheusText) {
        text.family("upstream_server_state", .gauge, "1 for the state that a server of an upstream is in.")
        for upstream in states {
            for server in upstream.servers {
                for condition in ServerCondition.allCases {
                    text.sample(
                        "upstream_server_state",
                        "upstream=\"\(escapedLabel(upstream.name))\",server=\"\(escapedLabel(server.address))\","
                            + "state=\"\(condition.rawValue)\"", condition == server.condition ? 1 : 0)
                }
            }
        }
        text.family("upstream_circuit_state", .gauge, "1 for the state that the circuit of an upstream is in.")
        for upstream in states {
            for condition in CircuitCondition.allCases {
                text.sample(
                    "upstream_circuit_state",
                    "upstream=\"\(escapedLabel(upstream.name))\",state=\"\(condition.rawValue)\"",
                    condition == upstream.circuit ? 1 : 0)
            }
        }
        text.family("upstream_ejections_total", .counter, "Times that a server was ejected.")
        write("upstream_ejections_total", ejections, to: &text)
        text.family("upstream_circuit_openings_total", .counter, "Times that a circuit opened.")
        write("upstream_circuit_openings_total", openings, to: &text)
        text.family("upstream_health_checks_total", .counter, "Health checks of servers, by result.")
        for name in names(checks.keys) {
            let count = checks[name] ?? (0, 0)
            let label = "upstream=\"\(escapedLabel(name))\""
            text.sample("upstream_health_checks_total", "\(label),result=\"ok\"", count.ok)
            text.sample("upstream_health_checks_total", "\(label),result=\"failed\"", count.failed)
        }
    }

    private func write(_ family: String, _ counts: [String: Int], to text: inout PrometheusText) {
        for name in names(counts.keys) {
            text.sample(family, "upstream=\"\(escapedLabel(name))\"", counts[name] ?? 0)
        }
    }

    /// Those of the configuration stand at 0 from the start, so that a rate sees the first event too.
    private func names(_ counted: some Sequence<String>) -> [String] { Set(states.map(\.name)).union(counted).sorted() }
}
