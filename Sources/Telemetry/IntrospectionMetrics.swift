/// What became of a question to the introspection endpoint.
package enum IntrospectionResult: String, CaseIterable, Sendable {
    case active
    case inactive
    /// No answer, or none that can be understood.
    case failed
    /// Not asked: too many questions were open, or the endpoint was spared.
    case spared
}

/// What the control thread counts of introspection. It stays on that thread.
package final class IntrospectionMetrics {
    private var counts: [IntrospectionResult: Int] = [:]

    package init() {}

    package func count(_ result: IntrospectionResult) { counts[result, default: 0] += 1 }

    func write(to text: inout PrometheusText) {
        text.family(
            "introspections_total", .counter, "Questions about opaque tokens to their issuer, by what became of them.")
        for result in IntrospectionResult.allCases {
            text.sample("introspections_total", "result=\"\(result.rawValue)\"", counts[result] ?? 0)
        }
    }
}
