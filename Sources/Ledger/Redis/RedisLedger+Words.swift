internal import Policy
internal import Wire

/// What an operator said of a name, until the store has heard it.
package struct Word: Hashable, Sendable {
    /// On the clock of this host.
    var at: WallTime
    /// What stood there by hand was known here when it was said, so it was said of that, too.
    var overHand: Bool

    /// Of what is only put back: earlier than everything.
    static let restored = Word(at: WallTime(milliseconds: 0), overHand: false)
}

/// What operators say here while the store is away is carried over when it is back. Meanwhile somebody may have said something
/// else of the same name, and later: that stands (docs/decisions/ledger.md).
extension RedisLedger {
    enum Telling {
        /// Said in this moment: it is later than all that is there.
        case now(WallTime)
        /// Said a while ago: what was said later stands, and so does what was set by hand, unless it was known.
        case carried(Word)
        /// Not said but remembered, and missing in the store: whatever is there stands.
        case restored(since: WallTime?)
    }

    enum Saying {
        /// - Parameters:
        ///   - left: nil: it does not end.
        ///   - isMarked: a mark tells when it was said, since its text does not, or will be gone.
        case set(String, left: Interval?, isMarked: Bool)
        /// Nothing is left to tell when it was said, so a mark does.
        case drop
    }

    /// An outage that lasts longer than this may undo what was taken back in its beginning.
    private static let markLife = Interval.seconds(7 * 86_400)

    static let markPrefix = "gateway:said:"
    /// In the slot of the key.
    static func mark(of key: String) -> String { "\(markPrefix){\(key)}" }

    /// - Parameter completion: 1 when the store has it, 0 when something later is there, or an error; nil: the session ended.
    func say(
        _ saying: Saying, of key: String, _ telling: Telling, _ session: any RedisStore,
        completion: @escaping (RESPValue?) -> Void
    ) {
        let life = String(RedisLedger.markLife.milliseconds)
        let what: [String] =
            switch saying {
            case .set(let text, let left, let isMarked):
                ["set", text, left.map { String(max(1, $0.milliseconds)) } ?? "", isMarked ? life : ""]
            case .drop: ["drop", "", "", life]
            }
        let how: [String] =
            switch telling {
            case .now(let at): ["now", at.text]
            case .carried(let word): [word.overHand ? "over_hand" : "carried", word.at.text]
            case .restored(let since): ["restored", since?.text ?? ""]
            }
        session.run(.say, keys: [key, RedisLedger.mark(of: key)], how + what, completion: completion)
        goesOn(with: key, session)
    }

    // MARK: Words that wait

    /// Of those that wait: what the next write may hold. All of a large site's, in one turn, are more than a connection
    /// takes, and it would end.
    static func next<Name: Hashable>(of waiting: Set<Name>, besides underWay: Set<Name>) -> [Name] {
        Array(waiting.lazy.filter { !underWay.contains($0) }.prefix(max(0, slice - underWay.count)))
    }

    /// Remembers when it was said.
    /// - Returns: what belongs into the journal, in front of that which waits: an end torn off there leaves no word for
    ///   nothing.
    func note(_ key: String, overHand: Bool, at wall: WallTime) -> JournalRecord {
        note(key, Word(at: wall, overHand: overHand))
    }

    private func note(_ key: String, _ word: Word) -> JournalRecord {
        words[StoreKey(text: key)] = word
        return .word(StoreKey(text: key), word)
    }

    /// Nothing is said, but something is put back that was lost: whatever is there is later.
    func noteRestored(_ key: String) -> JournalRecord { note(key, Word.restored) }

    /// The same for a block or revocation, which says itself since when it is.
    func noteSet(_ key: String, overHand: Bool) -> [JournalRecord] {
        if overHand { return [note(key, overHand: true, at: clock.wall())] }
        return words.removeValue(forKey: StoreKey(text: key)) == nil ? [] : [.wordSettled(StoreKey(text: key))]
    }

    /// The same for telling it later.
    func tellingOfSet(_ key: String, since: WallTime) -> Telling {
        let word = words[StoreKey(text: key)]
        return word == .restored
            ? .restored(since: since) : .carried(Word(at: since, overHand: word?.overHand ?? false))
    }

    /// One that an older version left in the journal does not say when it was said: it counts as said now, as it did then.
    func word(of key: String) -> Word { words[StoreKey(text: key)] ?? Word(at: clock.wall(), overHand: true) }

    /// Nothing waits to be told of the name any more.
    func settleWord(of key: String) {
        if words.removeValue(forKey: StoreKey(text: key)) != nil { save([.wordSettled(StoreKey(text: key))]) }
    }

    /// Something later is in the store, or was removed there: that is read, and holds here too.
    func overtaken(_ key: String, _ telling: Telling) {
        // What is only put back, another replica may have put back before.
        if case .restored = telling {} else { sink.ledger(noted: .overtaken(key)) }
        invalidated([Array(key.utf8)])
    }

    /// Takes over what the journal kept; what nobody waits for any more is let go.
    func restoreWords(_ saved: [StoreKey: Word]) {
        let waiting =
            pendingBlocks.union(pendingLifts).map { BlockKey.block($0) }
            + pendingRevocations.union(pendingRevocationLifts).map(RevocationKey.of) + pendingShared.map(\.storeKey)
        let keys = Set(waiting.map(StoreKey.init(text:)))
        words = saved.filter { keys.contains($0.key) }
        save(saved.keys.filter { !keys.contains($0) }.map { .wordSettled($0) })
    }
}
