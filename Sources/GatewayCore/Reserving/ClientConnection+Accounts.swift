internal import Policy
internal import Settings
internal import Telemetry
internal import Transport
internal import Wire

/// Whose login it is.
extension ClientConnection {
    /// Looks for the account in the login at the front of `bytes`, which is whole. Not nil: it cannot go. Requests of
    /// other classes, as a registration or a second factor, mostly name none: of them only those are looked into whose rule says
    /// that it counts accounts.
    func readAccount(of guess: Guess, _ plan: Plan, _ bytes: Span<UInt8>) -> Refusal? {
        guess.account = nil
        let rules = worker.generation.rules
        guard let rule = rules.accounts, !plan.loginRows.isDisjoint(with: rules.accountRows) else { return nil }
        let facts = record.facts
        guard AccountRule.isReadable(bytes.extracting(0..<facts.headLength), from: facts.path.upperBound) else {
            return .ambiguousAccount
        }
        switch rule.read(query: query(of: bytes), body: guess.payload(of: bytes)) {
        case .account(let mark): guess.account = mark
        case .ambiguous: return .ambiguousAccount
        case .unknown:
            if rule.whenUnreadable == .refuse { return .unreadableAccount }
            // One that was blocked before is asked about again.
            if guess.timesBlocked == 0 { worker.telemetry.metrics.countLoginWithoutAccount() }
        }
        return nil
    }

    /// Without its question mark.
    private func query(of head: Span<UInt8>) -> [UInt8] {
        var at = record.facts.path.upperBound
        guard at < record.facts.headLength, head[at] == UInt8(ascii: "?") else { return [] }
        var query: [UInt8] = []
        at += 1
        while at < record.facts.headLength, head[at] > 0x20 {
            query.append(head[at])
            at += 1
        }
        return query
    }

    /// Until the account that a login met may be tried again, in whole seconds.
    func retryAfterLock() -> Int {
        guard let end = record.guess?.lockEnds, end != .never else { return 3_600 }
        return max(1, (end - worker.clock.now).secondsRoundedUp)
    }
}
