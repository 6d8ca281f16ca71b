internal import Policy
internal import Wire

/// Which accounts an operator unlocks.
struct UnlockOrder: Hashable, Sendable {
    enum Accounts: Hashable, Sendable {
        /// As it is typed; nothing keeps it.
        case named(String)
        case hashed(AccountMark)
        case all
    }

    var accounts: Accounts
    /// Nil: wherever they are locked.
    var network: IPNetwork?

    /// What the body of the request may have.
    static let members = ["account", "hash", "all", "from", "actor"]
}

extension AdminRouter {
    func unlock(_ body: JSONValue) throws(AdminProblem) -> UnlockOrder {
        var wanted: [UnlockOrder.Accounts] = []
        if let name = try string("account", in: body) { wanted.append(.named(name)) }
        if let text = try string("hash", in: body) {
            guard let mark = AccountMark(text) else {
                throw .unusable("hash is what `gateway locks` shows of an account: 32 hexadecimal digits")
            }
            wanted.append(.hashed(mark))
        }
        switch body["all"] {
        case nil, .null, .boolean(false): break
        case .boolean(true): wanted.append(.all)
        default: throw .unusable("all is true or false")
        }
        guard let accounts = wanted.first, wanted.count == 1 else {
            throw .unusable("exactly one of account, hash, all says what is unlocked")
        }
        var order = UnlockOrder(accounts: accounts)
        if let text = try string("from", in: body) { order.network = try network(text) }
        return order
    }
}
