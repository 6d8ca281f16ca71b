package import Wire

extension Configuration.Tokens {
    /// Whom to ask about tokens that are no JWTs (RFC 7662).
    package struct Introspection: Equatable, Sendable {
        package var url: WebAddress
        package var clientID: String
        package var clientSecret: Secret
        /// Authorities in PEM that the endpoint's certificate must be from; nil: those of this machine.
        package var authoritiesPath: String?
        /// Plain HTTP is accepted, also to another machine.
        package var allowsHTTP = false
        /// For the whole of one answer.
        package var timeout = Interval.seconds(1)
        /// How long an answer is used that says a token is good, and one that says it is not.
        package var goodFor = Interval.seconds(30)
        package var badFor = Interval.seconds(5)
        /// Tokens that are asked about at a time.
        package var maximumPending = 256

        package init(url: WebAddress, clientID: String, clientSecret: Secret) {
            self.url = url
            self.clientID = clientID
            self.clientSecret = clientSecret
        }

        package static func == (one: Self, other: Self) -> Bool {
            one.url == other.url && one.clientID == other.clientID
                && one.clientSecret.revealed == other.clientSecret.revealed
                && one.authoritiesPath == other.authoritiesPath && one.timeout == other.timeout
                && one.goodFor == other.goodFor && one.badFor == other.badFor
                && one.maximumPending == other.maximumPending
        }
    }
}
