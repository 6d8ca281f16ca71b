package import Wire

/// Everything the gateway was told, checked and immutable: one value, made from gateway.conf and the environment, handed
/// to every thread. A reload makes a new one.
///
/// The types say what is possible; ranges, defaults and units stand in the settings' rows (`SettingRows*.swift`).
package struct Configuration: Sendable {
    package var listeners: [SocketAddressText]
    /// Threads that serve requests; each has its own event loop and upstream connections.
    package var workers: Int
    package var admin: Admin
    package var stateDirectory: String
    /// Peers whose X-Forwarded-For is believed.
    package var trustedProxies: [IPNetwork]
    /// Peers whose connections begin with a PROXY header, which says who the peer is.
    package var announcers: [IPNetwork] = []
    package var forwardAuth = ForwardAuth()
    /// Addresses that no rule ever blocks. Trusted proxies belong to them without being named.
    package var neverBlock: [IPNetwork]
    package var limits: Limits
    package var rateLimits = RateLimits()
    package var timeouts: Timeouts
    package var forwarding: Forwarding
    package var upstreams: [Upstream]
    /// In the order of the file; the most specific match wins, the first of equals (`RouteTable`).
    package var routes: [Route]
    package var login: Login
    package var feeds: [Feed] = []
    /// Nil: failed logins are counted by address only.
    package var accounts: Accounts?
    package var threats = Threats()
    package var redis: Redis?
    package var tokens: Tokens
    package var identityHeaders: [IdentityHeader]
    /// Nil: backends get no signed assertion.
    package var assertion: Assertion?
    package var logs: Logs
    package var metrics: Metrics
    package var tls: TLS?
    package var securityHeaders = SecurityHeaders()

    /// `host:port` of a listener or server as it was written: an address, a name, or `[v6]:port`.
    package struct SocketAddressText: Hashable, Sendable {
        /// Without brackets.
        package var host: String
        package var port: UInt16
        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    /// Where proxies ask whether a request of theirs may pass; without addresses, nowhere.
    package struct ForwardAuth: Sendable {
        package var listeners: [SocketAddressText] = []
        /// Who may ask.
        package var trusted: [IPNetwork] = []
        package init() {}
    }

    /// Where a server listens, as it was written.
    package enum ServerLocation: Hashable, Sendable {
        case tcp(SocketAddressText)
        /// Absolute, at most 107 bytes.
        case unix(path: String)
    }

    package struct Admin: Sendable {
        /// Nil: no TCP listener for operators.
        package var listen: SocketAddressText?
        /// The local Unix socket (mode 600) that the command line talks to.
        package var socketPath: String
        /// Bearer token for what changes or tells more than health and metrics; nil: those paths work on the socket only.
        package var token: Secret?
    }

    package struct Limits: Sendable {
        /// Bytes of a request or response head, start line and fields together.
        package var headBytes: Int
        package var fields: Int
        package var targetBytes: Int
        /// Bytes of a request body; 0 = no limit.
        package var bodyBytes: Int
        /// Client connections of the whole process.
        package var connections: Int
        /// Client connections of one address, or of one IPv6 /64; 0 = no limit.
        package var connectionsPerAddress = 0
        /// Bytes per second that a client must move while it is waited for; 0 = no limit.
        package var minimumRate = 240
        /// Bytes that connections may hold in buffers; 0 = half of what the host allows.
        package var memory = 0
    }

    package struct Timeouts: Sendable {
        /// From accepting a connection to the end of its TLS handshake.
        package var handshake = Interval.seconds(10)
        /// From a request's first byte to the end of its head.
        package var head: Interval
        /// Between two reads of a body that is under way, or two writes that make progress.
        package var body: Interval
        /// A kept-alive connection without a request.
        package var idle: Interval
        package var connect: Interval
        /// From the end of the request to the head of the response.
        package var response: Interval
        /// How long SIGTERM waits for requests under way.
        package var drain: Interval
        /// What `limits.min_rate` is averaged over.
        package var progress = Interval.seconds(30)
        /// An open tunnel or event stream on which nothing moves.
        package var tunnel = Interval.seconds(3_600)
        /// From the start of a new program to its word that it serves.
        package var upgrade = Interval.seconds(20)
        /// For the first byte on a new connection: whoever connects has something to ask.
        package var first: Interval { min(head, idle) }
    }

    package struct Forwarding: Sendable {
        /// The name in Via; RFC 9110 §7.6.3 allows a pseudonym.
        package var viaName: String
        /// Whether to write RFC 7239 `Forwarded` beside X-Forwarded-*.
        package var forwarded: Bool
        /// Whether the gateway's own answers say why in RFC 9209 `Proxy-Status`.
        package var proxyStatus = true
    }

    package struct Upstream: Sendable {
        package var name: String
        package var servers: [ServerLocation]
        /// Idle connections kept per worker.
        package var keepAlive: Int
        /// The longest a pooled connection may stay unused.
        package var idleTimeout: Interval
        package var balance = Balance.roundRobin
        package var hash = HashKey()
        /// `aud` of assertions for it; nil: that of all.
        package var assertionAudience: String?
        /// Times that a request may be tried again.
        package var retries = 1
        /// Answers that count as failures of the server, 500 to 599.
        package var failureStatuses: [Int] = []
        /// How long a server that comes back takes less than its share.
        package var slowStart = Interval.seconds(10)
        package var ejection = Ejection()
        package var circuitBreaker = CircuitBreaker()
        package var healthCheck = HealthCheck()
        /// Nil: plain text.
        package var tls: TLS?
        package var proxyProtocol = ProxyProtocol.none

        /// Whether a connection begins with a PROXY header for its client, and of which version.
        package enum ProxyProtocol: String, CaseIterable, Sendable { case none, v1, v2 }
    }

    package struct Route: Equatable, Sendable {
        package var name: String
        /// Lower case, without port; `*.example.org` matches one or more labels; nil: any host.
        package var host: String?
        /// A prefix of whole segments of the canonical path: `/api` matches `/api` and `/api/x`, not `/apix`.
        package var path: String
        /// Empty: every method.
        package var methods: [String]
        /// An index into `upstreams`.
        package var upstream: Int
        package var authentication: Authentication
        /// Name of a cookie that may carry the token when there is no Authorization field.
        package var cookie: String?
        /// Name of a parameter of the query that may carry the token.
        package var tokenParameter: String?
        /// WebSocket subprotocol in front of the one that is the token.
        package var tokenSubprotocol: String?
        /// Whether the upstream gets the request without its token.
        package var stripsToken = false
        /// How long an expired token is still good for safe methods; nil: it is not.
        package var expiredGrace: Interval?
        /// How long an operator may open the route to some networks without a good token; nil: never.
        package var breakGlass: Interval?
        /// Claims that must have one of the given values.
        package var requiredClaims: [RequiredClaim]
        /// The token must carry at least one of them; empty: no rule.
        package var requiredRoles: [String]
        /// The token must carry all of them.
        package var requiredScopes: [String] = []
        package var stepUp = StepUp()
        package var cors: CORS?
        package var paths = PathRules()
        /// Protocols that a client may change to (RFC 9110 §7.8), as they stand in Upgrade; letter case does not matter.
        package var upgrades = ["websocket"]
        /// Whether a tunnel or event stream ends with the token that it was opened with.
        package var closesAtExpiry = true
        /// In place of `timeouts.response`.
        package var responseTimeout: Interval?
        /// Nil: none of its own.
        package var rateLimit: RouteRateLimit?
    }

    package enum Authentication: String, CaseIterable, Sendable {
        /// Tokens are not looked at.
        case none
        /// A token is checked when there is one; a bad one is refused.
        case optional
        case required
    }

    package struct RequiredClaim: Hashable, Sendable {
        package var name: String
        package var oneOf: [String]
        package init(name: String, oneOf: [String]) {
            self.name = name
            self.oneOf = oneOf
        }
    }

    /// What the login behind a token must have been like (RFC 9470).
    package struct StepUp: Hashable, Sendable {
        /// `acr` must be one of them; empty: no rule.
        package var levels: [String] = []
        /// `amr` must hold one of them; empty: no rule.
        package var methods: [String] = []
        /// Since `auth_time`; nil: no rule.
        package var maximumAge: Interval?

        package init() {}

        package var isEmpty: Bool { levels.isEmpty && methods.isEmpty && maximumAge == nil }
    }

    /// The origins whose browsers may read a refusal; successful answers carry the backend's own CORS fields.
    package struct CORS: Equatable, Sendable {
        /// `*` or origins as browsers send them.
        package var allowedOrigins: [String]
    }

    package struct Login: Sendable {
        package var endpoints: [Endpoint]
        /// Failures that an address may have; the one that reaches it sets the block.
        package var limit: Int
        /// Counted from the first failure.
        package var window: Interval
        package var block: Interval
        /// `count`: which failures of the window count.
        package var count = Count.fixed
        package var action = Action.block
        /// Nil: every block is of the same length.
        package var escalation: Escalation?
        /// `ipv6_prefix`: leading bits of an IPv6 address that failures are counted by.
        package var ipv6Prefix = 64
        /// For a place among the guesses under way.
        package var wait = Interval.seconds(10)
        package var whenLedgerAway = WhenLedgerAway.local
        /// `failure_statuses`: what the backend answers to a wrong login.
        package var failureStatuses: [Int]
        package var rules: [Rule] = []
        /// Nil: nothing is asked of logins.
        package var challenge: Challenge?

        package enum WhenLedgerAway: String, CaseIterable, Sendable {
            /// Each replica goes by what it knows.
            case local
            case refuse
        }

        package enum Count: String, CaseIterable, Sendable {
            /// Since the first failure.
            case fixed
            /// At every moment, those of the time before it.
            case sliding
        }

        package enum Action: String, CaseIterable, Sendable {
            case block
            /// Only says what would be done.
            case observe
        }

        package struct Escalation: Hashable, Sendable {
            /// Each block within a day is so many times as long as the last.
            package var factor: Int
            /// `max`
            package var longest: Interval
        }

        package struct Endpoint: Hashable, Sendable {
            package var method: String
            /// Exact canonical path.
            package var path: String
            package init(method: String, path: String) {
                self.method = method
                self.path = path
            }
        }
    }

    package struct Redis: Sendable {
        package var location: ServerLocation
        package var username: String?
        package var password: Secret?
        package var database: Int
        /// How long a failed login waits for the authority before the local ledger decides.
        package var deadline: Interval
        /// How long readiness waits for the first complete mirror at start.
        package var startupWait: Interval
        /// In front of every key; empty: nothing.
        package var keyPrefix = ""
        /// Between two scans, where Redis tells of no changes.
        package var scanInterval = Interval.seconds(1)
        /// Nil: plain text.
        package var tls: Upstream.TLS?
        /// Where the password was read from, so that it can be read again.
        package var passwordPath: String?
        /// Nil: the server is at `location`.
        package var sentinels: RedisSentinels?
        /// Nodes of a cluster that tell of all others; empty: there is no cluster.
        package var cluster: [SocketAddressText] = []
    }

    package struct Tokens: Sendable {
        package var keys: [Key]
        /// Accepted `iss`; empty: not checked.
        package var issuers: [String]
        /// One of them must be in `aud`; empty: not checked.
        package var audiences: [String]
        package var leeway: Interval
        /// Tokens longer than this many bytes are refused unread.
        package var maximumBytes: Int
        /// Verified tokens remembered per worker; 0 = none.
        package var cacheEntries: Int
        /// Where roles are found in the claims; the value is a string (split at spaces) or a list of strings.
        package var rolesClaim: String
        /// The same of scopes.
        package var scopesClaim = "scope"
        /// Seals keys that are added at run time; nil: none.
        package var ringSecret: Secret?
        /// Nil: opaque tokens are refused.
        package var introspection: Introspection?

        package struct Key: Sendable {
            /// Names the key in logs; for keys other than JWKS also the `kid` that selects it, when set.
            package var id: String
            package var source: Source
            /// Empty for a JWKS, whose keys name their own.
            package var algorithms: [String]
            /// `iss` of every token that such a key has signed; nil: not this key's business.
            package var issuer: String?

            package init(id: String, source: Source, algorithms: [String], issuer: String? = nil) {
                self.id = id
                self.source = source
                self.algorithms = algorithms
                self.issuer = issuer
            }
        }

        package enum Source: Sendable {
            case secret(Secret)
            case pem(path: String, contents: Secret)
            case jwks(path: String, contents: Secret)
            case provider(Provider)
        }
    }

    /// A header for the backend and the claim that fills it. `.authenticated` is `true` for a verified token.
    package struct IdentityHeader: Hashable, Sendable {
        package enum Value: Hashable, Sendable {
            case claim(String)
            case authenticated
        }
        package var name: String
        package var value: Value
        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }

    package struct Logs: Sendable {
        package enum Target: Hashable, Sendable {
            case off
            case standardOutput
            case file(path: String)
        }
        package enum Level: String, CaseIterable, Comparable, Sendable {
            case debug, info, warning, error
            package static func < (a: Level, b: Level) -> Bool {
                allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
            }
        }
        package var access: Target
        package var audit: Target
        package var level: Level
    }

    package struct Metrics: Sendable {
        /// Put before every family name: `gateway` gives `gateway_auth_failures_total`.
        package var prefix: String
    }
}

/// Bytes that must not be shown: a password, a key, a token. Printing or interpolating one gives `<redacted>`.
package struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { bytes = Array(text.utf8) }

    package var count: Int { bytes.count }
    /// The only way to the bytes, so that a search for this name finds every use.
    package var revealed: [UInt8] { bytes }

    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
