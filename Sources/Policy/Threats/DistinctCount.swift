/// How many different things stand behind the bits that their hashes have set: each sets one, and some set the same.
/// What is told is how many it takes on the average to set so many (the coupon collector's problem), which is right
/// within a tenth or so until nearly all bits are set.
enum DistinctCount {
    /// By the number of bits set.
    static let of64 = expectations(64)
    static let of256 = expectations(256)

    private static func expectations(_ size: Int) -> [Int] {
        var sum = 0.0
        var table = [0]
        for set in 0..<size {
            sum += step(from: set, of: size)
            table.append(Int(sum.rounded()))
        }
        return table
    }

    /// How many more it takes until another bit is set.
    static func step(from set: Int, of size: Int) -> Double { Double(size) / Double(size - set) }
}

/// Bits of the current half of a window and of the one before, for tens of things.
struct NarrowSketch: Sendable {
    private var current: UInt64 = 0
    private var former: UInt64 = 0

    mutating func insert(_ hash: UInt64) { current |= 1 << (hash >> 58) }

    mutating func turn(isNext: Bool) {
        former = isNext ? current : 0
        current = 0
    }

    var count: Int { DistinctCount.of64[(current | former).nonzeroBitCount] }
}

/// The same for hundreds.
struct MediumSketch: Sendable {
    private var current = SIMD4<UInt64>()
    private var former = SIMD4<UInt64>()

    mutating func insert(_ hash: UInt64) { current[Int(hash >> 62)] |= 1 << (hash >> 56 & 63) }

    mutating func turn(isNext: Bool) {
        former = isNext ? current : SIMD4<UInt64>()
        current = SIMD4<UInt64>()
    }

    private var bits: Int {
        let all = current | former
        var bits = 0
        for lane in 0..<4 { bits += all[lane].nonzeroBitCount }
        return bits
    }

    var count: Int { DistinctCount.of256[bits] }
    /// Beyond about a thousand things it says little, and at last nothing.
    var isFull: Bool { bits > 252 }
}

/// The same for tens of thousands: 4 KiB.
struct WideSketch: Sendable {
    private static let size = 16_384
    private var current = [UInt64](repeating: 0, count: WideSketch.size / 64)
    private var former = [UInt64](repeating: 0, count: WideSketch.size / 64)
    private var set = 0
    private var estimate = 0.0

    mutating func insert(_ hash: UInt64) {
        let (word, bit) = (Int(hash >> 56), UInt64(1) << (hash >> 50 & 63))
        if (current[word] | former[word]) & bit == 0 {
            estimate += DistinctCount.step(from: set, of: WideSketch.size)
            set += 1
        }
        current[word] |= bit
    }

    mutating func turn(isNext: Bool) {
        swap(&current, &former)
        for word in current.indices {
            current[word] = 0
            if !isNext { former[word] = 0 }
        }
        set = 0
        estimate = 0
        let bits = former.reduce(0) { $0 + $1.nonzeroBitCount }
        while set < bits {
            estimate += DistinctCount.step(from: set, of: WideSketch.size)
            set += 1
        }
    }

    var count: Int { Int(estimate.rounded()) }
    /// Beyond about 110,000 things it says little, and at last nothing.
    var isFull: Bool { self.set > WideSketch.size - 16 }
}

/// A number of the current half of a window and of the one before. It stops at 65,535.
struct HalvedCount: Sendable {
    private(set) var current: UInt16 = 0
    private var former: UInt16 = 0

    mutating func add() { if current < .max { current += 1 } }

    mutating func turn(isNext: Bool) {
        former = isNext ? current : 0
        current = 0
    }

    var sum: Int { Int(current) + Int(former) }
}
