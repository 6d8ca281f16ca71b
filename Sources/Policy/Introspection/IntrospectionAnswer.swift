/// What became of a question about a token. The token itself goes with it wherever it goes.
package enum IntrospectionAnswer: Equatable, Sendable {
    /// The answer as it came, whose members are judged like the claims of a JWT.
    case active([UInt8])
    case inactive
    /// Nobody answered, or not so that it can be understood: nothing is known of the token.
    case unavailable
}

/// Reads answers of the endpoint as far as anybody but a worker needs to: whether they are whole, and what they come to.
package final class IntrospectionReader {
    private var scanner: ClaimScanner
    private let plan: ClaimPlan
    private let active: Int

    /// - Parameter maximumBytes: of an answer; a larger one could not be judged.
    package init(maximumBytes: Int) {
        scanner = ClaimScanner(capacity: maximumBytes)
        var plan = ClaimPlan()
        active = plan.member("active")
        self.plan = plan
    }

    /// RFC 7662 §2.2. Only the literal `true` is a yes: a text of that name is some program's mistake, and nobody can tell which.
    /// Nil: it is none.
    package func read(_ bytes: [UInt8]) -> IntrospectionAnswer? {
        guard scanner.scan(json: bytes.span, plan) else { return nil }
        switch scanner.value(active).kind {
        case .true: return .active(bytes)
        case .false: return .inactive
        case .absent, .string, .number, .null, .list, .object: return nil
        }
    }
}
