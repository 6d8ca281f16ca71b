internal import Wire

/// What was found out of opaque tokens, of one worker. Tokens are told apart by all of their bytes; places come from a
/// hash with a secret of the process (`Hasher`), so that nobody can choose tokens that meet there.
///
/// Good tokens and others are kept apart, so that guesses cannot push out what is in use. Memory: at most `capacity` good
/// tokens and 1,024 others, none of which is larger than `TokenCache.maximumEntryBytes` with what belongs to it.
struct IntrospectionCache {
    enum Finding {
        case good(VerifiedToken)
        case bad(TokenRefusal)
    }

    struct Entry {
        let finding: Finding
        /// Outside of these it is nothing: a clock that is set back must not make an answer last.
        let since: WallTime
        let until: WallTime
        /// It was used by a request before.
        var isTold = false

        func holds(at now: WallTime) -> Bool { since <= now && now < until }
    }

    /// The answer that has just come, for those who waited for it: it is theirs whether it may be kept or not.
    enum Fresh {
        case none
        case answer([UInt8], Entry)
        /// Nobody has answered about this token, or not in time.
        case silence([UInt8])
    }

    var fresh = Fresh.none
    private var good: Shelf
    private var bad = Shelf(capacity: 1_024)

    init(capacity: Int) { good = Shelf(capacity: capacity) }

    var count: Int { good.count + bad.count }

    mutating func find(_ token: [UInt8], at now: WallTime) -> Entry? {
        if let entry = good.find(token), entry.holds(at: now) { return entry }
        if let entry = bad.find(token), entry.holds(at: now) { return entry }
        return nil
    }

    /// Remembers an entry in the place of what was known before. What is too large is asked about each time.
    mutating func insert(_ token: [UInt8], _ entry: Entry) {
        var entry = entry
        if let last = good.find(token) { entry.isTold = last.isTold }
        good.remove(token)
        bad.remove(token)
        switch entry.finding {
        case .good(let verified):
            let size =
                token.count + verified.identityFields.count + verified.subject.count + verified.assertedClaims.count
            if size <= TokenCache.maximumEntryBytes { good.insert(token, entry) }
        case .bad:
            if token.count <= TokenCache.maximumEntryBytes { bad.insert(token, entry) }
        }
        fresh = .answer(token, entry)
    }

    mutating func noteUse(of token: [UInt8]) {
        if case .answer(let new, var entry) = fresh, new == token {
            entry.isTold = true
            fresh = .answer(new, entry)
        }
        good.noteUse(of: token)
    }
}

/// A bounded dictionary: when the newer half is full, the older one is forgotten. What is in use moves to the newer half.
private struct Shelf {
    private var newer: [[UInt8]: IntrospectionCache.Entry] = [:]
    private var older: [[UInt8]: IntrospectionCache.Entry] = [:]
    private let half: Int

    /// 0: it never holds one.
    init(capacity: Int) { half = (capacity + 1) / 2 }

    var count: Int { newer.count + older.count }

    mutating func find(_ token: [UInt8]) -> IntrospectionCache.Entry? {
        if let entry = newer[token] { return entry }
        guard let entry = older.removeValue(forKey: token) else { return nil }
        insert(token, entry)
        return entry
    }

    mutating func insert(_ token: [UInt8], _ entry: IntrospectionCache.Entry) {
        guard half > 0 else { return }
        if newer.count >= half {
            older = newer
            newer = [:]
        }
        newer[token] = entry
    }

    mutating func remove(_ token: [UInt8]) {
        newer[token] = nil
        older[token] = nil
    }

    mutating func noteUse(of token: [UInt8]) { newer[token]?.isTold = true }
}
