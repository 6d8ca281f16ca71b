package import Settings
package import Wire

/// SEC-010: so many failed logins of one address, or of one IPv6 prefix, within a window, and it is blocked.
package struct LoginRule: Sendable {
    /// What has a count of its own.
    package enum Counting: Sendable {
        /// Each address, or IPv6 prefix.
        case address
        /// Each account in the hands of each address: nobody can lock out others.
        case pair
        /// Each account, wherever somebody tries it.
        case account
    }

    /// What the rule does at the limit.
    package enum Action: Sendable {
        case block
        /// Says what it would do, and holds nobody back.
        case observe
    }

    /// Which failures count.
    package enum Window: Sendable {
        /// Those since the first one, which began the window.
        case fixed
        /// Those of the last so many seconds, at every moment.
        case sliding
    }

    /// Blocks that follow each other last longer and longer.
    package struct Escalation: Hashable, Sendable {
        /// Each block is so many times as long as the one before. At least 2.
        package let factor: Int
        /// No block is longer, unless the first one is.
        package let longest: Interval
        /// A block is forgotten so long after its end.
        package static let memory = Interval.seconds(86_400)

        package init(factor: Int, longest: Interval) {
            self.factor = factor
            self.longest = longest
        }
    }

    /// Names it in the store, in audit records and metrics.
    package let name: String
    package let counting: Counting
    /// The failure that makes the count this high sets the block. At least 1.
    package let limit: Int
    /// How long a failure counts, from itself or from the first one on (`counted`).
    package let window: Interval
    package var counted = Window.fixed
    package var action = Action.block
    /// How long a block lasts, and from then on the counter with it.
    package let block: Interval
    /// Nil: all blocks are of one length.
    package var escalation: Escalation?
    /// A failure is one of who somebody is; else of something else, such as a registration.
    package var guardsCredentials = true
    /// It is of the class `login`: a login that succeeds forgets what it has counted of the account.
    package var isOfLogins = true
    /// Of a login whose account nobody knows this rule for accounts counts the address instead. Not so the rule beside the plain
    /// one, which counts it already.
    package var countsAddressesInstead = false
    /// Failures from which on a guess needs a solved challenge; nil: it needs none. Only the plain rule has it: three failures
    /// within the hour of one rule and within the month of another one are not the same.
    package var challengeAfter: Int?
    /// Counted like others, never blocked by this rule.
    package let exempt: [IPNetwork]
    /// Whom many people speak through, each counted by account: each of these may have so many failures (`CollapseGuard`).
    package var shared: Set<IPNetwork> = []
    package var sharedLimit = 0
    /// Leading bits of an IPv6 address that failures are counted by: whoever has one address of a /64 has them all.
    package let ipv6Prefix: Int

    /// The rule of the settings `login.limit` and its neighbours. Its names in the store are the ones that operators type.
    package static let plainName = "login"

    package init(
        _ name: String = plainName, by counting: Counting = .address, limit: Int, window: Interval, block: Interval,
        exempt: [IPNetwork], ipv6Prefix: Int = 64
    ) {
        self.name = name
        self.counting = counting
        self.limit = limit
        self.window = window
        self.block = block
        self.exempt = exempt
        self.ipv6Prefix = ipv6Prefix
    }

    /// Trusted proxies are exempt without being named: blocking one would lock out everybody behind it.
    /// - Parameter allowed: whom no block holds back for a while.
    package init(_ configuration: Configuration, allowed: [IPNetwork] = []) {
        self.init(
            limit: configuration.login.limit, window: configuration.login.window, block: configuration.login.block,
            exempt: configuration.neverBlock + configuration.trustedProxies + allowed,
            ipv6Prefix: configuration.login.ipv6Prefix)
        counted = configuration.login.count == .sliding ? .sliding : .fixed
        action = configuration.login.action == .observe ? .observe : .block
        escalation = configuration.login.escalation.map { Escalation(factor: $0.factor, longest: $0.longest) }
        challengeAfter = configuration.login.challenge?.after
    }

    /// - Parameter plain: the rule of the plain settings, whose exemptions and prefixes are this one's.
    init(_ rule: Configuration.Login.Rule, beside plain: LoginRule) {
        self.init(
            rule.name, by: Counting(rule.key), limit: rule.limit, window: rule.window, block: rule.block,
            exempt: plain.exempt, ipv6Prefix: plain.ipv6Prefix)
        countsAddressesInstead = counting != .address
        counted = rule.count == .sliding ? .sliding : .fixed
        action = rule.action == .observe ? .observe : .block
        escalation = rule.escalation.map { Escalation(factor: $0.factor, longest: $0.longest) }
        guardsCredentials = rule.kind == .login || rule.kind == .mfa
        isOfLogins = rule.kind == .login
    }

    /// Whom the failures of `address` are counted for, and whom a block that comes of them is of. The only place where
    /// that is decided: counter, block and audit record are named for it.
    ///
    /// By themselves are counted IPv4 addresses, and those whose /64 belongs to nobody: loopback, link-local ones (one
    /// prefix on every link), and IPv4 clients behind a translator, which are all in one prefix (RFC 6052 §2.1). So is
    /// an exempt address, which must not use up the guesses of its neighbours.
    package func subject(of address: IPAddress) -> IPNetwork {
        let isItsOwn =
            address.isV4 || address.isLoopback || address.high >> 54 == 0x3fa || address.translatedV4 != nil
        return isItsOwn || isExempt(address) ? IPNetwork(address) : IPNetwork(address, bits: ipv6Prefix)
    }

    package func isExempt(_ address: IPAddress) -> Bool {
        (counting == .address || countsAddressesInstead) && exempt.contains { $0.contains(address) }
    }

    /// Under what a guess is counted; nil when it is not counted by this rule, because it is of no known account.
    package func key(of address: IPAddress, _ account: AccountMark?) -> LoginKey? {
        let ofAddress = LoginKey(rule: name, subject(of: address))
        guard counting != .address else { return ofAddress }
        guard let account, account != .unnamed else {
            // Behind an address that may have many failures those who name no account are counted as one, and locked as one.
            let network = subject(of: address)
            if account != nil || shared.contains(network) { return LoginKey(rule: name, network, account: .unnamed) }
            return countsAddressesInstead ? ofAddress : nil
        }
        return LoginKey(
            rule: name, counting == .pair ? subject(of: address) : BlockSubject.everywhere, account: account)
    }

    /// Whether blocks of this kind of subject come from this rule.
    func counts(_ subject: BlockSubject) -> Bool {
        if counting != .address, subject.account == .unnamed { return subject.from != nil }
        return switch counting {
        case .address: subject.account == nil
        case .pair: subject.account == nil ? countsAddressesInstead : subject.from != nil
        case .account: subject.account == nil ? countsAddressesInstead : subject.from == nil
        }
    }

    /// How high the count under `key` may get.
    package func limit(under key: LoginKey) -> Int {
        key.subject.account == nil && shared.contains(key.subject.network) ? max(limit, sharedLimit) : limit
    }

    /// Failures that there may be in front of a guess without a solved challenge; nil: as many as there may be at all. What
    /// is counted by accounts is left to their owners, who would else be challenged for what strangers do. At an address that
    /// many share it is as near to the limit as elsewhere, or three strangers who mistype would challenge all the others.
    package func challengeThreshold(under key: LoginKey) -> Int? {
        guard counting == .address, let challengeAfter, challengeAfter < limit else { return nil }
        return self.limit(under: key) - (limit - challengeAfter)
    }

    /// Lower case letters, digits, `-` and `_`, at most 32: it stands in names of the store and in labels.
    package static func isName(_ text: some StringProtocol) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: "_")
            }
    }

    static func ended(_ name: String) -> LoginRule {
        LoginRule(name, limit: .max, window: .seconds(1), block: .seconds(1), exempt: [])
    }

    /// What follows from a failure that made the address's count `count`.
    ///
    /// Every count at or above the limit asks for a block, not only the one that reaches it: after a bare
    /// `DEL ip_block:<ip>` the count still stands, and the next failure must block again.
    /// - Parameter key: what it was counted under; nil: the address, as one that is not shared.
    package func verdict(on address: IPAddress, under key: LoginKey? = nil, count: Int) -> FailureVerdict {
        if isExempt(address) { return .exempt }
        if count < key.map(limit(under:)) ?? limit { return .counted }
        return action == .block ? .block : .observed
    }

    /// Whether guesses of the address have to wait for places.
    package func holdsBack(_ address: IPAddress) -> Bool { action == .block && !isExempt(address) }

    /// How long a block lasts that comes behind so many others.
    package func length(after blocks: Int) -> Interval {
        guard let escalation, blocks > 0 else { return block }
        var length = block
        for _ in 0..<blocks where length < escalation.longest {
            let (next, overflow) = length.nanoseconds.multipliedReportingOverflow(by: Int64(escalation.factor))
            length = overflow ? escalation.longest : Interval(nanoseconds: next)
        }
        return max(block, min(length, escalation.longest))
    }
}

extension LoginRule.Counting {
    init(_ key: Configuration.Login.Key) {
        self =
            switch key {
            case .address: .address
            case .account: .account
            case .pair: .pair
            }
    }
}

/// What a failed login leads to.
package enum FailureVerdict: Hashable, Sendable {
    /// Below the limit: counted, nothing else.
    case counted
    /// At the limit: block the address, unless it is blocked already.
    case block
    /// Counted; the address may never be blocked by a rule.
    case exempt
    /// At the limit of a rule that only observes.
    case observed
}

/// Names one failed login, so that telling the ledger twice counts it once. Unique over replicas and restarts.
package struct FailureID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 128 random bits.
    package static func random() -> FailureID {
        FailureID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }

    /// 32 hexadecimal digits.
    package var description: String { Hexadecimal.text(high) + Hexadecimal.text(low) }

    /// The name of what a rule counts of the login that this one names. It is the same wherever it is made.
    package func counted(by rule: String) -> FailureID {
        guard rule != LoginRule.plainName else { return self }
        return FailureID(high: high, low: low ^ rule.utf8.reduce(FNV1a.seed, FNV1a.hash))
    }
}
