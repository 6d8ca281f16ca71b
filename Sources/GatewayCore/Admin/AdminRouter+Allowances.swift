internal import Policy
internal import Wire

/// An allowance as an operator orders it.
struct AllowanceOrder: Hashable, Sendable {
    var network: IPNetwork
    var duration: Interval
    var reason: String

    /// What the body of the request may have.
    static let members = ["network", "duration_seconds", "reason", "actor"]
    /// Thirty days: what is never to be blocked belongs into `never_block`.
    static let longest = 2_592_000
}

extension AdminRouter {
    func allowance(_ body: JSONValue) throws(AdminProblem) -> AllowanceOrder {
        guard let text = try string("network", in: body) else { throw .unusable("network is missing") }
        let network = try network(text)
        guard Allowance.network(network.description) != nil else { throw .tooWideToAllow(network) }
        guard case .integer(let seconds) = body["duration_seconds"], (1...AllowanceOrder.longest).contains(seconds)
        else {
            throw .unusable(
                "duration_seconds is a whole number from 1 to \(AllowanceOrder.longest), and never left out")
        }
        return AllowanceOrder(network: network, duration: .seconds(seconds), reason: try reason(in: body))
    }
}
