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
        var lastUse: UInt32 = 0

        func holds(_ other: Span<UInt8>) -> Bool { Bytes.equal(token.span, other) }
    }

    /// 0 = empty.
    private var tags: [UInt64]
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
        tags = [UInt64](repeating: 0, count: sets * TokenCache.ways)
        entries = [Entry](repeating: Entry(), count: sets * TokenCache.ways)
        setMask = UInt64(max(0, sets - 1))
        let random = Bytes.random(16)
        key = (TokenCache.word(random.span, at: 0), TokenCache.word(random.span, at: 8))
    }

    var capacity: Int { tags.count }
    var count: Int { tags.count { $0 != 0 } }

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

    /// What was found out about exactly this token under `generation`.
    mutating func find(_ token: Span<UInt8>, generation: UInt32) -> VerifiedToken? {
        guard token.count >= TokenCache.tailBytes, !tags.isEmpty else { return nil }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        for index in first..<first + TokenCache.ways where tags[index] == tag {
            guard let verified = entries[index].verified, verified.generation == generation,
                entries[index].holds(token)
            else { continue }
            clock &+= 1
            entries[index].lastUse = clock
            return verified
        }
        return nil
    }

    /// Remembers a token, in the place of an empty, an outdated or the longest unused one.
    mutating func insert(_ token: Span<UInt8>, _ verified: VerifiedToken) {
        let size = token.count + verified.identityFields.count + verified.subject.count
        guard token.count >= TokenCache.tailBytes, size <= TokenCache.maximumEntryBytes, !tags.isEmpty else { return }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        var place = first
        var oldest: UInt32 = 0
        for index in first..<first + TokenCache.ways {
            let isCurrent = tags[index] != 0 && entries[index].verified?.generation == verified.generation
            let isSame = tags[index] == tag && entries[index].holds(token)
            if !isCurrent || isSame {
                place = index
                break
            }
            let age = clock &- entries[index].lastUse
            if age >= oldest { (oldest, place) = (age, index) }
        }
        clock &+= 1
        tags[place] = tag
        entries[place] = Entry(token: copy(token), verified: verified, lastUse: clock)
    }

    private func copy(_ token: Span<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: token.count) { buffer, count in
            for index in token.indices { buffer[index] = token[index] }
            count = token.count
        }
    }

    /// Forgets a token, when it has expired.
    mutating func remove(_ token: Span<UInt8>) {
        guard token.count >= TokenCache.tailBytes, !tags.isEmpty else { return }
        let tag = tag(of: token)
        let first = Int(tag >> 32 & setMask) * TokenCache.ways
        for index in first..<first + TokenCache.ways where tags[index] == tag && entries[index].holds(token) {
            tags[index] = 0
            entries[index] = Entry()
        }
    }
}
