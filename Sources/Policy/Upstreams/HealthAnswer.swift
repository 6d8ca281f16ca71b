package import Settings
package import Wire

/// The answer to a health check, as it comes in pieces. Only its head matters: whatever the server sends behind it is not
/// waited for.
package final class HealthAnswer {
    package enum Verdict: Equatable, Sendable {
        case incomplete
        case status(Int)
        /// No HTTP/1 head, or one of more than 16 KiB.
        case unreadable
    }

    private static let limits = HeadParser.Limits(headBytes: 16 * 1_024, targetBytes: 16 * 1_024)
    private static let interimLimit = 16

    private var bytes: [UInt8] = []
    private var fields = FieldTable(capacity: 100)

    package init() {}

    package func take(_ more: Span<UInt8>) -> Verdict {
        // One byte over the limit is enough for the parser to refuse it.
        let room = HealthAnswer.limits.headBytes + 1 - bytes.count
        for index in 0..<min(more.count, room) { bytes.append(more[index]) }
        for _ in 0...HealthAnswer.interimLimit {
            let head = bytes
            switch HeadParser.parseResponse(head.span, into: &fields, limits: HealthAnswer.limits) {
            case .incomplete: return head.count > HealthAnswer.limits.headBytes ? .unreadable : .incomplete
            case .malformed: return .unreadable
            case .complete(let line, let length):
                guard line.status < 200, line.status != 101 else { return .status(line.status) }
                bytes.removeFirst(length)
            }
        }
        return .unreadable
    }
}

extension Configuration.Upstream.HealthCheck {
    /// Whether an answer of this status says that the server is well.
    package func accepts(_ status: Int) -> Bool {
        statuses.isEmpty ? (200..<300).contains(status) : statuses.contains(status)
    }

    /// The question, for a server of this address; `path` must be set.
    package func request(to address: String) -> [UInt8] {
        // `Connection: close` (RFC 9112 §9.6): a server that keeps connections must not keep these.
        Array(
            """
            GET \(path ?? "/") HTTP/1.1\r\nHost: \(host ?? address)\r\nUser-Agent: gateway-health-check\r\n\
            Accept: */*\r\nConnection: close\r\n\r\n
            """.utf8)
    }

    /// The time to the next check: a tenth more or less, so that the checks of many replicas do not keep step.
    /// - Parameter chance: any number, drawn anew for each check.
    package static func spread(_ interval: Interval, chance: UInt8) -> Interval {
        Interval(nanoseconds: interval.nanoseconds / 100 * (90 + Int64(chance % 21)))
    }
}
