package import Wire

extension Configuration {
    /// Failed logins counted by account, beside those of addresses.
    package struct Accounts: Sendable {
        /// `member`: where a login's body names its account; not empty.
        package var members: [String]
        package var key = Key.pair
        package var limit = 5
        package var window = Interval.seconds(300)
        package var lock = Interval.seconds(1_800)
        package var resetsOnSuccess = true
        package var whenUnreadable = WhenUnreadable.address
        package var shared = Shared()
        /// Of at least 32 bytes. `tokens.ring_secret` where accounts have none of their own.
        package var secret: Secret

        /// When an address counts as one that many people speak through, and what that means.
        package struct Shared: Sendable {
            /// Accounts that must have logged in; 0: no address does.
            package var after = 20
            /// Of failures of the address.
            package var limit = 100
            /// Beside private addresses.
            package var networks: [IPNetwork] = []

            package init() {}
        }

        package enum Key: String, CaseIterable, Sendable {
            /// The account for one address or IPv6 prefix: nobody can lock it for others.
            case pair
            /// The account, from wherever it is tried.
            case account
        }

        package enum WhenUnreadable: String, CaseIterable, Sendable {
            /// Only the address counts.
            case address
            case refuse
        }

        package init(members: [String], secret: Secret) {
            self.members = members
            self.secret = secret
        }
    }
}
