internal import Policy
internal import Wire

extension LocalLedger {
    /// What is to be lifted to unlock an account, or all of them: also what only has failures.
    /// - Parameter network: nil: wherever it is locked.
    func subjects(of account: AccountMark?, from network: IPNetwork?, at now: Instant) -> [BlockSubject] {
        var known = Set(book.records(at: now).map(\.subject)).union(counters.keys.map(\.subject))
        known = known.filter { subject in
            subject.account != nil && (account == nil || subject.account == account)
                && (network == nil || subject.network == network)
        }
        // Another replica may know more of it.
        if let account { known.insert(BlockSubject(network ?? BlockSubject.everywhere, account: account)) }
        return Array(known)
    }
}
