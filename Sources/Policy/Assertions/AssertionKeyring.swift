package import Crypto
internal import Settings
package import Wire

/// The keys that assertions are signed with, one after another, and when each may be used.
///
/// Whoever verifies keeps the published keys for a while. So a new key is published first and signs when everybody must have
/// asked again; and one that signs no more is published until the last of its assertions has expired. All times are civil
/// ones: they outlive a restart, and hold in every process that reads them.
package struct AssertionKeyring: Sendable {
    package enum Origin: Sendable {
        /// By the gateway itself, which keeps it.
        case made
        /// The operator's file.
        case file
    }

    package struct Entry: Sendable {
        package let key: SigningKey
        package let origin: Origin
        package let publishedAt: WallTime
        /// Not before this time. It signs until its successor does.
        package let signsAt: WallTime

        package init(_ key: SigningKey, _ origin: Origin, publishedAt: WallTime, signsAt: WallTime) {
            self.key = key
            self.origin = origin
            self.publishedAt = publishedAt
            self.signsAt = signsAt
        }
    }

    /// A key that is only published: of another gateway, or of a file's time before or after this one.
    private struct Guest: Sendable {
        let key: PublicJWK
        let publishedAt: WallTime
    }

    /// From when its successor signs to when nobody can need a key any more: the longest assertion, and clocks that differ.
    package static let afterlife = Configuration.Assertion.longestLifetime + .seconds(60)
    /// RFC 7517 §8.5.2.
    package static let contentType: StaticString = "application/jwk-set+json"
    /// What is added to the time that the keys may be kept for: an answer is on its way, and workers learn of it.
    static let margin = Interval.seconds(2)

    /// In the order in which they sign; never empty.
    package private(set) var entries: [Entry]
    private var guests: [Guest] = []

    /// One key that signs at once, since nobody knows of another one.
    package init(_ key: SigningKey, _ origin: Origin, at now: WallTime) {
        entries = [Entry(key, origin, publishedAt: now, signsAt: now)]
    }

    /// As it was kept; nil without a key.
    package init?(_ entries: [Entry]) {
        guard !entries.isEmpty else { return nil }
        self.entries = entries
    }

    /// What signs at `now`: the last one whose time has come.
    package func current(at now: WallTime) -> Entry { entries[index(at: now)] }

    /// Of `current` in `entries`.
    package func index(at now: WallTime) -> Int { entries.lastIndex { $0.signsAt <= now } ?? 0 }

    /// The key that is published and does not sign yet.
    package func waiting(at now: WallTime) -> Entry? { entries.last.flatMap { $0.signsAt > now ? $0 : nil } }

    /// Everything that is published, each once.
    package var publicKeys: [PublicJWK] {
        var known: Set<String> = []
        return (entries.map(\.key.publicKey) + guests.map(\.key)).filter { known.insert($0.id).inserted }
    }

    /// The key set (RFC 7517 §5).
    package var document: [UInt8] {
        Array(#"{"keys":[\#(publicKeys.map(\.text).joined(separator: ","))]}"#.utf8)
    }

    // MARK: Changes

    /// Publishes `key`, which signs when everybody who keeps the published keys for `maximumAge` must have seen it. One that
    /// was waiting gives way: it has signed nothing.
    package mutating func add(_ key: SigningKey, _ origin: Origin, maximumAge: Interval, at now: WallTime) {
        let known =
            (entries.filter { $0.key.id == key.id }.map(\.publishedAt)
            + guests.filter { $0.key.id == key.id }.map(\.publishedAt)).min()
        if waiting(at: now) != nil, entries.count > 1 { entries.removeLast() }
        // Back to the one before.
        if entries.last?.key.id == key.id { return }
        let publishedAt = known ?? now
        let signsAt = max(now, publishedAt + maximumAge + AssertionKeyring.margin)
        entries.append(Entry(key, origin, publishedAt: publishedAt, signsAt: signsAt))
        guests.removeAll { $0.key.id == key.id }
    }

    /// `key` signs at once and no other is published: the others are in the wrong hands. Whoever verifies and has not asked
    /// again refuses its assertions until then.
    package mutating func replace(with key: SigningKey, _ origin: Origin, at now: WallTime) {
        entries = [Entry(key, origin, publishedAt: now, signsAt: now)]
        guests = []
    }

    /// Takes what the operator's file says now: `first` is to sign, `others` are to be published.
    package mutating func follow(_ first: SigningKey, _ others: [PublicJWK], maximumAge: Interval, at now: WallTime) {
        // Before the first: it may have been one of the others, and have waited long enough as that.
        let isNew = entries.last?.key.id != first.id
        if isNew { add(first, .file, maximumAge: maximumAge, at: now) }
        guests = others.filter { $0.id != first.id }.map { other in
            let known =
                guests.first { $0.key.id == other.id }?.publishedAt
                ?? entries.first { $0.key.id == other.id }?.publishedAt
            return Guest(key: other, publishedAt: known ?? now)
        }
    }

    /// Only keys that sign, or have signed, are published from now on.
    package mutating func dropGuests() { guests = [] }

    /// Forgets keys whose last assertion has expired.
    /// - Returns: their names.
    package mutating func forget(at now: WallTime) -> [String] {
        let current = index(at: now)
        var kept: [Entry] = []
        var gone: [String] = []
        for (index, entry) in entries.enumerated() {
            // It ended when the next one began.
            if index < current, entries[index + 1].signsAt + AssertionKeyring.afterlife <= now {
                gone.append(entry.key.id)
            } else {
                kept.append(entry)
            }
        }
        entries = kept
        let published = publicKeys.map(\.id)
        return gone.filter { !published.contains($0) }
    }
}
