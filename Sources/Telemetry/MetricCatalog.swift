/// The series that a shard counts, for one configuration: every label value is known before the first request, so a shard
/// is a plain row of numbers, and no client can make a series.
package final class MetricCatalog: Sendable {
    package let routes: [String]
    let feeds: [String]
    package let upstreams: [String]
    /// One entry per family, in the order of the exposition.
    let families: [Family: FamilyLayout]
    /// Cells of a shard.
    let count: Int

    /// - `handshakes`: what may become of a TLS handshake.
    /// - `limits`: what rate limits are counted by.
    /// - `letGo`: why connections are let go before their time.
    /// - `reasons`: the closed list of `failure_reason`; `stages`, `codes`: those of refusals. The same for the whole life
    ///   of the process; routes, upstreams and feeds may differ from one configuration to the next.
    package init(
        routes: [String], upstreams: [String], reasons: [String], stages: [String], codes: [String],
        handshakes: [String] = [], letGo: [String] = [], limits: [String] = [], feeds: [String] = []
    ) {
        self.routes = routes
        self.feeds = feeds
        self.upstreams = upstreams
        let route = Dimension(label: "route", values: [MetricCatalog.noRoute] + routes)
        let upstream = Dimension(label: "upstream", values: upstreams)
        var families: [Family: FamilyLayout] = [:]
        var count = 0
        for family in Family.allCases {
            let dimensions =
                switch family {
                case .requests:
                    [
                        route, Dimension(label: "method", values: MethodLabel.allCases.map(\.rawValue)),
                        Dimension(label: "code", values: StatusLabel.values),
                    ]
                case .duration: [route, Dimension(label: "", values: Array(repeating: "", count: Buckets.cells))]
                case .authFailures, .breakGlass: [Dimension(label: "failure_reason", values: reasons)]
                case .expiredTokens:
                    [
                        Dimension(label: "result", values: ExpiredTokenResult.allCases.map(\.rawValue)),
                        Dimension(label: "age", values: ExpiredAge.allCases.map(\.rawValue)),
                    ]
                case .authSuccess: [Dimension(label: "kind", values: AuthSuccessKind.allCases.map(\.rawValue))]
                case .refusals: [Dimension(label: "stage", values: stages), Dimension(label: "code", values: codes)]
                case .feedRequests:
                    [
                        Dimension(label: "feed", values: feeds),
                        Dimension(label: "result", values: FeedResult.allCases.map(\.rawValue)),
                    ]
                case .rateLimited: [Dimension(label: "limit", values: limits)]
                case .tlsHandshakes: [Dimension(label: "result", values: handshakes)]
                case .letGo: [Dimension(label: "reason", values: letGo)]
                case .upstreamHandshakes:
                    [upstream, Dimension(label: "result", values: UpstreamHandshake.allCases.map(\.rawValue))]
                case .proxyHeaders:
                    [Dimension(label: "result", values: ProxyHeaderResult.allCases.map(\.rawValue))]
                case .checks:
                    [Dimension(label: "result", values: CheckResult.allCases.map(\.rawValue))]
                case .tunnelsClosed:
                    [Dimension(label: "reason", values: TunnelEnd.allCases.map(\.rawValue))]
                case .acceptPauses, .loginsWithoutAccount, .assertions, .loginFailures, .connections,
                    .connectionsAccepted,
                    .tunnels:
                    [Dimension]()
                case .upstreamConnects, .upstreamConnectFailures, .upstreamFailures, .upstreamRetries,
                    .upstreamRetriesDenied, .upstreamConnections:
                    [upstream]
                }
            let layout = FamilyLayout(start: count, dimensions: dimensions)
            families[family] = layout
            count += layout.count
        }
        self.families = families
        self.count = count
    }

    /// The `route` of a request that none matched.
    static let noRoute = "none"

    func start(of family: Family) -> Int { families[family]!.start }
}

/// A label and its closed list of values.
struct Dimension: Sendable {
    let label: String
    let values: [String]
}

/// Where the series of a family lie in a shard: the last dimension varies fastest.
struct FamilyLayout: Sendable {
    let start: Int
    let dimensions: [Dimension]

    var count: Int { dimensions.reduce(1) { $0 * $1.values.count } }

    /// `label="value",…` of the series at `offset` from the start.
    func labels(at offset: Int) -> String {
        var rest = offset
        var pairs: [String] = []
        for dimension in dimensions.reversed() {
            pairs.append("\(dimension.label)=\"\(escapedLabel(dimension.values[rest % dimension.values.count]))\"")
            rest /= dimension.values.count
        }
        return pairs.reversed().joined(separator: ",")
    }
}

