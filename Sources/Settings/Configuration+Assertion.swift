package import Wire

extension Configuration {
    /// The signed word for backends about who the caller is.
    package struct Assertion: Equatable, Sendable {
        /// As JOSE spells them (RFC 7518 §3.1, RFC 8037 §3.1).
        package enum Algorithm: String, CaseIterable, Sendable {
            case es256 = "ES256"
            case edDSA = "EdDSA"
        }
        package var header: String
        package var issuer: String
        /// Where the upstream has none of its own.
        package var audience: String
        /// At most `longestLifetime`.
        package var lifetime = Interval.seconds(60)
        /// Nil: ES256 for a key that is made, what a key of a file is for.
        package var algorithm: Algorithm?
        /// Nil: a key is made, and kept in the state directory.
        package var keyPath: String?
        /// Key files that every user of the machine can read are accepted.
        package var acceptsReadableKeys = false
        /// On the public listeners; nil: not there.
        package var jwksPath: String?
        /// How long whoever verifies may go without asking for the keys again.
        package var jwksMaximumAge = Interval.seconds(300)

        /// What the setting allows. A key that signs no more is published for so long.
        package static let longestLifetime = Interval.seconds(600)

        package init(header: String, issuer: String, audience: String) {
            self.header = header
            self.issuer = issuer
            self.audience = audience
        }
    }
}
