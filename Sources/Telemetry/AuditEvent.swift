package import Wire

/// Something of security that happened, as the audit log tells it. Plain values: what they mean in the words of the five
/// runbooks is decided in one place, `AuditVocabulary`.
///
/// Nothing here can carry a secret: a token is only its first characters, an endpoint loses its query, and there is no
/// place for a header or a body.
package struct AuditEvent: Sendable {
    package var kind: Kind
    /// The address that counts: the client behind trusted proxies.
    package var client: IPAddress?
    /// The connection's other end, and its port (RFC 6302); 0: unknown.
    package var peer: IPAddress?
    package var peerPort: UInt16 = 0
    /// Who announced the peer in a PROXY header; nil: nobody.
    package var proxy: IPAddress?
    /// A proxy asked about the request.
    package var isCheck = false
    package var user: AuditUser?
    /// The list that a blocked client stands on.
    package var feed: String?
    /// The prefix that failures of the client are counted for together, or a block that holds it is of; nil: the client by itself.
    package var countedFor: IPNetwork?
    /// The hash of the account that a login was for, where accounts are counted.
    package var account: String?
    /// The rule for failed logins that counted it.
    package var rule: String?
    /// The gateway's own refusal, where there was one.
    package var stage: String?
    package var code: String?
    package var method: String?
    /// The canonical path.
    package var endpoint: String? {
        didSet { endpoint = endpoint.map(pathOnly) }
    }
    package var route: String?
    package var userAgent: String?
    package var requestID: String?
    package var traceID: String?

    package init(_ kind: Kind, client: IPAddress? = nil) {
        self.kind = kind
        self.client = client
    }

    package enum Kind: Sendable {
        /// The backend refused a login. `reason` as `failure_reason` spells it; `failures` with this one, of `limit`
        /// within `window`.
        case loginFailed(reason: String, failures: Int, limit: Int, window: Interval)
        /// The backend accepted a login, after so many failures of the address.
        case loginSucceeded(afterFailures: Int)
        /// A token was refused, or missing where one is required. `token_expired` is told under both of its names.
        case authenticationFailed(reason: String, token: AuditToken?)
        /// A token was verified.
        case authenticated(token: AuditToken?)
        /// A token was verified that has expired: the route still takes it for a while.
        case authenticatedInGrace(token: AuditToken?)
        /// A request went on by break-glass that was to be refused for this reason.
        case brokenGlass(reason: String, token: AuditToken?)
        /// A verified token lacks what the route requires.
        case authorizationFailed(reason: String)
        /// The limit of failures is reached.
        case bruteForceDetected(failures: Int, window: Interval)
        /// A block was set, by a rule or a person.
        case blocked(AuditBlock)
        /// A block was lifted before its time.
        case unblocked(subject: IPNetwork, trigger: String, actor: String)
        /// A block's time is over.
        case blockExpired(subject: IPNetwork)
        /// A request of a blocked address, and how many before it were not told one by one.
        case blockedRequest(suppressed: Int)
        /// Requests of a blocked address that were not told one by one, after their last.
        case blockedRequestsSuppressed(count: Int)
        /// A connection of an address that has as many as it may have, and how many before it were not told one by one.
        case connectionRefused(suppressed: Int)
        /// Connections of such an address that were not told one by one, after the last.
        case connectionsRefusedSuppressed(count: Int)
        /// A request that was one too many for a limit, and how many of its address before it were not told one by one.
        case rateLimited(limit: String, suppressed: Int)
        /// Requests of an address that were too many and were not told one by one, after the last.
        case rateLimitedSuppressed(count: Int)
        /// A login was answered with a challenge, and how many of its address before it were not told one by one.
        case challenged(suppressed: Int)
        /// Logins of an address that were answered so and were not told one by one, after the last.
        case challengedSuppressed(count: Int)
        /// An account was locked or unlocked, or a login refused for it.
        case accountLock(AuditAccountLock)
        /// Failed logins have a pattern together, or have it no more.
        case threat(AuditThreat)
        /// Something else that changed what the gateway does.
        /// Held apart: it is rare, and would make each event of a request larger.
        indirect case operation(AuditOperation)
    }
}

/// Who the request speaks for, and whether that has been proved.
package enum AuditUser: Hashable, Sendable {
    /// Taken from a token whose signature was checked.
    case verified(String)
    /// Taken from a token that was refused: written as `claimed_user_id`, never as `user_id`.
    case claimed(String)
}

/// What may be told of a token.
package struct AuditToken: Hashable, Sendable {
    /// The longest prefix: enough to tell kinds of tokens apart, nothing to guess from.
    package static let prefixLength = 6

    /// At most `prefixLength` characters.
    package let prefix: String
    package var issuedAt: WallTime?
    package var expiresAt: WallTime?
    /// Of one whose signature was right, and that had expired.
    package var expiry: AuditExpiry?

    /// Keeps only the prefix of `token`; of one that is not much longer, nothing.
    package init(_ token: Span<UInt8>, issuedAt: WallTime? = nil, expiresAt: WallTime? = nil) {
        var prefix = ""
        if token.count >= 4 * AuditToken.prefixLength {
            for index in 0..<AuditToken.prefixLength {
                let byte = token[index]
                prefix.append(byte > 0x20 && byte < 0x7f ? Character(Unicode.Scalar(byte)) : "?")
            }
        }
        self.prefix = prefix
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }
}

/// A block as it was set.
package struct AuditBlock: Hashable, Sendable {
    package var subject: IPNetwork
    /// Nil: until it is lifted.
    package var length: Interval?
    package var expiresAt: WallTime?
    /// What led to it, such as `5 failed logins in 86400 s`.
    package var trigger: String
    /// Who: `gateway`, `redis`, or the operator's name.
    package var actor: String

    package init(subject: IPNetwork, length: Interval?, expiresAt: WallTime?, trigger: String, actor: String) {
        self.subject = subject
        self.length = length
        self.expiresAt = expiresAt
        self.trigger = trigger
        self.actor = actor
    }
}

private func pathOnly(_ text: String) -> String {
    guard let end = text.utf8.firstIndex(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) else {
        return text
    }
    return String(text[..<end])
}