/// What the shards of workers count.
enum Family: Int, CaseIterable, Sendable {
    case requests, duration, authFailures, expiredTokens, authSuccess, loginsWithoutAccount, breakGlass, assertions,
        loginFailures, refusals, rateLimited, feedRequests
    case connections, connectionsAccepted, letGo, acceptPauses, proxyHeaders, checks, tlsHandshakes, tunnels,
        tunnelsClosed
    case upstreamConnects, upstreamConnectFailures, upstreamHandshakes, upstreamFailures, upstreamRetries
    case upstreamRetriesDenied
    case upstreamConnections

    /// Without the prefix.
    var name: String {
        switch self {
        case .requests: "http_requests_total"
        case .duration: "http_request_duration_seconds"
        case .authFailures: "auth_failures_total"
        case .expiredTokens: "expired_tokens_total"
        case .authSuccess: "auth_success_total"
        case .loginsWithoutAccount: "logins_without_account_total"
        case .breakGlass: "break_glass_requests_total"
        case .assertions: "assertions_signed_total"
        case .loginFailures: "login_failures_total"
        case .refusals: "requests_refused_total"
        case .rateLimited: "rate_limited_requests_total"
        case .feedRequests: "feed_requests_total"
        case .connections: "client_connections"
        case .connectionsAccepted: "client_connections_accepted_total"
        case .letGo: "client_connections_let_go_total"
        case .acceptPauses: "accept_pauses_total"
        case .proxyHeaders: "proxy_headers_total"
        case .checks: "forward_auth_checks_total"
        case .tlsHandshakes: "tls_handshakes_total"
        case .tunnels: "tunnels"
        case .tunnelsClosed: "tunnels_closed_total"
        case .upstreamConnects: "upstream_connects_total"
        case .upstreamConnectFailures: "upstream_connect_failures_total"
        case .upstreamHandshakes: "upstream_tls_handshakes_total"
        case .upstreamFailures: "upstream_failures_total"
        case .upstreamRetries: "upstream_retries_total"
        case .upstreamRetriesDenied: "upstream_retries_denied_total"
        case .upstreamConnections: "upstream_connections"
        }
    }

    var help: String {
        switch self {
        case .requests: "Requests by route, method and status of the response."
        case .duration: "Time from the first byte of a request to the last byte of its response."
        case .authFailures: "Failed logins, and requests refused for who sends them, by reason."
        case .expiredTokens:
            "Expired tokens with a right signature, by what became of them and how long ago they expired."
        case .authSuccess: "Accepted logins and verified tokens."
        case .loginsWithoutAccount: "Logins in which no account was found, so that only their address counts."
        case .breakGlass: "Requests that went on by break-glass, by what they would have been refused for."
        case .assertions: "Assertions for backends that were signed; those that were used again are not among them."
        case .loginFailures: "Failed logins that were counted against an address."
        case .refusals: "Requests that the gateway refused itself, by stage and code."
        case .rateLimited: "Requests that were refused because there were too many, by limit."
        case .feedRequests: "Requests of clients that a feed names, by what became of them."
        case .connections: "Open connections of clients."
        case .connectionsAccepted: "Connections of clients that were accepted."
        case .letGo: "Connections of clients that were let go before their time, by reason."
        case .acceptPauses: "Times that a listener found no descriptor for a connection."
        case .proxyHeaders: "Connections of peers that announce clients, by what became of their PROXY headers."
        case .checks: "Requests that proxies asked about, by the answer."
        case .tlsHandshakes: "TLS handshakes of clients by what became of them."
        case .tunnels: "Open WebSockets and other tunnels."
        case .tunnelsClosed: "WebSockets and other tunnels that ended, by the first reason."
        case .upstreamConnects: "Connections to servers of an upstream that were opened."
        case .upstreamConnectFailures: "Connections to servers of an upstream that could not be opened."
        case .upstreamHandshakes: "TLS handshakes with servers of an upstream by what became of them."
        case .upstreamFailures: "Requests for which an upstream gave no valid answer in time."
        case .upstreamRetries: "Requests that were sent again on another connection."
        case .upstreamRetriesDenied: "Requests that were not sent again because there were too many of them."
        case .upstreamConnections: "Open connections to servers of an upstream, idle ones among them."
        }
    }

    var isGauge: Bool { self == .connections || self == .upstreamConnections || self == .tunnels }

    /// Families whose series appear with their first event; all others are there from the start as zeros, so that a rate
    /// sees the first event too.
    var isSparse: Bool { self == .requests || self == .refusals || self == .duration }
}

/// The methods that have a series of their own (RFC 9110 §9.1 and PATCH); every other word is `other`, or clients could
/// make series at will.
package enum MethodLabel: String, CaseIterable, Sendable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
    case options = "OPTIONS"
    case connect = "CONNECT"
    case trace = "TRACE"
    case other

    /// Methods are case-sensitive.
    package init(_ method: Span<UInt8>) {
        self =
            switch method.count {
            case 3: matches(method, "GET") ? .get : matches(method, "PUT") ? .put : .other
            case 4: matches(method, "POST") ? .post : matches(method, "HEAD") ? .head : .other
            case 5: matches(method, "PATCH") ? .patch : matches(method, "TRACE") ? .trace : .other
            case 6: matches(method, "DELETE") ? .delete : .other
            case 7: matches(method, "OPTIONS") ? .options : matches(method, "CONNECT") ? .connect : .other
            default: .other
            }
    }

    static let count = 10

    /// The place in `allCases`.
    var index: Int {
        switch self {
        case .get: 0
        case .head: 1
        case .post: 2
        case .put: 3
        case .patch: 4
        case .delete: 5
        case .options: 6
        case .connect: 7
        case .trace: 8
        case .other: 9
        }
    }
}

