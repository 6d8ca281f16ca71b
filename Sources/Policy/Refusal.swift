/// The closed list of reasons an attempt was refused or failed, as audit records and `failure_reason` spell them.
package enum Reason: String, CaseIterable, Sendable {
    case invalidToken = "invalid_token"
    case tokenExpired = "token_expired"
    case invalidSignature = "invalid_signature"
    case missingToken = "missing_token"
    case userNotFound = "user_not_found"
    case userDisabled = "user_disabled"
    case insufficientPermissions = "insufficient_permissions"
    case notYetValid = "not_yet_valid"
    case wrongIssuer = "wrong_issuer"
    case wrongAudience = "wrong_audience"
    case unknownKid = "unknown_kid"
    case algNotAllowed = "alg_not_allowed"
    case revoked
    case ipBlocked = "ip_blocked"
    case accountLocked = "account_locked"
    case rateLimited = "rate_limited"
    case jwksUnavailable = "jwks_unavailable"
    case tokenInactive = "token_inactive"
    case introspectionUnavailable = "introspection_unavailable"
    case tokenTooLarge = "token_too_large"
    case missingClaim = "missing_claim"
    case malformedRequest = "malformed_request"
    case badCredentials = "bad_credentials"
    case foreignOrigin = "foreign_origin"
    case lockedDown = "locked_down"
    case challengeRequired = "challenge_required"
}

/// The codes that clients and runbooks know, in the `code` member of a refusal's body.
package enum ErrorCode: String, CaseIterable, Sendable {
    case invalidToken = "AUTH_001"
    case tokenExpired = "AUTH_002"
    case tokenRevoked = "AUTH_003"
    case addressBlocked = "AUTH_004"
    case loginTooWeak = "AUTH_005"
    case accountLocked = "AUTH_006"
    case challengeRequired = "AUTH_007"
    case forbidden = "PERM_001"
    case missingRole = "PERM_002"
    case rateLimited = "RATE_001"
    case unavailable = "SVC_001"
    case timeout = "SVC_002"
    case circuitOpen = "SVC_003"
    case malformedRequest = "REQ_001"
    case requestTooLarge = "REQ_002"
    case noRoute = "REQ_003"
    case unsupported = "REQ_004"
}

/// The error types of RFC 9209 §2.3 that the gateway gives, as Proxy-Status spells them.
package enum ProxyError: String, CaseIterable, Sendable {
    case destinationUnavailable = "destination_unavailable"
    case connectionTimeout = "connection_timeout"
    case connectionTerminated = "connection_terminated"
    case tlsProtocolError = "tls_protocol_error"
    case tlsCertificateError = "tls_certificate_error"
    case tlsAlertReceived = "tls_alert_received"
    case protocolError = "http_protocol_error"
    case responseTimeout = "http_response_timeout"
    /// Refused by a rule of the operator's: address, token, role.
    case requestDenied = "http_request_denied"
    /// The client's own mistake; 4xx only.
    case requestError = "http_request_error"
    /// Any other answer for which no server was asked.
    case internalResponse = "proxy_internal_response"

    /// What an answer is that no server had a part in.
    fileprivate init(_ stage: Stage, _ status: Int) {
        self =
            switch stage {
            case .screen, .authenticate, .authorize: .requestDenied
            default: (400..<500).contains(status) ? .requestError : .internalResponse
            }
    }
}

