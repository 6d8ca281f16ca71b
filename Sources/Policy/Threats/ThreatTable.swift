internal import Wire

/// Whom a record is of: a network, or an account.
struct ThreatKey: Hashable, Sendable {
    /// No prefix has so many bits.
    private static let accountBits = 255
    let high: UInt64
    let low: UInt64
    let bits: UInt8

    init(_ network: IPNetwork) {
        (high, low, bits) = (network.base.high, network.base.low, UInt8(network.bits))
    }

    init(_ account: AccountMark) {
        (high, low, bits) = (account.high, account.low, UInt8(ThreatKey.accountBits))
    }

    /// Folded full products of secret words, so that nobody can choose addresses that meet.
    func hash(_ seed: UInt64) -> UInt64 {
        let first = (high ^ seed).multipliedFullWidth(by: low ^ ThreatKey.spread(seed ^ UInt64(bits)))
        let second = (first.high ^ first.low ^ high ^ low).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return ThreatKey.spread(second.high ^ second.low ^ seed)
    }

    /// Makes a dense word of any (the finaliser of SplitMix64).
    static func spread(_ seed: UInt64) -> UInt64 {
        var word = seed &+ 0x9e37_79b9_7f4a_7c15
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}

/// What is known of one account or network. Time is counted in halves of the window.
protocol ThreatRecord: Sendable {
    init(_ key: ThreatKey, half: Int64)
    var key: ThreatKey { get }
    /// The half that it was touched in last.
    var half: Int64 { get set }
    /// Of those that meet in a full table the one with the least goes.
    var failures: HalvedCount { get set }
    /// Forgets what is of an earlier half than the one before.
    mutating func turn(isNext: Bool)
}

extension ThreatRecord {
    mutating func turn(to now: Int64) {
        guard half != now else { return }
        turn(isNext: half + 1 == now)
        half = now
    }

    /// Failures that count now, without touching it.
    func weight(at now: Int64) -> Int {
        half == now ? failures.sum : half + 1 == now ? Int(failures.current) : 0
    }
}

/// A fixed number of records. Eight may have the same place; a ninth takes that of the one with the fewest failures,
/// so that whoever makes up a million names pushes out names that were made up, and not the ones that are attacked.
struct ThreatTable<Record: ThreatRecord>: Sendable {
    private static var ways: Int { 8 }
    private var records: [Record]
    private let seed: UInt64
    /// Where the search for one that goes begins: of equals it is not always the same.
    private var rotor = 0
    /// Records with failures that still counted, and had to go.
    var evictions = 0

    /// - Parameter capacity: a power of two.
    init(capacity: Int, seed: UInt64) {
        let free = Record(ThreatKey(IPNetwork(IPAddress(high: 0, low: 0), bits: 0)), half: .min)
        records = Array(repeating: free, count: capacity)
        self.seed = seed
    }

    subscript(_ place: Int) -> Record {
        get { records[place] }
        _modify { yield &records[place] }
    }

    private func start(_ key: ThreatKey) -> Int {
        Int(truncatingIfNeeded: key.hash(seed) & UInt64(records.count / Self.ways - 1)) * Self.ways
    }

    /// Where the record of `key` is; nil: nothing is known of it.
    mutating func find(_ key: ThreatKey, at half: Int64) -> Int? {
        let start = start(key)
        for place in start..<start + Self.ways where records[place].half != .min && records[place].key == key {
            records[place].turn(to: half)
            return place
        }
        return nil
    }

    /// The same, and makes one where there is none. Of records with as few failures the one goes that was touched in an
    /// earlier half; of those again each in its turn, so that a new one stays for as long as any.
    mutating func place(of key: ThreatKey, at half: Int64) -> Int {
        if let known = find(key, at: half) { return known }
        let least = least(key, at: half)
        if records[least].half != .min {
            rotor &+= 1
            if records[least].weight(at: half) > 0 { evictions += 1 }
        }
        records[least] = Record(key, half: half)
        return least
    }

    /// The same, but takes the place of nobody who still counts; nil: there is none.
    mutating func freePlace(of key: ThreatKey, at half: Int64) -> Int? {
        if let known = find(key, at: half) { return known }
        let least = least(key, at: half)
        guard records[least].half < half - 1 else { return nil }
        records[least] = Record(key, half: half)
        return least
    }

    private func least(_ key: ThreatKey, at half: Int64) -> Int {
        let start = start(key)
        var least = start + (rotor & (Self.ways - 1))
        var fewest = records[least].weight(at: half)
        for step in 0..<Self.ways {
            let place = start + ((rotor &+ step) & (Self.ways - 1))
            if records[place].half == .min { return place }
            let weight = records[place].weight(at: half)
            if weight < fewest || weight == fewest && records[place].half < records[least].half {
                (least, fewest) = (place, weight)
            }
        }
        return least
    }
}