private func matches(_ text: Span<UInt8>, _ word: StaticString) -> Bool {
    let bytes = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
    for index in text.indices where text[index] != bytes[index] { return false }
    return true
}

/// What an `auth_success` was.
package enum AuthSuccessKind: String, CaseIterable, Sendable {
    case login, token
}

/// What became of a request of somebody whom a feed names.
package enum FeedResult: String, CaseIterable, Sendable {
    case refused
    /// It would have been refused if the feed were not only looked at.
    case observed
}

/// What became of the PROXY header that a connection must begin with.
package enum ProxyHeaderResult: String, CaseIterable, Sendable {
    case announced
    /// It is the sender's own connection (LOCAL), or nothing is known of another one.
    case sender
    case malformed
    /// The sender went away before it was complete.
    case closed
    /// It took too long.
    case late
}

/// What a proxy that asked was told.
package enum CheckResult: String, CaseIterable, Sendable {
    case allowed
    case refused
    /// It did not say what it must of the request.
    case misdescribed
    /// Who asked may not; nothing was said.
    case stranger
}

/// What became of a TLS handshake with a server of an upstream.
package enum UpstreamHandshake: String, CaseIterable, Sendable {
    case full, resumed
    /// The server could not prove who it is.
    case certificateRefused = "certificate_refused"
    /// The server ended it, most often because it does not accept our certificate.
    case alert
    case failed
}

/// Why a tunnel ended; where several reasons follow one another, the first.
public enum TunnelEnd: String, CaseIterable, Sendable {
    /// The side said its end.
    case clientClosed = "client_closed"
    case serverClosed = "server_closed"
    /// The side's connection broke.
    case clientLost = "client_lost"
    case serverLost = "server_lost"
    /// Nothing moved for `timeouts.tunnel`, or what was sent was not read for `timeouts.body`.
    case idle
    case blocked
    case tokenExpired = "token_expired"
    /// The token was revoked, or its key is no longer one of ours.
    case tokenRevoked = "token_revoked"
    /// An operator has closed the route.
    case lockedDown = "locked_down"
    /// It was opened without a good token, and the time or an operator has ended that.
    case breakGlassOver = "break_glass_over"
    /// The gateway is ending.
    case draining
}

/// The statuses that have a series of their own: those of the IANA registry. Another one counts as its class, or a
/// backend could make 500 series.
enum StatusLabel {
    static let known: [Int] =
        [100, 101, 102, 103] + [200, 201, 202, 203, 204, 205, 206, 207, 208, 226]
        + [300, 301, 302, 303, 304, 305, 307, 308] + Array(400...417)
        + [421, 422, 423, 424, 425, 426, 428, 429, 431, 451]
        + [500, 501, 502, 503, 504, 505, 506, 507, 508, 511]

    static let values: [String] = known.map(String.init) + ["1xx", "2xx", "3xx", "4xx", "5xx", "none"]

    /// By status 0–599: the index into `values`.
    static let indices: [UInt8] = (0..<600).map { status in
        if let index = known.firstIndex(of: status) { return UInt8(index) }
        return UInt8(status < 100 ? known.count + 5 : known.count + status / 100 - 1)
    }
}

/// The histogram of durations: the bounds that OpenTelemetry's HTTP conventions advise.
enum Buckets {
    static let bounds: [(nanoseconds: Int, text: String)] = [
        (5_000_000, "0.005"), (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"),
        (75_000_000, "0.075"), (100_000_000, "0.1"), (250_000_000, "0.25"), (500_000_000, "0.5"),
        (750_000_000, "0.75"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
        (7_500_000_000, "7.5"), (10_000_000_000, "10"),
    ]
    /// The bounds, `+Inf`, and the sum in nanoseconds.
    static let cells = 16

    static func index(of nanoseconds: Int) -> Int {
        switch nanoseconds {
        case ...5_000_000: 0
        case ...10_000_000: 1
        case ...25_000_000: 2
        case ...50_000_000: 3
        case ...75_000_000: 4
        case ...100_000_000: 5
        case ...250_000_000: 6
        case ...500_000_000: 7
        case ...750_000_000: 8
        case ...1_000_000_000: 9
        case ...2_500_000_000: 10
        case ...5_000_000_000: 11
        case ...7_500_000_000: 12
        case ...10_000_000_000: 13
        default: 14
        }
    }
}
