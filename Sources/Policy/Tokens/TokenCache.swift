internal import Crypto

/// Tokens that were verified before, of one worker: a set-associative table in which a token has `ways` places.
///
/// The place comes from the end of the signature, mixed with a secret of the process, so that nobody can choose tokens
/// that push out one another; the answer comes from comparing all bytes. Only verified tokens enter, so guesses cannot
/// fill it. Comparing in constant time is not needed: it starts only where 64 keyed bits of the signature agree.
///
/// Memory: at most `capacity` tokens, each with what belongs to it of no more than `maximumEntryBytes`; larger ones are
/// verified every time.
struct TokenCache {
    static let ways = 4
    static let maximumEntryBytes = 4096
    /// What every use of the place reads of a token.
    private static let tailBytes = 16

    private struct Entry {
        var token: [UInt8] = []
        var verified: VerifiedToken?

        func holds(_ other: Span<UInt8>) -> Bool { Bytes.equal(token.span, other) }
    }

    /// What places are chosen by. Apart from the entries, so that those of a set are in one line of the processor's cache.
    private struct Mark {
        /// 0 = empty.
        var tag: UInt64 = 0
        var lastUse: UInt32 = 0
        /// That of the entry's token.
        var generation: UInt32 = 0
        /// The last in which no revocation was found for it (`RevocationTable.round`).
        var round: UInt32 = 0
    }

    private var marks: [Mark]
    private var entries: [Entry]
    private let setMask: UInt64
    private let key: (UInt64, UInt64)
    private var clock: UInt32 = 0

    /// Room for at least `capacity` tokens, rounded up to a power of two; 0: it never holds one.
    init(capacity: Int) {
        var sets = 0
        if capacity > 0 {
            sets = 1
            while sets * TokenCache.ways < capacity { sets *= 2 }
        }
        marks = [Mark](repeating: Mark(), count: sets * TokenCache.ways)
        entries = [Entry](repeating: Entry(), count: sets * TokenCache.ways)
        setMask = UInt64(max(0, sets - 1))
        let random = Bytes.random(16)
        key = (TokenCache.word(random.span, at: 0), TokenCache.word(random.span, at: 8))
    }

    var capacity: Int { marks.count }
    var count: Int { marks.count { $0.tag != 0 } }

    private static func word(_ bytes: Span<UInt8>, at start: Int) -> UInt64 {
        var word: UInt64 = 0
        for index in start..<start + 8 { word = word << 8 | UInt64(bytes[index]) }
        return word
    }

    /// A keyed hash of the token's end; never 0.
    private func tag(of token: Span<UInt8>) -> UInt64 {
        let start = token.count - TokenCache.tailBytes
        let a = TokenCache.word(token, at: start) ^ key.0
        let b = TokenCache.word(token, at: start + 8) ^ key.1
        let product = a.multipliedFullWidth(by: b | 1)
        let mixed = (product.high ^ product.low ^ UInt64(token.count)).multipliedFullWidth(by: key.0 | 1)
        return (mixed.high ^ mixed.low) | 1
    }

    /// Where exactly this token is, if it was verified under `generation`. Good until the next change.
    mutating func find(_ token: Span<UInt8>, generation: UInt32) -> Int? {
        guard token.count >= TokenCache.tailBytes, !marks.isEmpty else { return nil }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        for index in first..<first + TokenCache.ways where marks[index].tag == tag {
            guard marks[index].generation == generation, entries[index].holds(token) else { continue }
            clock &+= 1
            marks[index].lastUse = clock
            return index
        }
        return nil
    }

    func verified(at place: Int) -> VerifiedToken? { entries[place].verified }

    /// Whether the token was found not to be revoked in this round.
    func isSettled(_ place: Int, in round: UInt32) -> Bool { marks[place].round == round }

    mutating func settle(_ place: Int, in round: UInt32) { marks[place].round = round }

    /// Remembers a token, in the place of an empty, an outdated or the longest unused one.
    mutating func insert(_ token: Span<UInt8>, _ verified: VerifiedToken) {
        let size =
            token.count + verified.identityFields.count + verified.subject.count
            + verified.assertedClaims.count + verified.marks.names.count * MemoryLayout<TokenMark>.size
        guard token.count >= TokenCache.tailBytes, size <= TokenCache.maximumEntryBytes, !marks.isEmpty else { return }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        var place = first
        var oldest: UInt32 = 0
        for index in first..<first + TokenCache.ways {
            let mark = marks[index]
            let isCurrent = mark.tag != 0 && mark.generation == verified.generation
            if !isCurrent || mark.tag == tag && entries[index].holds(token) {
                place = index
                break
            }
            let age = clock &- mark.lastUse
            if age >= oldest { (oldest, place) = (age, index) }
        }
        clock &+= 1
        marks[place] = Mark(tag: tag, lastUse: clock, generation: verified.generation)
        entries[place] = Entry(token: token.withUnsafeBufferPointer { Array($0) }, verified: verified)
    }

    /// Every token that is remembered, under whichever keys it was verified; one that was verified again may come twice.
    func visit(_ body: (Span<UInt8>, VerifiedToken) -> Void) {
        for index in marks.indices where marks[index].tag != 0 {
            let entry = entries[index]
            if let verified = entry.verified { body(entry.token.span, verified) }
        }
    }

    /// Forgets a token, when it has expired.
    mutating func remove(_ token: Span<UInt8>) {
        guard token.count >= TokenCache.tailBytes, !marks.isEmpty else { return }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        for index in first..<first + TokenCache.ways where marks[index].tag == tag && entries[index].holds(token) {
            marks[index] = Mark()
            entries[index] = Entry()
        }
    }
}
