package import Crypto
package import Wire

/// A token whose signature and claims were right. Immutable and counted, so it stays valid for whoever holds it, also
/// when the cache has given its place away.
package final class VerifiedToken: Sendable {
    /// The identity header fields for the backend, each ended by CR LF, ready to be copied into a head. May be empty.
    package let identityFields: [UInt8]
    /// Who the token is about, for logs: `sub`, or the claim of the first identity header. UTF-8, maybe with control
    /// characters; empty when neither is there.
    package let subject: [UInt8]
    package var issuedAt: WallTime? { dates.issuedAt }
    package var expiresAt: WallTime { dates.expiresAt }
    package let algorithm: SignatureAlgorithm
    /// `KeySet.Key.label` of the key that signed it.
    package let keyLabel: String
    let dates: ClaimDates
    /// `Requirements.judge`.
    let satisfied: [UInt64]
    /// Which keys and policy judged it (`TokenVerifier.generation`).
    let generation: UInt32

    /// How long it is accepted yet, `leeway` included; at most ten years, so that it can be added to any time.
    package func timeLeft(at now: WallTime, leeway: Interval) -> Interval {
        let longest = 10 * 366 * 86_400_000
        let left = expiresAt.milliseconds - now.milliseconds
        return .milliseconds(Int(min(max(left, 0), Int64(longest)))) + leeway
    }

    init(
        identityFields: [UInt8], subject: [UInt8], dates: ClaimDates, algorithm: SignatureAlgorithm, keyLabel: String,
        satisfied: [UInt64], generation: UInt32
    ) {
        self.identityFields = identityFields
        self.subject = subject
        self.dates = dates
        self.algorithm = algorithm
        self.keyLabel = keyLabel
        self.satisfied = satisfied
        self.generation = generation
    }
}

/// Why a token was refused, and what it claimed, for the audit record.
package struct TokenRefusal: Sendable {
    package var reason: Reason
    /// Whether the signature was right. When it was not, everything below is only what somebody claims.
    package var isSigned = false
    package var algorithm: SignatureAlgorithm?
    /// `kid` of the header, at most 128 bytes of it.
    package var keyID: String?
    /// `sub`, at most 256 bytes of it.
    package var subject: String?
    package var issuedAt: WallTime?
    package var expiresAt: WallTime?

    init(_ reason: Reason) { self.reason = reason }
}

package enum TokenOutcome: Sendable {
    case verified(VerifiedToken)
    case refused(TokenRefusal)
}