/// Every answer the gateway gives on its own account, in one table. What a row says is what the client, the audit
/// record and the metrics say. A refusal is the place of its row, since verdicts, events and steps of every request have
/// room for one: to hand it on is one word, and nothing is counted.
package struct Refusal: Error, Sendable {
    /// Uncounted, and never freed: there is one for each of the constants below, which last as long as the process.
    private unowned(unsafe) let row: Row

    private final class Row: Sendable {
        let stage: Stage
        let status: Int
        let code: ErrorCode
        let title: StaticString
        let reason: Reason?
        let bearerError: StaticString?
        let closes: Bool
        let proxyError: ProxyError
        let labels: Labels

        init(
            _ stage: Stage, _ status: Int, _ code: ErrorCode, _ title: StaticString, _ reason: Reason?,
            _ bearerError: StaticString?, _ closes: Bool, _ proxyError: ProxyError
        ) {
            self.stage = stage
            self.status = status
            self.code = code
            self.title = title
            self.reason = reason
            self.bearerError = bearerError
            self.closes = closes
            self.proxyError = proxyError
            labels = Labels(
                stage: Stage.allCases.firstIndex(of: stage)!, code: ErrorCode.allCases.firstIndex(of: code)!,
                reason: reason.map { Reason.allCases.firstIndex(of: $0)! })
        }
    }

    package var stage: Stage { row.stage }
    package var status: Int { row.status }
    package var code: ErrorCode { row.code }
    /// RFC 9457 `title`: the same for every occurrence of this problem.
    package var title: StaticString { row.title }
    package var reason: Reason? { row.reason }
    /// RFC 6750 §3.1 `error` of WWW-Authenticate; nil with 401: nothing was presented, so no error is named.
    package var bearerError: StaticString? { row.bearerError }
    /// The connection cannot be trusted to be in step any more, so it is closed behind the answer.
    package var closes: Bool { row.closes }
    /// What Proxy-Status says of it.
    package var proxyError: ProxyError { row.proxyError }
    /// The numbers of stage, code and reason in their `allCases`: what logs and metrics look their labels up by.
    package var labels: Labels { row.labels }

    /// It says when to try again (RFC 9110 §10.2.3, RFC 6585 §4).
    package var asksToRetry: Bool { status == 503 || status == 429 }

    /// Of a rate limit: not of connections, nor of logins under way.
    package var isByRate: Bool { code == .rateLimited && stage != .admit && stage != .reserve }

    /// What is asked of the client is this answer's own. A pattern, since `==` of the codes of another module is no inline code.
    package var isChallenge: Bool { if case .challengeRequired = code { true } else { false } }

    /// Its challenge names what the route demands.
    package var namesDemands: Bool { self == .missingScope || self == .loginTooWeak }

    /// Places in `Stage`, `ErrorCode` and `Reason`.
    package struct Labels: Hashable, Sendable {
        package let stage: Int
        package let code: Int
        package let reason: Int?
    }

    private init(
        _ stage: Stage, _ status: Int, _ code: ErrorCode, _ title: StaticString, reason: Reason? = nil,
        bearerError: StaticString? = nil, closes: Bool = false, proxyError: ProxyError? = nil
    ) {
        let row = Row(
            stage, status, code, title, reason, bearerError, closes, proxyError ?? ProxyError(stage, status))
        // Kept for ever by nobody: see `row`.
        self.row = Unmanaged.passRetained(row).takeUnretainedValue()
    }

    // admit
    package static let overloaded = Refusal(
        .admit, 503, .unavailable, "The gateway has as many connections as it may have", closes: true)
    package static let tooManyConnections = Refusal(
        .admit, 429, .rateLimited, "The address has as many connections as it may have", reason: .rateLimited,
        closes: true, proxyError: .requestDenied)
    // read
    package static let malformed = Refusal(
        .read, 400, .malformedRequest, "The request is malformed", reason: .malformedRequest, closes: true)
    package static let ambiguousPath = Refusal(
        .read, 400, .malformedRequest, "The path of the request is ambiguous", reason: .malformedRequest, closes: true)
    /// A proxy that asks by forward-auth does not say what it must, or its client could say it.
    package static let misdescribed = Refusal(
        .read, 400, .malformedRequest, "The proxy did not describe the request as it must", reason: .malformedRequest)
    package static let headTimeout = Refusal(
        .read, 408, .timeout, "The request took too long to arrive", closes: true)
    package static let bodyTooLarge = Refusal(
        .read, 413, .requestTooLarge, "The body is larger than allowed", closes: true)
    package static let targetTooLong = Refusal(
        .read, 414, .requestTooLarge, "The request target is longer than allowed", closes: true)
    package static let expectationFailed = Refusal(
        .read, 417, .unsupported, "The expectation cannot be met", closes: true)
    package static let misdirected = Refusal(
        .read, 421, .unsupported, "The target belongs on a secured connection", closes: true)
    package static let headTooLarge = Refusal(
        .read, 431, .requestTooLarge, "The head of the request is larger than allowed", closes: true)
    package static let methodNotSupported = Refusal(
        .read, 501, .unsupported, "The method is not supported", closes: true)
    package static let codingNotSupported = Refusal(
        .read, 501, .unsupported, "The transfer coding is not supported", closes: true)
    package static let versionNotSupported = Refusal(
        .read, 505, .unsupported, "The HTTP version is not supported", closes: true)
    // screen
    package static let addressBlocked = Refusal(
        .screen, 403, .addressBlocked, "The address is blocked", reason: .ipBlocked)
    package static let addressRateLimited = Refusal(
        .screen, 429, .rateLimited, "The address makes too many requests", reason: .rateLimited)
    // route
    package static let noRoute = Refusal(.route, 404, .noRoute, "No route matches the request")
    package static let methodNotAllowed = Refusal(.route, 405, .noRoute, "The route does not allow the method")
    /// An operator has closed the route for a while.
    package static let lockedDown = Refusal(
        .route, 503, .unavailable, "The route is closed for a while", reason: .lockedDown, proxyError: .requestDenied)
    package static let addressRateLimitedOnRoute = Refusal(
        .route, 429, .rateLimited, "The address makes too many requests to the route", reason: .rateLimited,
        proxyError: .requestDenied)
    // authenticate
    package static let missingToken = Refusal(
        .authenticate, 401, .invalidToken, "A token is required", reason: .missingToken)
    package static let tokenExpired = Refusal(
        .authenticate, 401, .tokenExpired, "The token has expired", reason: .tokenExpired,
        bearerError: "invalid_token")
    package static let tokenRevoked = Refusal(
        .authenticate, 401, .tokenRevoked, "The token was revoked", reason: .revoked, bearerError: "invalid_token")
    package static let tokenTooLarge = Refusal(
        .authenticate, 401, .invalidToken, "The token is larger than allowed", reason: .tokenTooLarge,
        bearerError: "invalid_token")
    /// More than one Authorization field, or one that is not `Bearer` and a token (RFC 6750 §3.1 `invalid_request`).
    package static let malformedCredentials = Refusal(
        .authenticate, 401, .invalidToken, "The credentials are malformed", reason: .invalidToken,
        bearerError: "invalid_request")
    /// Any other fault of a token: the reason is told to the operator, the client learns only that it is invalid.
    package static func invalidToken(_ reason: Reason) -> Refusal { invalidTokens[reason]! }

    private static let invalidTokens = Dictionary(
        uniqueKeysWithValues: Reason.allCases.map { reason in
            (
                reason,
                Refusal(
                    .authenticate, 401, .invalidToken, "The token is invalid", reason: reason,
                    bearerError: "invalid_token")
            )
        })
    /// A provider's keys are not here yet, or too old. Not the client's fault, and no reason to log in again.
    package static let keysUnavailable = Refusal(
        .authenticate, 503, .unavailable, "The keys that tokens are checked with cannot be fetched",
        reason: .jwksUnavailable, proxyError: .internalResponse)
    /// The issuer of an opaque token does not say what it is worth. Not the client's fault either.
    package static let introspectionUnavailable = Refusal(
        .authenticate, 503, .unavailable, "The issuer of the token cannot be asked about it",
        reason: .introspectionUnavailable, proxyError: .internalResponse)
    // authorize
    package static let missingClaim = Refusal(
        .authorize, 403, .forbidden, "The token lacks a claim that the route requires", reason: .missingClaim,
        bearerError: "insufficient_scope")
    package static let missingRole = Refusal(
        .authorize, 403, .missingRole, "The token lacks a role that the route requires",
        reason: .insufficientPermissions, bearerError: "insufficient_scope")
    package static let missingScope = Refusal(
        .authorize, 403, .forbidden, "The token lacks a scope that the route requires",
        reason: .insufficientPermissions, bearerError: "insufficient_scope")
    /// RFC 9470 §3: 401, because the same user may come back with a better login.
    package static let loginTooWeak = Refusal(
        .authorize, 401, .loginTooWeak, "The route requires a stronger or more recent login",
        reason: .insufficientPermissions, bearerError: "insufficient_user_authentication")
    /// A WebSocket whose token came in a cookie, opened by a page of another host.
    package static let foreignOrigin = Refusal(
        .authorize, 403, .forbidden, "The origin may not open a connection with this cookie", reason: .foreignOrigin)
    package static let identityRateLimited = Refusal(
        .authorize, 429, .rateLimited, "The user makes too many requests", reason: .rateLimited)
    package static let routeRateLimited = Refusal(
        .authorize, 429, .rateLimited, "The route gets too many requests", reason: .rateLimited)
    // reserve
    package static let tooManyGuesses = Refusal(
        .reserve, 429, .rateLimited, "Too many logins of the address are under way", reason: .rateLimited,
        proxyError: .requestDenied)
    /// Whether there is such an account, nobody learns from it: it is locked by what failed, and failures are all that is known.
    package static let accountLocked = Refusal(
        .reserve, 429, .accountLocked, "Too many logins of the account have failed", reason: .accountLocked,
        proxyError: .requestDenied)
    /// 403 and not 429: to wait helps nobody, and to try again by itself with the same bytes neither.
    package static let challengeRequired = Refusal(
        .reserve, 403, .challengeRequired, "A challenge must be solved before the next login",
        reason: .challengeRequired, proxyError: .requestDenied)
    /// Only with `login.challenge.siteverify.when_away: refuse`.
    package static let challengeUnchecked = Refusal(
        .reserve, 503, .unavailable, "The challenge cannot be checked at the moment", proxyError: .internalResponse)
    /// Which of them the backend takes, nobody knows here.
    package static let ambiguousAccount = Refusal(
        .reserve, 400, .malformedRequest, "The login names more than one account", reason: .malformedRequest)
    /// Only with `accounts.when_unreadable: refuse`.
    package static let unreadableAccount = Refusal(
        .reserve, 400, .malformedRequest, "The login names no account", reason: .malformedRequest)
    /// Only with `login.when_ledger_away: refuse`.
    package static let guessesUncounted = Refusal(
        .reserve, 503, .unavailable, "Logins cannot be counted at the moment", proxyError: .internalResponse)
    // prepare
    package static let malformedHandshake = Refusal(
        .prepare, 400, .malformedRequest, "The WebSocket handshake is malformed", reason: .malformedRequest,
        closes: true)
    package static let websocketVersion = Refusal(
        .prepare, 426, .unsupported, "The WebSocket version is not supported")
    /// Of forward-auth, as the next one: nobody would leave the field out on the way to the backend.
    package static let disguisedField = Refusal(
        .prepare, 400, .malformedRequest, "A field of the request has the name of another one in disguise",
        reason: .malformedRequest)
    package static let upgradeNotAllowed = Refusal(
        .prepare, 403, .forbidden, "The route does not allow the upgrade", proxyError: .requestDenied)
    // lease
    package static let shortOfMemory = Refusal(
        .lease, 503, .unavailable, "The gateway has no memory for the body of the request",
        proxyError: .internalResponse)
    package static let upstreamUnreachable = Refusal(
        .lease, 503, .unavailable, "The service cannot be reached", proxyError: .destinationUnavailable)
    package static let circuitOpen = Refusal(
        .lease, 503, .circuitOpen, "The service is in trouble and is spared", proxyError: .destinationUnavailable)
    package static let connectTimeout = Refusal(
        .lease, 504, .timeout, "The service did not accept in time", proxyError: .connectionTimeout)
    package static let upstreamUntrusted = Refusal(
        .lease, 502, .unavailable, "The certificate of the service cannot be trusted",
        proxyError: .tlsCertificateError)
    package static let upstreamDistrusts = Refusal(
        .lease, 502, .unavailable, "The service refused the secured connection", proxyError: .tlsAlertReceived)
    package static let upstreamHandshakeFailed = Refusal(
        .lease, 502, .unavailable, "No secured connection to the service came about", proxyError: .tlsProtocolError)
    // forward
    package static let bodyTimeout = Refusal(
        .forward, 408, .timeout, "The body of the request took too long to arrive", closes: true)
    package static let malformedBody = Refusal(
        .forward, 400, .malformedRequest, "The framing of the body is malformed", reason: .malformedRequest,
        closes: true)
    // relay
    package static let upstreamFailed = Refusal(
        .relay, 502, .unavailable, "The service closed the connection without an answer",
        proxyError: .connectionTerminated)
    package static let badResponse = Refusal(
        .relay, 502, .unavailable, "The service gave a malformed answer", proxyError: .protocolError)
    package static let responseTimeout = Refusal(
        .relay, 504, .timeout, "The service did not answer in time", proxyError: .responseTimeout)
}

extension Refusal: Equatable {
    package static func == (one: Refusal, other: Refusal) -> Bool { one.row === other.row }
}
