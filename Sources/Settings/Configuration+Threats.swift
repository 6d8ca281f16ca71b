package import Wire

extension Configuration {
    /// What failed logins look like together, and who is told.
    package struct Threats: Sendable {
        package var isEnabled = true
        /// A login is remembered for at least half of it, and at most all of it. Half of it is longer than
        /// `accounts.lock`: what failed before a lock counts still when it is over, and somebody goes on.
        package var window = Interval.seconds(4_500)
        /// Failures of one account.
        package var accountFailures = 10
        /// Addresses, or IPv6 prefixes, that are many.
        package var networks = 10
        /// Accounts that one address fails at, and that all of them together fail at.
        package var sprayingAccounts = 10
        package var stuffingAccounts = 50
        /// Percent of the accounts that were tried.
        package var failureRatio = 30
        package var failuresBeforeSuccess = 5
        package var reminder = Interval.seconds(600)
        /// Nil: nobody is told, beside logs and metrics.
        package var webhook: Webhook?

        package struct Webhook: Equatable, Sendable {
            package var url: WebAddress
            /// Nil: messages are not signed.
            package var secret: Secret?
            /// Authorities in PEM that the certificate must be from; nil: those of this machine.
            package var authoritiesPath: String?
            /// Plain HTTP is accepted, also to another machine.
            package var allowsHTTP = false
            /// For the whole of one delivery.
            package var timeout = Interval.seconds(5)
            /// Beside the first attempt.
            package var retries = 4

            package init(_ url: WebAddress) { self.url = url }

            package static func == (one: Self, other: Self) -> Bool {
                one.url == other.url && one.secret?.revealed == other.secret?.revealed
                    && one.authoritiesPath == other.authoritiesPath && one.timeout == other.timeout
                    && one.retries == other.retries
            }
        }

        package init() {}
    }
}
