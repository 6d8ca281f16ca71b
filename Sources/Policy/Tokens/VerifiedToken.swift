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
    /// `AssertionClaims.write`; empty when nothing is signed.
    let assertedClaims: [UInt8]
    package var issuedAt: WallTime? { dates.issuedAt }
    package var expiresAt: WallTime { dates.expiresAt }
    /// Nil: its issuer has vouched for it in person.
    package let algorithm: SignatureAlgorithm?
    /// `KeySet.Key.label` of the key that signed it, or `introspection`.
    package let keyLabel: String
    /// Its place among the keys of `generation`; negative: no key signed it.
    let keyIndex: Int
    /// `KeySet.Key.stamp` of that key, or `IntrospectionRules.stamp`.
    let keyStamp: Int
    let dates: ClaimDates
    /// What it can be revoked by.
    let marks: TokenMarks
    /// `Requirements.judge`.
    let satisfied: [UInt64]
    /// Which keys and policy judged it (`TokenVerifier.generation`).
    let generation: UInt32

    /// How long it is accepted yet, `leeway` included; at most ten years, so that it can be added to any time.
    package func timeLeft(at now: WallTime, leeway: Interval) -> Interval {
        let longest = 10 * 366 * 86_400_000
        let left = expiresAt.milliseconds + leeway.milliseconds - now.milliseconds
        return .milliseconds(Int(min(max(left, 0), Int64(longest))))
    }

    init(
        identityFields: [UInt8], subject: [UInt8], assertedClaims: [UInt8] = [], dates: ClaimDates, marks: TokenMarks,
        algorithm: SignatureAlgorithm?, keyLabel: String, keyIndex: Int, keyStamp: Int, satisfied: [UInt64],
        generation: UInt32
    ) {
        self.identityFields = identityFields
        self.subject = subject
        self.assertedClaims = assertedClaims
        self.dates = dates
        self.marks = marks
        self.algorithm = algorithm
        self.keyLabel = keyLabel
        self.keyIndex = keyIndex
        self.keyStamp = keyStamp
        self.satisfied = satisfied
        self.generation = generation
    }
}

/// Why a token was refused, and what it claimed, for the audit record.
package struct TokenRefusal: Sendable {
    package var reason: Reason
    /// Whether the signature was right. When it was not, everything below is only what somebody claims.
    package var isSigned = false
    /// Nothing is decided: its issuer must be asked first.
    package var isPending = false
    package var algorithm: SignatureAlgorithm?
    /// `kid` of the header, at most 128 bytes of it; of a revoked token the label of the key that signed it.
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
