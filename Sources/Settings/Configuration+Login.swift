package import Wire

extension Configuration.Login {
    /// What a request is about, which decides what is usual for it.
    package enum Class: String, CaseIterable, Sendable {
        case login, mfa, refresh, register, reset

        /// What holds for a rule that does not say otherwise.
        package struct Usual: Sendable {
            package let statuses: [Int]
            package let limit: Int
            package let window: Interval
            package let block: Interval
        }

        package var usual: Usual {
            switch self {
            case .login: Usual(statuses: [401], limit: 5, window: .seconds(86_400), block: .seconds(300))
            // Six digits are guessed in a million tries, so five in five minutes are plenty.
            case .mfa: Usual(statuses: [400, 401, 403], limit: 5, window: .seconds(300), block: .seconds(1_800))
            // Clients come with tokens that have just expired, from every tab.
            case .refresh: Usual(statuses: [400, 401], limit: 20, window: .seconds(300), block: .seconds(300))
            case .register:
                Usual(statuses: [400, 409, 422], limit: 20, window: .seconds(3_600), block: .seconds(3_600))
            case .reset:
                Usual(statuses: [400, 401, 404, 422], limit: 10, window: .seconds(3_600), block: .seconds(3_600))
            }
        }
    }

    /// What a rule counts, and holds back at its limit.
    package enum Key: String, CaseIterable, Sendable {
        /// The address, or its IPv6 prefix.
        case address
        /// The account, wherever it is tried: anybody can lock it.
        case account
        /// The account in the hands of one address or prefix.
        case pair
    }

    /// One more rule, beside the one of the plain settings.
    package struct Rule: Sendable {
        package var name: String
        package var kind: Class
        package var endpoints: [Endpoint]
        /// What the backend answers when it failed: one of these statuses, this field, or this member.
        package var failureStatuses: [Int]
        package var failureField: (name: String, value: String)?
        /// A member of the answer's JSON, with dots between nested ones, and what it says then; no values: anything but null.
        package var failureMember: (path: String, values: [String])?
        package var key = Key.address
        package var limit: Int
        package var window: Interval
        package var block: Interval
        package var count = Count.fixed
        package var action = Action.block
        package var escalation: Escalation?

        package init(
            name: String, kind: Class, endpoints: [Endpoint], failureStatuses: [Int], limit: Int, window: Interval,
            block: Interval
        ) {
            self.name = name
            self.kind = kind
            self.endpoints = endpoints
            self.failureStatuses = failureStatuses
            self.limit = limit
            self.window = window
            self.block = block
        }
    }

    /// Rules beside the plain one. Requests know theirs by a bit each.
    package static let mostRules = 32
}
